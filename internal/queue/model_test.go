package queue

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The protocol as a model: dispatchers, a scheduler and runners as programs that do
// one step at a time, over a store that knows compare-and-set, with a clock of its
// own. Any of them may stop for ever, or for a while, before any step. Transitions,
// lines and what a lock is worth are the real ones (state.go, plan.go, Job.Holds);
// the order of the writes is that of claim.go, lease.go, scheduler.go and the
// dispatcher.

// fault is what can be planted in the model, to see that it would be found.
type fault string

const (
	sound          fault = ""
	ackBeforeStore fault = "the event is acknowledged before its job is stored"
	wakeTakesOver  fault = "a wake-up that comes again takes a running job over"
	freePending    fault = "a lock that is about to be claimed is taken without a word"
	overtakeLost   fault = "a job that was interrupted is overtaken"
	unfencedResult fault = "results are written without the fence"
	noLimit        fault = "a runner works on without confirmed heartbeats"
	hastyScheduler fault = "the scheduler takes a job back too early"
	noCompare      fault = "a claim does not compare revisions"
)

type (
	world struct {
		choose func(label string, n int) int
		bug    fault
		now    time.Duration
		timing Timing

		seq    uint64
		jobs   map[string]Record // .s
		log    []Record          // every revision, in order
		locks  map[string]lockAt // lock.host.*
		beats  map[string]time.Duration
		wakes  []*modelWake
		events []*modelEvent

		results map[string]int    // job/attempt: how many
		onHost  map[string]string // who claimed it last
		sched   *modelScheduler
		runners []*modelRunner
		err     error
	}
	lockAt struct {
		rev uint64
		job string
	}
	modelWake struct {
		wakeup
		by   *modelRunner // who has it, nil for nobody
		sign time.Duration
		gone bool
	}
	modelEvent struct {
		id    string
		acked bool
		taken bool
	}
)

var errLost = errors.New("written by somebody else meanwhile")

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) put(j Job, rev uint64) (uint64, error) {
	was, there := w.jobs[j.ID]
	if there && was.Rev != rev || !there && rev != 0 {
		return 0, errLost
	}
	if there && was.State.Terminal() {
		w.fail("job %s left %s for %s", j.ID, was.State, j.State)
	}
	w.seq++
	if j.First == 0 {
		j.First = w.seq
	}
	r := Record{Job: j, Rev: w.seq}
	w.jobs[j.ID] = r
	w.log = append(w.log, r)
	return w.seq, nil
}

func (w *world) date() time.Time { return time.Unix(0, 0).Add(w.now) }

// dispatch makes the job of an event, in two steps, either of which may be its last.
func (w *world) dispatch(e *modelEvent) {
	if w.bug == ackBeforeStore {
		e.acked = true
	} else if e.taken {
		e.acked, e.taken = true, false
		return
	}
	if w.choose("dispatcher dies", 4) == 0 {
		return
	}
	hosts := [][]string{{"1"}, {"1"}, {"2"}, {"1", "2"}}[w.choose("hosts", 4)]
	// Limit is what the job is for; the hosts may be known only when it is prepared.
	j := Job{ID: "job of " + e.id, Limit: hosts, OnRunnerLoss: LossRequeue}
	if w.choose("hosts are known", 2) == 0 {
		j.Hosts = hosts
	}
	if w.choose("retry", 3) == 0 {
		j.Retry = &Retry{Attempts: 2}
	}
	_, _ = w.put(created(j, w.date()), 0)
	e.taken = true
}

// modelScheduler is what a scheduler holds in memory.
type modelScheduler struct {
	plan *plan
	read int // of the log
	rev  map[string]uint64
	sign map[string]time.Duration
	due  map[string]time.Duration
	send []wakeup
}

func newModelScheduler() *modelScheduler {
	return &modelScheduler{
		plan: newPlan(2), rev: make(map[string]uint64), sign: make(map[string]time.Duration), due: make(map[string]time.Duration),
	}
}

func (w *world) schedule() {
	s := w.sched
	switch {
	case s.read < len(w.log):
		r := w.log[s.read]
		s.read++
		delete(s.due, r.ID)
		if r.State.Terminal() {
			s.plan.remove(r.ID)
			delete(s.rev, r.ID)
			return
		}
		s.rev[r.ID], s.sign[r.ID] = r.Rev, w.now
		e := entry{id: r.ID, first: r.First, queue: "q", hosts: r.Hosts, state: r.State, delayed: r.Delay > 0}
		e.keeps = r.State == Pending && r.Holds() && w.bug != overtakeLost
		if e.delayed {
			s.due[r.ID] = w.now + r.Delay
		}
		s.plan.set(e)
	case len(s.send) > 0:
		w.seq++
		s.send[0].Nonce = w.seq
		w.wakes = append(w.wakes, &modelWake{wakeup: s.send[0], sign: w.now})
		s.send = s.send[1:]
	default:
		for _, e := range s.plan.next() {
			s.send = append(s.send, wakeup{ID: e.id, Rev: s.rev[e.id]})
		}
		for id, at := range s.due {
			if w.now >= at {
				e := *s.plan.jobs[id]
				e.delayed = false
				delete(s.due, id)
				s.plan.set(e)
			}
		}
		loss := w.timing.Lease
		if w.bug == hastyScheduler {
			loss = w.timing.Heartbeat() / 2
		}
		for id, rev := range s.rev {
			r := w.jobs[id]
			works := r.Rev == rev && (r.State == Running || r.State == Cancelling)
			if beat, ok := w.beats[id]; ok && beat > s.sign[id] {
				s.sign[id] = beat
			}
			if works && w.now-s.sign[id] >= loss {
				if n, err := lost(r.Job, w.date()); err == nil {
					_, _ = w.put(n, rev)
				}
			}
		}
	}
}

