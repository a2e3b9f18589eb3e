package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// quick is a lease short enough to be lost in a test, and long enough not to be
// on a busy machine.
var quick = Timing{Lease: 2 * time.Second}

type lab struct {
	t      *testing.T
	server *busserver.Server
	bus    *bus.Bus
	queue  *Queue
	// stop stops the scheduler that newLab started.
	stop func()
}

func newLab(t *testing.T, needs ...map[string]string) *lab {
	t.Helper()
	s, b := bustest.Start(t)
	l := &lab{t: t, server: s, bus: b, queue: New(b, slog.New(slog.NewTextHandler(testWriter{t}, nil)))}
	for _, n := range append(needs, nil) {
		if err := l.queue.Open(t.Context(), n, quick); err != nil {
			t.Fatal(err)
		}
	}
	l.stop = l.schedule(&Scheduler{Queue: l.queue, Timing: quick})
	return l
}

// schedule runs a scheduler until the function it returns is called, or the test
// ends.
func (l *lab) schedule(s *Scheduler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			l.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	l.t.Cleanup(stop)
	return stop
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

// runner is a worker on a connection of its own, as a process would have.
type runner struct {
	bus  *bus.Bus
	stop context.CancelFunc
	done chan struct{}
}

func (l *lab) runner(name string, labels map[string]string, run func(context.Context, *Lease) Outcome) *runner {
	l.t.Helper()
	r := &runner{bus: bustest.Connect(l.t, l.server, busserver.RoleRunner, name), done: make(chan struct{})}
	w := &Worker{
		Queue: New(r.bus, l.queue.log.With(slog.String("worker", name))), Name: name, Labels: labels, Slots: 4,
		Prepare: func(_ context.Context, j Job) (Prepared, error) {
			if j.Playbook == "broken" {
				return Prepared{}, fmt.Errorf("%w: no such playbook", ErrTerminal)
			}
			return Prepared{Hosts: j.Limit, Run: run}, nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	var known sync.WaitGroup
	known.Go(func() {
		w.Queue.Register(ctx, func() RunnerInfo { return RunnerInfo{Name: name, Labels: labels, Slots: 4} })
	})
	go func() {
		defer close(r.done)
		defer known.Wait()
		if err := w.Work(ctx, nil); err != nil {
			l.t.Error(err)
		}
	}()
	l.t.Cleanup(func() { cancel(); <-r.done })
	return r
}

func (l *lab) submit(j Job) Record {
	l.t.Helper()
	if j.ID == "" {
		j.ID = NewID()
	}
	rec, _, err := l.queue.Submit(l.t.Context(), j)
	if err != nil {
		l.t.Fatal(err)
	}
	return rec
}

// end waits for a job to end and returns it with its results.
func (l *lab) end(id string) (Record, []events.TaskFinished) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	var last Record
	var results []events.TaskFinished
	for u, err := range l.queue.Watch(ctx, id, 0) {
		switch {
		case err != nil:
			l.t.Fatal(err)
		case u.Record != nil:
			last = *u.Record
		default:
			results = append(results, *u.Result)
		}
	}
	if !last.State.Terminal() {
		l.t.Fatalf("job %s is still %s", id, last.State)
	}
	return last, results
}

func report(ctx context.Context, t *testing.T, l *Lease, n int) {
	t.Helper()
	for i := range n {
		if err := l.Report(ctx, events.TaskFinished{Play: "p", Task: fmt.Sprint(i), Module: "m", Host: "h", Status: "matched"}, nil); err != nil {
			t.Logf("report: %v", err)
			return
		}
	}
}

func TestSubmitTwiceIsOneJob(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	id := ID("/src", "1", "rule", "")
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, created, err := l.queue.Submit(t.Context(), Job{ID: id, Playbook: "p", Limit: []string{"h"}})
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("created %d times", made.Load())
	}
	var runs atomic.Int64
	l.runner("r1", nil, func(ctx context.Context, l *Lease) Outcome {
		runs.Add(1)
		report(ctx, t, l, 100)
		return Outcome{State: Succeeded}
	})
	rec, results := l.end(id)
	if rec.State != Succeeded || rec.Attempt != 1 || runs.Load() != 1 {
		t.Errorf("%s, attempt %d, run %d times", rec.State, rec.Attempt, runs.Load())
	}
	if len(results) != 100 || rec.Results != 100 {
		t.Fatalf("%d results, the record says %d", len(results), rec.Results)
	}
	for i, r := range results {
		if r.Seq != i+1 || r.Task != fmt.Sprint(i) || r.Attempt != 1 || r.Job != id {
			t.Fatalf("result %d is %+v", i, r)
		}
	}
	// The doubled wake-ups are dropped, not kept for ever.
	deadline := time.Now().Add(10 * time.Second)
	for {
		s, err := l.bus.JS.Stream(t.Context(), bus.StreamJobs)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.CachedInfo().State.Msgs; n == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d wake-ups are left", n)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if runs.Load() != 1 {
		t.Errorf("run %d times", runs.Load())
	}
}

// TestRunnerLoss lets a runner die in the middle of a job: the other one takes
// over, and nothing the dead one still says is heard.
func TestRunnerLoss(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	started := make(chan *Lease, 1)
	var stopped atomic.Value
	dying := l.runner("dying", nil, func(ctx context.Context, lease *Lease) Outcome {
		report(ctx, t, lease, 1)
		started <- lease
		<-ctx.Done()
		stopped.Store(context.Cause(ctx))
		return Outcome{State: Failed, Reason: "stopped"}
	})
	rec := l.submit(Job{Playbook: "p", Limit: []string{"h1", "h2"}})
	lease := <-started
	for { // its first result must be on the bus
		if m, err := l.bus.Last(t.Context(), bus.StreamRuns, bus.ResultSubject(rec.ID)); err == nil && m.Seq > 0 {
			break
		}
	}
	lease.mu.Lock()
	token := lease.token
	lease.mu.Unlock()
	dying.bus.Conn.Close() // the network is gone; the process does not know
	l.runner("heir", nil, func(ctx context.Context, lease *Lease) Outcome {
		report(ctx, t, lease, 2)
		return Outcome{State: Succeeded}
	})
	got, results := l.end(rec.ID)
	if got.State != Succeeded || got.Attempt != 2 || got.Runner != "heir" {
		t.Errorf("%s by %s, attempt %d", got.State, got.Runner, got.Attempt)
	}
	var seen []string
	for _, r := range results {
		seen = append(seen, fmt.Sprintf("%d.%d", r.Attempt, r.Seq))
	}
	if want := []string{"1.1", "2.1", "2.2"}; !slices.Equal(seen, want) {
		t.Errorf("results %v, want %v", seen, want)
	}
	// The zombie's fence: its token is refused by the server, over a live line.
	late, err := newResult(lease.Job, events.TaskFinished{Job: rec.ID, Attempt: 1, Seq: 2, Host: "h"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	bus.ExpectSubjectSeq(late.msg, bus.StateSubject(rec.ID), token)
	if _, _, err := l.bus.Publish(t.Context(), late.msg); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a zombie's result: %v, want a conflict", err)
	}
	dying.stop()
	<-dying.done
	if cause, _ := stopped.Load().(error); !errors.Is(cause, ErrLeaseLost) {
		t.Errorf("the dying runner's work ended with %v, want the lease lost", cause)
	}
}

func TestRunnerLossPolicyFail(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	started := make(chan struct{}, 1)
	dying := l.runner("dying", nil, func(ctx context.Context, _ *Lease) Outcome {
		started <- struct{}{}
		<-ctx.Done()
		return Outcome{State: Failed}
	})
	rec := l.submit(Job{Playbook: "p", Limit: []string{"h"}, OnRunnerLoss: LossFail})
	<-started
	dying.bus.Conn.Close()
	l.runner("heir", nil, func(context.Context, *Lease) Outcome {
		t.Error("the job ran again")
		return Outcome{State: Succeeded}
	})
	if got, _ := l.end(rec.ID); got.State != Failed || got.Attempt != 1 {
		t.Errorf("%s, attempt %d: %s", got.State, got.Attempt, got.Reason)
	}
}

// TestHostLocks runs jobs that share hosts on several runners and checks that no
// two are ever on one host at a time.
func TestHostLocks(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var mu sync.Mutex
	busy := map[string]string{}
	run := func(_ context.Context, lease *Lease) Outcome {
		mu.Lock()
		for _, h := range lease.Job.Hosts {
			if other := busy[h]; other != "" {
				t.Errorf("jobs %s and %s are both on %s", other, lease.Job.ID, h)
			}
			busy[h] = lease.Job.ID
		}
		mu.Unlock()
		time.Sleep(5 * time.Millisecond) // work
		mu.Lock()
		for _, h := range lease.Job.Hosts {
			busy[h] = ""
		}
		mu.Unlock()
		return Outcome{State: Succeeded}
	}
	for i := range 3 {
		l.runner(fmt.Sprintf("r%d", i), nil, run)
	}
	var ids []string
	for i := range 24 {
		hosts := []string{fmt.Sprintf("h%d", i%3), fmt.Sprintf("h%d", (i+1)%3), fmt.Sprintf("x%d", i)}
		if i%2 == 0 { // jobs on one host are claimed in another way
			hosts = hosts[:1]
		}
		ids = append(ids, l.submit(Job{Playbook: "p", Limit: hosts}).ID)
	}
	for _, id := range ids {
		if got, _ := l.end(id); got.State != Succeeded || got.Attempt != 1 {
			t.Errorf("job %s: %s, attempt %d", id, got.State, got.Attempt)
		}
	}
}

// TestClaimHalfDone leaves a job on one host as a crash between its lock and its
// record does: it runs once, and the job that waits for the host runs after it.
func TestClaimHalfDone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	half := Job{ID: NewID(), State: Pending, Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}, Created: time.Now()}
	if _, err := l.queue.put(t.Context(), half, 0); err != nil {
		t.Fatal(err)
	}
	c := claim{w: &Worker{Queue: l.queue}}
	lock, err := c.lock(t.Context(), bus.HostLockSubject("h"), half)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.bus.PublishBatch(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	l.runner("r", nil, func(_ context.Context, lease *Lease) Outcome {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, lease.Job.ID)
		return Outcome{State: Succeeded}
	})
	waits := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}})
	for _, id := range []string{half.ID, waits.ID} {
		if got, _ := l.end(id); got.State != Succeeded || got.Attempt != 1 {
			t.Errorf("job %s: %s, attempt %d", id, got.State, got.Attempt)
		}
	}
	if want := []string{half.ID, waits.ID}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	waiting := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	if rec, err := l.queue.Cancel(t.Context(), waiting.ID, "not needed"); err != nil || rec.State != Cancelled {
		t.Errorf("cancel a pending job: %s, %v", rec.State, err)
	}
	if _, err := l.queue.Cancel(t.Context(), waiting.ID, "again"); err == nil {
		t.Error("cancelled twice")
	}
	started := make(chan struct{})
	running := sync.OnceFunc(func() { close(started) })
	var cause atomic.Value
	l.runner("r", nil, func(ctx context.Context, lease *Lease) Outcome {
		if lease.Job.ID == waiting.ID {
			t.Error("a cancelled job ran")
		}
		report(ctx, t, lease, 1)
		running()
		<-ctx.Done()
		cause.Store(context.Cause(ctx))
		report(context.Background(), t, lease, 1) // what was under way is still told
		return Outcome{State: Failed, Reason: "stopped"}
	})
	rec := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	<-started
	if got, err := l.queue.Cancel(t.Context(), rec.ID, "stop it"); err != nil || got.State != Cancelling {
		t.Fatalf("cancel a running job: %s, %v", got.State, err)
	}
	got, results := l.end(rec.ID)
	if got.State != Cancelled || got.Reason != "the job was cancelled: stop it" || len(results) != 2 {
		t.Errorf("%s (%s) with %d results", got.State, got.Reason, len(results))
	}
	if c, _ := cause.Load().(error); !errors.Is(c, ErrCancelled) {
		t.Errorf("the run ended with %v", c)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.runner("r", nil, func(ctx context.Context, _ *Lease) Outcome {
		<-ctx.Done()
		return Outcome{State: Failed, Reason: context.Cause(ctx).Error()}
	})
	rec := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Timeout: 50 * time.Millisecond})
	if got, _ := l.end(rec.ID); got.State != TimedOut {
		t.Errorf("%s: %s", got.State, got.Reason)
	}
}

