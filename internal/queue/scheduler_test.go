package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// diary notes who ran, in order.
type diary struct {
	mu  sync.Mutex
	ran []string
}

func (d *diary) run(_ context.Context, l *Lease) Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran = append(d.ran, l.Job.ID)
	return Outcome{State: Succeeded}
}

// state waits until a job is in a state.
func (l *lab) state(id string, want State) Record {
	l.t.Helper()
	var last Record
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := l.queue.Get(l.t.Context(), id)
		if err != nil {
			l.t.Fatal(err)
		}
		if last = r; r.State == want {
			return r
		}
	}
	l.t.Fatalf("job %s is %s (%s), want %s", id, last.State, last.Reason, want)
	return last
}

// TestOrder makes jobs before there is a runner: those for one host run in the
// order in which they were made, one of higher priority before them.
func TestOrder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var want []string
	for range 12 {
		want = append(want, l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}}).ID)
	}
	first := l.state(want[0], Pending)
	urgent := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}, Priority: 1}).ID
	var d diary
	for _, name := range []string{"a", "b"} {
		l.runner(name, nil, d.run)
	}
	for _, id := range append(want, urgent) {
		if got, _ := l.end(id); got.State != Succeeded || got.Attempt != 1 {
			t.Errorf("job %s: %s, attempt %d", id, got.State, got.Attempt)
		}
	}
	// The first one may have been handed out before the urgent one came.
	i := slices.Index(d.ran, urgent)
	if i > 1 || i == 1 && d.ran[0] != first.ID {
		t.Errorf("the urgent job ran as number %d", i+1)
	}
	if got := slices.Delete(d.ran, i, i+1); !slices.Equal(got, want) {
		t.Errorf("order\n%v, want\n%v", got, want)
	}
}

// TestConcurrencyKey runs jobs with one key on different hosts.
func TestConcurrencyKey(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{Line, Skip, Replace} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			started, goOn := make(chan string, 8), make(chan struct{})
			l.runner("r", nil, func(ctx context.Context, lease *Lease) Outcome {
				started <- lease.Job.ID
				select {
				case <-goOn:
					return Outcome{State: Succeeded}
				case <-ctx.Done():
					return Outcome{State: Failed, Reason: "stopped"}
				}
			})
			job := func(host string) string {
				return l.submit(Job{
					Playbook: "p", Limit: []string{host}, Concurrency: &Concurrency{Key: "app", Policy: policy},
				}).ID
			}
			one := job("a")
			if got := <-started; got != one {
				t.Fatalf("%s runs first", got)
			}
			two := job("b")
			switch policy {
			case Line:
				other := l.submit(Job{Playbook: "p", Limit: []string{"c"}}).ID
				if got := <-started; got != other {
					t.Errorf("%s runs beside the first", got)
				}
				close(goOn)
				l.state(one, Succeeded)
				l.state(two, Succeeded)
			case Skip:
				if got := l.state(two, Skipped); !strings.Contains(got.Reason, one) {
					t.Errorf("reason %q does not name job %s", got.Reason, one)
				}
				close(goOn)
				l.state(one, Succeeded)
				three := job("b")
				l.state(three, Succeeded)
			case Replace:
				if got := l.state(one, Cancelled); !strings.Contains(got.Reason, two) {
					t.Errorf("reason %q does not name job %s", got.Reason, two)
				}
				close(goOn)
				l.state(two, Succeeded)
			}
		})
	}
}

