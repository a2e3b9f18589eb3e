package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// defaultMaxOpen bounds the jobs that have not ended: when there are more, no
	// further events are judged until there are less again.
	defaultMaxOpen = 20_000
	// wakeWindow is how many jobs of a queue are handed out ahead of its runners.
	// More would be claimed no sooner, and overtaken no longer.
	wakeWindow = 64
	// actors bounds the writes that are under way at once.
	actors = 16
	// maxRecords is how many bytes of records are kept for wake-ups.
	maxRecords = 8 << 20
	// retryAction is how long after a write that failed it is tried again.
	retryAction = time.Second
)

// Scheduler decides whose turn it is and wakes runners for it. It follows the
// states of all jobs; it ends those that nobody approved, that are skipped or
// replaced, and takes back those whose runner fell silent.
//
// One is enough, and jet-bus runs one at a time. Should two run for a while, which
// a paused process can bring about, they send wake-ups that are dropped: every
// transition is a compare-and-set, and locks are the runners' own.
type Scheduler struct {
	Queue *Queue
	// Timing is that of the queues.
	Timing Timing
	// Paused yields the rules and queues that hand out nothing, at once and
	// whenever that changes, until its context ends. Nil means that none do.
	Paused func(ctx context.Context, tell func(rules, queues map[string]bool)) error
	// MaxOpen bounds the jobs that have not ended; zero means 20,000.
	MaxOpen int

	plan *plan
	open map[string]*openJob
	// locks are free, as far as the records tell.
	locks knownLocks
	// records is how many bytes the records of open jobs have.
	records int
	// seen is the sequence up to which the states are known.
	seen    uint64
	held    bool // the events' consumer is paused
	holdEnd time.Time
	kept    mark // as stored last
	ready   bool // what is paused is known
	// What is paused, and the queues that no runner has served for a while.
	pausedRules, pausedQueues, unserved map[string]bool
	// missed is since when a queue has had no runner.
	missed map[string]time.Time
	done   <-chan struct{}

	inbox   chan func()
	actions chan func(context.Context) error
	queued  []func(context.Context) error
}

// openJob is what the scheduler knows of a job that has not ended.
type openJob struct {
	rev uint64
	job brief
	// timer is for what the job waits for: the end of a delay or of an approval,
	// or the repetition of a write that failed.
	timer *time.Timer
	// since is when we learned of the revision, alive when we last saw a sign of
	// life; both by our own clock.
	since, alive time.Time
	// sign is the sequence of that sign.
	sign   uint64
	acting bool // a transition is being written
	// record is what the wake-up brings along, or nil.
	record []byte
}

// brief is a job without what the scheduler does not need, its variables above all.
type brief struct {
	ID          string            `json:"id"`
	Rule        string            `json:"rule"`
	Needs       map[string]string `json:"needs"`
	Priority    int               `json:"priority"`
	Approval    *Approval         `json:"approval"`
	Concurrency *Concurrency      `json:"concurrency"`
	SharesHosts bool              `json:"shares_hosts"`
	State       State             `json:"state"`
	First       uint64            `json:"first"`
	Attempt     int               `json:"attempt"`
	Delay       time.Duration     `json:"delay_ns"`
	Runner      string            `json:"runner"`
	Hosts       []string          `json:"hosts"`
	Lock        uint64            `json:"lock"`
}

// Run schedules until ctx ends. It outlasts a bus that does not answer, or that is
// behind what was seen of it: it takes stock anew then.
func (s *Scheduler) Run(ctx context.Context) error {
	for {
		err := s.once(ctx)
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to stop
		}
		if errors.Is(err, bus.ErrDenied) || s.Queue.bus.Conn.IsClosed() {
			return err
		}
		s.Queue.log.Warn("jobs are not scheduled at the moment", slog.Any("err", err))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryAction):
		}
	}
}

func (s *Scheduler) once(ctx context.Context) error {
	*s = Scheduler{Queue: s.Queue, Timing: s.Timing, Paused: s.Paused, MaxOpen: s.MaxOpen} // of an earlier run nothing counts
	s.plan, s.open = newPlan(wakeWindow), make(map[string]*openJob)
	s.inbox, s.actions = make(chan func(), 256), make(chan func(context.Context) error)
	if s.MaxOpen == 0 {
		s.MaxOpen = defaultMaxOpen
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.done = ctx.Done()
	var wg sync.WaitGroup
	defer func() {
		cancel(nil)
		wg.Wait()
		for _, j := range s.open {
			j.stop()
		}
	}()
	if err := s.recover(ctx); err != nil {
		return fmt.Errorf("take stock of the jobs: %w", err)
	}
	start := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
		})
	}
	from := s.seen + 1
	start(func(ctx context.Context) error { return s.followStates(ctx, from) })
	start(func(ctx context.Context) error { return s.followHeartbeats(ctx, from) })
	if s.ready = s.Paused == nil; !s.ready {
		start(s.followPauses)
	}
	start(s.followRunners)
	for range actors {
		start(s.act)
	}
	return s.loop(ctx)
}