// modelRunner is a runner with one slot. step is where its program stands.
type modelRunner struct {
	name      string
	step      string
	wake      *modelWake
	rec       Record
	next      Job
	locks     map[string]uint64 // to take, with the revision expected
	void      []Record          // whose locks they are, never claimed
	token     uint64
	confirmed time.Duration
	reported  int
}

func (r *modelRunner) idle() {
	*r = modelRunner{name: r.name, step: "fetch"}
}

// drop acknowledges the wake-up.
func (r *modelRunner) drop() {
	r.wake.gone = true
	r.idle()
}

func (w *world) run(r *modelRunner) {
	// Its own clock is asked before whatever it does.
	if r.step == "work" && w.bug != noLimit && w.now-r.confirmed >= w.timing.Limit() {
		r.idle()
		return
	}
	switch r.step {
	case "fetch":
		for _, m := range w.wakes {
			free := m.by == nil || w.now-m.sign >= w.timing.Lease
			if !m.gone && free {
				m.by, m.sign = r, w.now
				r.wake, r.step = m, "read"
				return
			}
		}
	case "read":
		w.read(r)
	case "lock", "claim":
		w.claim(r)
	case "work":
		w.work(r)
	case "report":
		w.report(r)
	}
}

// report stores a result. Between the task and that any time may have passed.
func (w *world) report(r *modelRunner) {
	now := w.jobs[r.rec.ID]
	if now.Rev != r.token && w.bug != unfencedResult {
		r.idle()
		return
	}
	key := fmt.Sprintf("%s/%d", r.rec.ID, r.next.Attempt)
	if w.results[key]++; w.results[key] != r.reported {
		w.fail("%s: result %d is stored as number %d", r.me(), r.reported, w.results[key])
	}
	if now.Attempt != r.next.Attempt || now.Runner != r.name || now.State == Pending {
		w.fail("%s: a result is stored while the job is %s, attempt %d on %s", r.me(), now.State, now.Attempt, now.Runner)
	}
	r.step = "work"
}

func (r *modelRunner) me() string {
	return fmt.Sprintf("%s, attempt %d on %s", r.rec.ID, r.next.Attempt, r.name)
}

func (w *world) read(r *modelRunner) {
	rec := w.jobs[r.wake.ID]
	if rec.State == Running && w.bug == wakeTakesOver {
		rec.Job, _ = requeued(rec.Job, "")
	} else if rec.State != Pending || rec.Rev != r.wake.Rev {
		r.drop()
		return
	}
	r.rec, r.locks, r.void = rec, make(map[string]uint64), nil
	for _, h := range rec.Limit {
		l := w.locks[h]
		if l.job == rec.ID && rec.Holds() {
			continue
		}
		if owner := w.jobs[l.job]; l.job != rec.ID && owner.ID != "" {
			if owner.Holds() {
				w.notNow(r, rec)
				return
			}
			if owner.State == Pending && owner.Attempt == 0 && w.bug != freePending {
				r.void = append(r.void, owner)
			}
		}
		r.locks[h] = l.rev
	}
	n, err := claimed(rec.Job, r.name, r.wake.Nonce, rec.Limit, w.date())
	if err != nil {
		w.fail("claim: %w", err)
	}
	r.next, r.step = n, "lock"
	if len(r.locks) == 0 {
		r.step = "claim"
	}
}

// notNow gives the wake-up back; if the hosts were not known, they are now.
func (w *world) notNow(r *modelRunner, rec Record) {
	if r.wake.by = nil; !slices.Equal(rec.Hosts, rec.Limit) {
		n := rec.Job
		n.Hosts = rec.Limit
		_, _ = w.put(n, rec.Rev)
		r.wake.gone = true
	}
	// It comes again after the others.
	i := slices.Index(w.wakes, r.wake)
	w.wakes = append(slices.Delete(w.wakes, i, i+1), r.wake)
	r.idle()
}