// TestRetry runs a job until it succeeds, and one until it is given up.
func TestRetry(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.runner("r", nil, func(_ context.Context, lease *Lease) Outcome {
		if lease.Job.Playbook == "third" && lease.Job.Attempt == 3 {
			return Outcome{State: Succeeded}
		}
		return Outcome{State: Failed, Reason: "no luck"}
	})
	retry := &Retry{Attempts: 3, Backoff: time.Millisecond}
	good := l.submit(Job{Playbook: "third", Limit: []string{"a"}, Retry: retry})
	bad := l.submit(Job{Playbook: "never", Limit: []string{"b"}, Retry: retry})
	if got, _ := l.end(good.ID); got.State != Succeeded || got.Attempt != 3 || got.Failures != 2 {
		t.Errorf("%s after attempt %d, %d failures", got.State, got.Attempt, got.Failures)
	}
	got, _ := l.end(bad.ID)
	if got.State != Dead || got.Attempt != 3 || !strings.Contains(got.Reason, "no luck") {
		t.Errorf("%s after attempt %d: %s", got.State, got.Attempt, got.Reason)
	}
	next, fresh, err := l.queue.Again(t.Context(), bad.ID)
	if err != nil || !fresh || next.RetryOf != bad.ID {
		t.Fatalf("run again: %+v, fresh %t, %v", next, fresh, err)
	}
	if twice, fresh, err := l.queue.Again(t.Context(), bad.ID); err != nil || fresh || twice.ID != next.ID {
		t.Errorf("run again twice: job %s, fresh %t, %v", twice.ID, fresh, err)
	}
}

// TestRetryFreesItsHosts lets another job have the host while one waits for its
// repetition, and keeps its place before those with its key.
func TestRetryFreesItsHosts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var d diary
	l.runner("r", nil, func(ctx context.Context, lease *Lease) Outcome {
		if lease.Job.Playbook == "second" && lease.Job.Attempt == 1 {
			return Outcome{State: Failed, Reason: "no luck"}
		}
		return d.run(ctx, lease)
	})
	key := &Concurrency{Key: "app"}
	one := l.submit(Job{
		Playbook: "second", Limit: []string{"h"}, Hosts: []string{"h"}, Concurrency: key, Retry: &Retry{Attempts: 2, Backoff: 3 * time.Second},
	})
	waits := l.state(one.ID, Pending)
	for waits.Delay == 0 {
		waits = l.state(one.ID, Pending)
	}
	same := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}, Concurrency: key})
	other := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}})
	for _, j := range []Record{one, same, other} {
		if got, _ := l.end(j.ID); got.State != Succeeded {
			t.Errorf("%s: %s", got.State, got.Reason)
		}
	}
	if want := []string{other.ID, one.ID, same.ID}; !slices.Equal(d.ran, want) {
		t.Errorf("order %v, want %v", d.ran, want)
	}
}

// TestApproval lets nothing run that nobody approved.
func TestApproval(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var d diary
	l.runner("r", nil, d.run)
	job := func(expires time.Duration) string {
		return l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}, Approval: &Approval{Expires: expires}}).ID
	}
	yes, no, late := job(0), job(time.Hour), job(50*time.Millisecond)
	if got := l.state(late, Cancelled); !strings.Contains(got.Reason, "nobody approved it within 50ms") {
		t.Errorf("expired: %q", got.Reason)
	}
	if _, err := l.queue.Reject(t.Context(), no, "not today"); err != nil {
		t.Fatal(err)
	}
	if got := l.state(yes, Unapproved); got.Attempt != 0 {
		t.Errorf("attempt %d of what nobody approved", got.Attempt)
	}
	if _, err := l.queue.Approve(t.Context(), yes, "ops"); err != nil {
		t.Fatal(err)
	}
	if got := l.state(yes, Succeeded); got.ApprovedBy != "ops" {
		t.Errorf("approved by %q", got.ApprovedBy)
	}
	if _, err := l.queue.Approve(t.Context(), no, "ops"); err == nil {
		t.Error("a rejected job can be approved")
	}
	if want := []string{yes}; !slices.Equal(d.ran, want) {
		t.Errorf("run: %v, want %v", d.ran, want)
	}
}