// TestHandOver stops a runner in the middle of a job: the job is another's at
// once, without waiting for a lease to run out.
func TestHandOver(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	started := make(chan struct{}, 1)
	first := l.runner("first", nil, func(ctx context.Context, _ *Lease) Outcome {
		started <- struct{}{}
		<-ctx.Done()
		return Outcome{State: Failed, Reason: context.Cause(ctx).Error()}
	})
	rec := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	<-started
	first.stop()
	<-first.done
	if got, err := l.queue.Get(t.Context(), rec.ID); err != nil || got.State != Pending {
		t.Fatalf("after the first runner stopped: %s, %v", got.State, err)
	}
	l.runner("second", nil, func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} })
	if got, _ := l.end(rec.ID); got.State != Succeeded || got.Runner != "second" || got.Attempt != 2 {
		t.Errorf("%s by %s, attempt %d", got.State, got.Runner, got.Attempt)
	}
}

func TestPrepareFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.runner("r", nil, func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} })
	rec := l.submit(Job{Playbook: "broken"})
	if got, _ := l.end(rec.ID); got.State != Failed || got.Reason != "the job cannot run: no such playbook" || got.Attempt != 0 {
		t.Errorf("%s, attempt %d: %s", got.State, got.Attempt, got.Reason)
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	fra := map[string]string{"site": "fra"}
	l := newLab(t, fra)
	ok := func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} }
	l.runner("ams", map[string]string{"site": "ams"}, ok)
	picky := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Needs: fra})
	plain := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	if got, _ := l.end(plain.ID); got.Runner != "ams" {
		t.Errorf("the plain job ran on %s", got.Runner)
	}
	if got, err := l.queue.Get(t.Context(), picky.ID); err != nil || got.State != Pending {
		t.Errorf("the job for fra is %s, %v", got.State, err)
	}
	l.runner("fra", fra, ok)
	if got, _ := l.end(picky.ID); got.Runner != "fra" {
		t.Errorf("the job for fra ran on %s", got.Runner)
	}
}