// loop owns the plan: everything that happens comes through it.
func (s *Scheduler) loop(ctx context.Context) error {
	tick := time.NewTicker(max(s.Timing.Lease/10, 50*time.Millisecond))
	defer tick.Stop()
	chores := time.NewTicker(choresEvery)
	defer chores.Stop()
	for {
		s.release()
		var actions chan func(context.Context) error
		var first func(context.Context) error
		if len(s.queued) > 0 {
			actions, first = s.actions, s.queued[0]
		}
		select {
		case <-ctx.Done():
			s.keepLast(ctx)
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		case f := <-s.inbox:
			f()
		case actions <- first:
			s.queued = s.queued[1:]
		case <-tick.C:
			s.checkSigns()
			s.holdEvents()
		case <-chores.C:
			s.chores()
		}
	}
}

// tell has f run by the loop.
func (s *Scheduler) tell(ctx context.Context, f func()) {
	select {
	case s.inbox <- f:
	case <-ctx.Done():
	}
}

// act carries out what the loop asks for.
func (s *Scheduler) act(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-s.actions:
			if err := f(ctx); err != nil && ctx.Err() == nil {
				s.Queue.log.Warn("scheduler", slog.Any("err", err))
			}
		}
	}
}

func (s *Scheduler) do(f func(context.Context) error) { s.queued = append(s.queued, f) }

func (s *Scheduler) followStates(ctx context.Context, from uint64) error {
	for m, err := range s.Queue.bus.Tail(ctx, bus.StreamRuns, bus.AllStates, bus.TailOptions{From: from, Follow: true}) {
		if err != nil {
			return fmt.Errorf("follow jobs: %w", err)
		}
		if b, ok := s.briefOf(m); ok {
			s.tell(ctx, func() { s.learn(b, m, false) })
		}
	}
	return nil
}

// briefOf decodes a state. One that cannot be read is nobody's: it must not keep
// all other jobs from their turns.
func (s *Scheduler) briefOf(m bus.Msg) (brief, bool) {
	var b brief
	if err := json.Unmarshal(m.Data, &b); err != nil || bus.StateSubject(b.ID) != m.Subject {
		s.Queue.log.Error("a job's record cannot be read", slog.String("subject", m.Subject), slog.Uint64("seq", m.Seq), slog.Any("err", err))
		return b, false
	}
	if b.First == 0 {
		b.First = m.Seq
	}
	return b, true
}

func (s *Scheduler) followHeartbeats(ctx context.Context, from uint64) error {
	for m, err := range s.Queue.bus.Tail(ctx, bus.StreamRuns, bus.AllHeartbeats, bus.TailOptions{From: from, Follow: true}) {
		if err != nil {
			return fmt.Errorf("follow heartbeats: %w", err)
		}
		s.tell(ctx, func() {
			if j := s.open[bus.JobOf(m.Subject)]; j != nil {
				j.sign, j.alive = m.Seq, time.Now()
			}
		})
	}
	return nil
}

func (s *Scheduler) followPauses(ctx context.Context) error {
	return s.Paused(ctx, func(rules, queues map[string]bool) {
		s.tell(ctx, func() {
			s.ready = true
			s.pausedRules, s.pausedQueues = rules, queues
			s.withhold()
		})
	})
}

// learn takes in the revision of a job that is stored in m. past is true for what
// was stored before we began.
func (s *Scheduler) learn(b brief, m bus.Msg, past bool) {
	s.seen = max(s.seen, m.Seq)
	old := s.open[b.ID]
	if old != nil && old.rev >= m.Seq {
		return
	}
	if old != nil {
		old.stop()
		s.records -= len(old.record)
	}
	if b.State.Terminal() {
		if subject := b.onlyLock(); subject != "" && b.Lock > 0 {
			s.locks.free([]heldLock{{subject, b.Lock}})
		}
		delete(s.open, b.ID)
		s.plan.remove(b.ID)
		return
	}
	now := time.Now()
	j := &openJob{rev: m.Seq, job: b, since: now, alive: now, sign: m.Seq}
	if size := len(m.Data); b.State == Pending && size <= maxCarried && s.records+size <= maxRecords {
		j.record = m.Data
		s.records += size
	}
	s.open[b.ID] = j
	e := b.entry()
	switch {
	case b.State == Pending && b.Delay > 0:
		e.delayed = true
		s.after(j, left(b.Delay, m.Time, past), func() {
			e.delayed = false
			s.plan.set(e)
		})
	case b.State == Unapproved && b.Approval != nil && b.Approval.Expires > 0:
		s.after(j, left(b.Approval.Expires, m.Time, past), func() { s.expire(j) })
	}
	s.plan.set(e)
	if !past && b.State == Pending && (old == nil || old.job.State == Unapproved) {
		s.admit(j)
	}
}