// TestSchedulerRestart stops the scheduler with jobs in every state: its successor
// goes on where it was, without reading everything.
func TestSchedulerRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stop()
	var d diary
	stop := l.schedule(&Scheduler{Queue: l.queue, Timing: quick})
	l.runner("r", nil, d.run)
	done := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	l.end(done.ID)
	asks := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Approval: &Approval{}})
	picky := l.submit(Job{Playbook: "p", Limit: []string{"i"}, Needs: map[string]string{"no": "where"}})
	stop()
	while := l.submit(Job{Playbook: "p", Limit: []string{"h"}})
	s := &Scheduler{Queue: l.queue, Timing: quick}
	m, err := s.mark(t.Context())
	if err != nil || m.From <= done.Rev {
		t.Errorf("the mark is %+v, %v; the ended job's was %d", m, err, done.Rev)
	}
	l.schedule(s)
	l.state(while.ID, Succeeded)
	if _, err := l.queue.Approve(t.Context(), asks.ID, "ops"); err != nil {
		t.Fatal(err)
	}
	l.state(asks.ID, Succeeded)
	if want := []string{done.ID, while.ID, asks.ID}; !slices.Equal(d.ran, want) {
		t.Errorf("run: %v, want %v", d.ran, want)
	}
	l.state(picky.ID, Pending)
}

// TestLossWithoutSuccessor notices that the only runner died, also when there is no
// other that its jobs could be handed to.
func TestLossWithoutSuccessor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	started := make(chan struct{}, 2)
	r := l.runner("r", nil, func(ctx context.Context, _ *Lease) Outcome {
		started <- struct{}{}
		<-ctx.Done()
		return Outcome{State: Failed}
	})
	fails := l.submit(Job{Playbook: "p", Limit: []string{"a"}, OnRunnerLoss: LossFail})
	again := l.submit(Job{Playbook: "p", Limit: []string{"b"}})
	<-started
	<-started
	r.bus.Conn.Close()
	if got := l.state(fails.ID, Failed); !strings.Contains(got.Reason, "was lost") {
		t.Errorf("reason %q", got.Reason)
	}
	if got := l.state(again.ID, Pending); got.Losses != 1 {
		t.Errorf("%d losses", got.Losses)
	}
}

// TestHoldEvents keeps events from being judged while too many jobs are open.
func TestHoldEvents(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stop()
	cons, err := l.bus.JS.CreateOrUpdateConsumer(t.Context(), bus.StreamEvents, jetstream.ConsumerConfig{
		Durable: bus.ConsumerDispatch, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.schedule(&Scheduler{Queue: l.queue, Timing: quick, MaxOpen: 8})
	paused := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if info, err := cons.Info(t.Context()); err == nil && info.Paused == want {
				return
			}
		}
		t.Fatalf("the consumer's pause is not %t", want)
	}
	var ids []string
	for i := range 8 {
		ids = append(ids, l.submit(Job{Playbook: "p", Limit: []string{fmt.Sprint(i)}}).ID)
	}
	paused(true)
	var d diary
	l.runner("r", nil, d.run)
	for _, id := range ids {
		l.end(id)
	}
	paused(false)
}

// TestForeignRecord has a state that nobody can read: it keeps no other job from its
// turn, and what is paused is known before anything is handed out.
func TestForeignRecord(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stop()
	if _, _, err := l.bus.Publish(t.Context(), &nats.Msg{Subject: bus.StateSubject("x"), Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	var d diary
	l.runner("r", nil, d.run)
	held := l.submit(Job{Rule: "held", Playbook: "p", Limit: []string{"h"}})
	next := l.submit(Job{Rule: "free", Playbook: "p", Limit: []string{"h"}})
	resume := make(chan struct{})
	l.schedule(&Scheduler{Queue: l.queue, Timing: quick, Paused: func(ctx context.Context, tell func(rules, queues map[string]bool)) error {
		tell(map[string]bool{"held": true}, nil)
		select {
		case <-resume:
			tell(nil, nil)
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}})
	l.state(next.ID, Succeeded)
	close(resume)
	l.state(held.ID, Succeeded)
	if want := []string{next.ID, held.ID}; !slices.Equal(d.ran, want) {
		t.Errorf("order %v, want %v", d.ran, want)
	}
}

// TestNobodyServes lets others pass a job that no runner can run, and runs it when
// there is one.
func TestNobodyServes(t *testing.T) {
	t.Parallel()
	mars := map[string]string{"site": "mars"}
	l := newLab(t, mars)
	var d diary
	l.runner("r", nil, d.run)
	stuck := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}, Needs: mars})
	other := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Hosts: []string{"h"}})
	l.state(other.ID, Succeeded)
	l.runner("m", mars, d.run)
	l.state(stuck.ID, Succeeded)
	if want := []string{other.ID, stuck.ID}; !slices.Equal(d.ran, want) {
		t.Errorf("order %v, want %v", d.ran, want)
	}
}