// TestTwoSchedulers lets two buses schedule the same jobs: each runs once.
func TestTwoSchedulers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.schedule(&Scheduler{Queue: l.queue, Timing: quick})
	var runs atomic.Int64
	l.runner("r", nil, func(context.Context, *Lease) Outcome { runs.Add(1); return Outcome{State: Succeeded} })
	var ids []string
	for i := range 20 {
		ids = append(ids, l.submit(Job{Playbook: "p", Limit: []string{fmt.Sprint("h", i%3)}}).ID)
	}
	for _, id := range ids {
		if got, _ := l.end(id); got.State != Succeeded || got.Attempt != 1 {
			t.Errorf("%s, attempt %d", got.State, got.Attempt)
		}
	}
	if got := int(runs.Load()); got != len(ids) {
		t.Errorf("%d jobs run %d times", len(ids), got)
	}
}

// TestBusRestart restarts the bus under a running job: the runner keeps it, and
// every result arrives once.
func TestBusRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	half := make(chan struct{})
	reached := sync.OnceFunc(func() { close(half) }) // on a slow machine the lease is lost, and the job runs again
	back := make(chan struct{})
	l.runner("r", nil, func(ctx context.Context, lease *Lease) Outcome {
		report(ctx, t, lease, 20)
		reached()
		report(ctx, t, lease, 20)
		select {
		case <-back:
		case <-ctx.Done():
		}
		report(ctx, t, lease, 20)
		return Outcome{State: Succeeded}
	})
	rec := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	<-half
	bustest.Restart(t, l.server)
	close(back)
	got, results := l.end(rec.ID)
	if got.State != Succeeded {
		t.Fatalf("%s: %s", got.State, got.Reason)
	}
	last := map[int]int{}
	for _, r := range results {
		if r.Seq != last[r.Attempt]+1 {
			t.Fatalf("result %d.%d after %d", r.Attempt, r.Seq, last[r.Attempt])
		}
		last[r.Attempt] = r.Seq
	}
	if last[got.Attempt] != 60 {
		t.Errorf("%d results of attempt %d", last[got.Attempt], got.Attempt)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	rb := bustest.Connect(t, l.server, busserver.RoleRunner, "r1")
	wg.Go(func() {
		New(rb, nil).Register(ctx, func() RunnerInfo { return RunnerInfo{Name: "r1", Slots: 3} })
	})
	for {
		list, err := l.queue.Runners(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 && list[0].Name == "r1" && list[0].Slots == 3 && !list[0].Seen.IsZero() {
			break
		}
	}
	cancel()
	wg.Wait()
	if list, err := l.queue.Runners(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("after it stopped: %v, %v", list, err)
	}
}

// TestTwins registers two runners of one name: each is told of the other, and one that
// starts again after a crash is not.
func TestTwins(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rb := bustest.Connect(t, l.server, busserver.RoleRunner, "r1")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var text strings.Builder
	q := New(rb, slog.New(slog.NewTextHandler(&text, nil)))
	older, newer := RunnerInfo{Name: "r1", Started: time.Unix(1, 0)}, RunnerInfo{Name: "r1", Started: time.Unix(2, 0)}
	first, err := q.announce(ctx, older, 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := q.announce(ctx, newer, 0) // as after a crash
	if err != nil || second == first {
		t.Fatalf("revision %d, %v", second, err)
	}
	if _, err := q.announce(ctx, newer, second); err != nil {
		t.Fatal(err)
	}
	if _, err := q.announce(ctx, older, first); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("the older one is not told of the newer: %v", err)
	}
	q.tellTwin(ctx, newer)
	if text.String() != "" {
		t.Errorf("it is its own twin: %s", &text)
	}
	q.tellTwin(ctx, older)
	if !strings.Contains(text.String(), "another runner has the same name") {
		t.Errorf("no word of the twin: %q", &text)
	}
}

// A record that cannot be read hides none of the others, and is told of; what came
// after it counts.
func TestListWithRecordsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	q := l.queue
	good, bad, foreign, healed := paddedID('a'), paddedID('b'), paddedID('c'), paddedID('d')
	spoil := func(id, text string) {
		t.Helper()
		if _, _, err := l.bus.Publish(t.Context(), &nats.Msg{Subject: bus.StateSubject(id), Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := q.Submit(t.Context(), Job{ID: good}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Submit(t.Context(), Job{ID: bad}); err != nil {
		t.Fatal(err)
	}
	spoil(bad, "{")
	spoil(foreign, `{"id":"`+good+`","state":"dead"}`)
	spoil(healed, "{")
	spoil(healed, `{"id":"`+healed+`","state":"dead"}`)
	list, err := q.List(t.Context(), ListOptions{})
	if !errors.Is(err, ErrUnreadable) || strings.Count(err.Error(), "\n") != 1 ||
		!strings.Contains(err.Error(), bus.StateSubject(bad)+" at sequence 3: ") || !strings.Contains(err.Error(), bus.StateSubject(foreign)+" at sequence 4: ") {
		t.Errorf("error %v", err)
	}
	if len(list) != 2 || list[0].ID != good || list[0].State != Pending || list[1].ID != healed {
		t.Errorf("jobs %+v", list)
	}
	if r, err := q.Find(t.Context(), good[:4]); err != nil || r.ID != good {
		t.Errorf("found %s, %v", r.ID, err)
	}
	if _, err := q.Find(t.Context(), bad[:4]); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a job that cannot be read is found: %v", err)
	}
	if why, err := q.Waiting(t.Context(), list[0]); err != nil || why == "" {
		t.Errorf("waits for %q, %v", why, err)
	}
}

func TestCheckRefusesLargeRecords(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	j := Job{ID: NewID(), Vars: map[string]any{"v": strings.Repeat("x", MaxRecord)}}
	if _, _, err := l.queue.Submit(t.Context(), j); !errors.Is(err, ErrTooLarge) {
		t.Errorf("submit: %v", err)
	}
	if _, err := l.queue.Get(t.Context(), j.ID); !errors.Is(err, ErrNoJob) {
		t.Errorf("afterwards: %v", err)
	}
}