// onlyLock is the lock that the job needs, if it is one.
func (b brief) onlyLock() string {
	subjects := lockSubjects(Job{Concurrency: b.Concurrency, SharesHosts: b.SharesHosts, Hosts: b.Hosts})
	if len(subjects) != 1 {
		return ""
	}
	return subjects[0]
}

func (b brief) entry() entry {
	e := entry{id: b.ID, first: b.First, priority: b.Priority, rule: b.Rule, queue: NameFor(b.Needs), state: b.State}
	e.keeps = b.State == Pending && Job{State: b.State, Attempt: b.Attempt, Delay: b.Delay}.Holds()
	if b.Concurrency != nil {
		e.key, e.policy = b.Concurrency.Key, b.Concurrency.Policy
	}
	if !b.SharesHosts {
		e.hosts = b.Hosts
	}
	return e
}

// left is what remains of d. Only for what was stored before we began does that
// take the wall clock; however wrong it is, nothing waits longer than it should
// have from the beginning.
func left(d time.Duration, at time.Time, past bool) time.Duration {
	if !past {
		return d
	}
	return min(max(d-time.Since(at), 0), d)
}

// after has f run by the loop once d has passed, if the job has not moved on.
func (s *Scheduler) after(j *openJob, d time.Duration, f func()) {
	j.stop()
	inbox, done := s.inbox, s.done // of this run, which the timer may outlive
	j.timer = time.AfterFunc(d, func() {
		select {
		case inbox <- func() {
			if s.open[j.job.ID] == j {
				f()
			}
		}:
		case <-done:
		}
	})
}

// later is after for those who are not the loop.
func (s *Scheduler) later(ctx context.Context, j *openJob, f func()) {
	s.tell(ctx, func() { s.after(j, retryAction, f) })
}

func (j *openJob) stop() {
	if j.timer != nil {
		j.timer.Stop()
	}
}

// admit carries out the policy of a job that has just come to wait for its key.
func (s *Scheduler) admit(j *openJob) {
	e := s.plan.jobs[j.job.ID]
	older := s.plan.older(e)
	if len(older) == 0 {
		return
	}
	switch e.policy {
	case Skip:
		by := older[len(older)-1].id
		s.change(j, "skip", func(r Job) (Job, error) {
			return finished(r, Skipped, fmt.Sprintf("job %s has the concurrency key %q", by, e.key), s.Queue.now())
		})
	case Replace:
		for _, o := range older {
			if other := s.open[o.id]; other.job.State != Cancelling {
				s.change(other, "replace", func(r Job) (Job, error) {
					return cancelRequested(r, fmt.Sprintf("replaced by job %s, which has the same concurrency key %q", e.id, e.key), s.Queue.now())
				})
			}
		}
	case Line:
	}
}

func (s *Scheduler) expire(j *openJob) {
	s.change(j, "expire", func(r Job) (Job, error) {
		return finished(r, Cancelled, fmt.Sprintf("nobody approved it within %s", j.job.Approval.Expires), s.Queue.now())
	})
}

// change makes a transition of the job as we know it. If somebody was faster, the
// record tells, and we learn of it.
func (s *Scheduler) change(j *openJob, what string, next func(Job) (Job, error)) {
	if j.acting {
		return
	}
	j.acting = true
	q := s.Queue
	s.do(func(ctx context.Context) error {
		err := func() error {
			r, err := q.Get(ctx, j.job.ID)
			if err != nil || r.Rev != j.rev {
				return err
			}
			n, err := next(r.Job)
			if err != nil {
				return err
			}
			_, err = q.put(ctx, n, r.Rev)
			if errors.Is(err, bus.ErrConflict) {
				return nil
			}
			if err == nil {
				q.hurry(n)
			}
			return err
		}()
		if err == nil {
			return nil // acting it stays: the next revision replaces this one
		}
		s.later(ctx, j, func() {
			j.acting = false
			s.change(j, what, next)
		})
		return fmt.Errorf("%s job %s: %w", what, j.job.ID, err)
	})
}

// release wakes runners for the jobs whose turn it is.
func (s *Scheduler) release() {
	if !s.ready || len(s.queued) > wakeWindow {
		return // the bus is slow; what is decided late is decided better
	}
	for _, e := range s.plan.next() {
		j := s.open[e.id]
		if j.acting {
			continue // it is about to end, and keeps its turn until then
		}
		j.since = time.Now()
		lock, _ := s.locks.use(j.job.onlyLock())
		s.do(func(ctx context.Context) error {
			err := s.Queue.wake(ctx, e.queue, wakeup{ID: e.id, Rev: j.rev, Job: j.record, Lock: lock})
			if err != nil {
				s.later(ctx, j, func() { s.plan.release(e, false) })
			}
			return err
		})
	}
}