// TestPauseTakesWakeupsBack pauses a rule whose job waits for a runner already.
func TestPauseTakesWakeupsBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stop()
	states := make(chan map[string]bool, 1)
	states <- nil
	l.schedule(&Scheduler{Queue: l.queue, Timing: quick, Paused: func(ctx context.Context, tell func(rules, queues map[string]bool)) error {
		for {
			select {
			case rules := <-states:
				tell(rules, nil)
			case <-ctx.Done():
				return nil
			}
		}
	}})
	waiting := func(want uint64) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if s, err := l.bus.JS.Stream(t.Context(), bus.StreamJobs); err == nil && s.CachedInfo().State.Msgs == want {
				return
			}
		}
		t.Fatalf("there are not %d wake-ups", want)
	}
	held := l.submit(Job{Rule: "held", Playbook: "p", Limit: []string{"h"}})
	waiting(1)
	states <- map[string]bool{"held": true}
	waiting(0)
	var d diary
	l.runner("r", nil, d.run)
	free := l.submit(Job{Rule: "free", Playbook: "p", Limit: []string{"h"}})
	l.state(free.ID, Succeeded)
	states <- nil
	l.state(held.ID, Succeeded)
	if want := []string{free.ID, held.ID}; !slices.Equal(d.ran, want) {
		t.Errorf("order %v, want %v", d.ran, want)
	}
}

// A wake-up says where the lock of the job's host is free, whoever had it last.
func TestWakeupKnowsTheLock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sub, err := l.bus.Conn.SubscribeSync(bus.JobSubject("default", priority))
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for i := range 3 {
		r := l.runner(fmt.Sprintf("r%d", i), nil, func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} })
		job := l.submit(Job{Playbook: "p", Limit: []string{"h1"}, Hosts: []string{"h1"}})
		got, _ := l.end(job.ID)
		if got.State != Succeeded {
			t.Fatalf("job %d is %s", i, got.State)
		}
		m, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var w wakeup
		if err := json.Unmarshal(m.Data, &w); err != nil {
			t.Fatal(err)
		}
		if w.ID != job.ID || w.Lock != last {
			t.Errorf("the wake-up of job %d is %+v, want lock %d", i, w, last)
		}
		lock, err := l.bus.Last(t.Context(), bus.StreamRuns, bus.HostLockSubject("h1"))
		if err != nil {
			t.Fatal(err)
		}
		if last = lock.Seq; got.Lock != last {
			t.Errorf("job %d had the lock at %d, want %d", i, got.Lock, last)
		}
		r.stop()
		<-r.done
	}
}

// A lock that is not where the wake-up says is read: somebody had it meanwhile.
func TestWakeupIsWrongAboutTheLock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stop()
	l.runner("r1", nil, func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} })
	for _, lock := range []uint64{0, 1, 1 << 40} {
		job := l.submit(Job{Playbook: "p", Limit: []string{"h1"}, Hosts: []string{"h1"}})
		if err := l.queue.wake(t.Context(), "default", wakeup{ID: job.ID, Rev: job.Rev, Lock: lock}); err != nil {
			t.Fatal(err)
		}
		if got, _ := l.end(job.ID); got.State != Succeeded || got.Attempt != 1 {
			t.Errorf("lock %d: the job is %s after %d attempts", lock, got.State, got.Attempt)
		}
	}
}