// claim takes locks and record: in one step, or, for a single lock, in two.
func (w *world) claim(r *modelRunner) {
	batch := len(r.locks)+len(r.void) > 1 || len(r.locks) == 1 && r.rec.Attempt > 0
	if r.step == "lock" {
		for h, rev := range r.locks {
			if w.locks[h].rev != rev {
				r.idle()
				return
			}
		}
		for _, o := range append(r.void, r.rec) {
			if batch && w.jobs[o.ID].Rev != o.Rev {
				r.idle()
				return
			}
		}
		for _, o := range r.void {
			_, _ = w.put(o.Job, o.Rev)
		}
		for h := range r.locks {
			w.seq++
			w.locks[h] = lockAt{rev: w.seq, job: r.rec.ID}
		}
		if r.step = "claim"; !batch {
			return
		}
	}
	rev := r.rec.Rev
	if w.bug == noCompare {
		rev = w.jobs[r.rec.ID].Rev
	}
	token, err := w.put(r.next, rev)
	if err != nil {
		r.idle()
		return
	}
	r.token, r.confirmed, r.step = token, w.now, "work"
	for _, h := range r.next.Hosts {
		w.onHost[h] = r.me()
	}
	r.wake.gone = w.choose("the ack is lost", 3) > 0
}

// work does one thing of a run: a heartbeat, a task, or the end.
func (w *world) work(r *modelRunner) {
	fenced := w.jobs[r.rec.ID].Rev == r.token
	switch w.choose("work", 3) {
	case 0:
		if !fenced {
			r.idle()
			return
		}
		w.beats[r.rec.ID], r.confirmed = w.now, w.now
	case 1:
		for _, h := range r.next.Hosts {
			if w.onHost[h] != r.me() {
				w.fail("host %s: %s works after %s claimed it", h, r.me(), w.onHost[h])
			}
		}
		r.reported++
		r.step = "report"
	case 2:
		s := []State{Succeeded, Failed}[w.choose("outcome", 2)]
		if n, err := ended(r.next, s, "", w.date()); err == nil {
			if _, err := w.put(n, r.token); err != nil {
				r.idle()
				return
			}
		}
		r.idle()
	}
}

// simulate lets the world go its way, with faults, and then on without any until
// nothing is left to do.
func simulate(choose func(label string, n int) int, bug fault) error {
	w := &world{
		choose: choose, bug: bug, timing: DefaultTiming, jobs: make(map[string]Record), locks: make(map[string]lockAt),
		beats: make(map[string]time.Duration), results: make(map[string]int), onHost: make(map[string]string), sched: newModelScheduler(),
	}
	for i := range 3 {
		w.runners = append(w.runners, &modelRunner{name: fmt.Sprint("r", i), step: "fetch"})
		w.events = append(w.events, &modelEvent{id: fmt.Sprint("e", i)})
	}
	for range 150 {
		switch r := w.runners[w.choose("runner", len(w.runners))]; w.choose("who", 12) {
		case 0:
			if e := w.events[w.choose("event", len(w.events))]; !e.acked {
				w.dispatch(e)
			}
		case 1, 2, 3:
			w.schedule()
		case 4, 5, 6, 7, 8:
			w.run(r)
		case 9:
			w.now += time.Duration(1+w.choose("seconds", 12)) * time.Second
		case 10:
			r.idle() // it dies, and another one comes
		case 11:
			w.sched = newModelScheduler()
		}
		if w.err != nil {
			return w.err
		}
	}
	return w.finish()
}

// finish checks that what was promised comes true once nothing fails any more.
func (w *world) finish() error {
	quiet := func() bool {
		for _, e := range w.events {
			if !e.acked {
				return false
			}
		}
		for _, r := range w.jobs {
			if !r.State.Terminal() {
				return false
			}
		}
		return true
	}
	for range 3000 {
		if quiet() || w.err != nil {
			break
		}
		for _, e := range w.events {
			if !e.acked {
				w.dispatch(e)
			}
		}
		for range 6 {
			w.schedule()
		}
		for _, r := range w.runners {
			w.run(r)
		}
		w.now += time.Second
	}
	switch {
	case w.err != nil:
		return w.err
	case !quiet():
		for id, r := range w.jobs {
			if !r.State.Terminal() {
				return fmt.Errorf("%s does not come to an end: it is %s, attempt %d", id, r.State, r.Attempt)
			}
		}
		return errors.New("an event is not acknowledged")
	case len(w.jobs) != len(w.events):
		return fmt.Errorf("%d events made %d jobs", len(w.events), len(w.jobs))
	}
	return nil
}

// TestModel runs the protocol with faults at every step.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		choose := func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) }
		if err := simulate(choose, sound); err != nil {
			t.Fatal(err)
		}
	})
}

// TestModelFindsFaults plants faults: the model that could not find them would say
// nothing of their absence.
func TestModelFindsFaults(t *testing.T) {
	t.Parallel()
	for _, bug := range []fault{
		ackBeforeStore, wakeTakesOver, freePending, overtakeLost, unfencedResult, noLimit, hastyScheduler, noCompare,
	} {
		t.Run(string(bug), func(t *testing.T) {
			t.Parallel()
			rng := uint64(1)
			choose := func(_ string, n int) int {
				rng ^= rng << 13
				rng ^= rng >> 7
				rng ^= rng << 17
				return int(rng % uint64(n))
			}
			for range 20_000 {
				if err := simulate(choose, bug); err != nil {
					t.Log(err)
					return
				}
			}
			t.Error("it was not found")
		})
	}
}
