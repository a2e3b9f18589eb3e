package queue

import (
	"context"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// hand is a job by hand: its queue, its record, and a worker for it if run is set.
func (l *lab) hand(run func(context.Context, *Lease) Outcome) (Record, *runner) {
	l.t.Helper()
	id := NewID()
	if err := l.queue.OpenHand(l.t.Context(), id); err != nil {
		l.t.Fatal(err)
	}
	rec := l.submit(Job{ID: id, StartedBy: "alice@desk", Needs: HandNeeds(id), OnRunnerLoss: LossFail, Hosts: []string{"h"}, Limit: []string{"h"}})
	if run == nil {
		return rec, nil
	}
	return rec, l.runner("hand-"+id[:8], HandNeeds(id), run)
}

func (l *lab) sweepHands(patience time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- (&HandSweeper{Queue: l.queue, Every: 50 * time.Millisecond, Patience: patience}).Run(ctx)
	}()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
}

// leftovers counts what the queues of jobs by hand consist of.
func (l *lab) leftovers() (entries, consumers, wakeups int) {
	l.t.Helper()
	ids, err := l.queue.hands(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	s, err := l.bus.JS.Stream(l.t.Context(), bus.StreamJobs)
	if err != nil {
		l.t.Fatal(err)
	}
	st := s.CachedInfo().State
	return len(ids), st.Consumers - 1, int(st.Msgs)
}

// TestHandGone kills processes of jobs by hand: those jobs end, what waits for their
// hosts goes on, and nothing of them is left.
func TestHandGone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sweepHands(time.Second)
	waits, _ := l.hand(nil) // its process never takes it
	rec, _ := l.end(waits.ID)
	if rec.State != Cancelled || rec.Reason != "the jet run of alice@desk is gone before it could begin" {
		t.Errorf("a job whose process is gone is %s: %s", rec.State, rec.Reason)
	}
	begun := make(chan struct{})
	holds, r := l.hand(func(ctx context.Context, _ *Lease) Outcome {
		close(begun)
		<-ctx.Done()
		return Outcome{State: Failed}
	})
	<-begun
	cut := time.Now()
	r.bus.Conn.Close()
	l.runner("r", nil, func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} })
	next := l.submit(Job{Limit: []string{"h"}})
	rec, _ = l.end(holds.ID)
	if rec.State != Failed || rec.Losses != 1 {
		t.Errorf("a job whose process was killed is %s: %s", rec.State, rec.Reason)
	}
	if took := time.Since(cut); took < 3*quick.Heartbeat() {
		t.Errorf("it was given up after %s, with a heartbeat every %s", took, quick.Heartbeat())
	}
	if rec, _ := l.end(next.ID); rec.State != Succeeded {
		t.Errorf("the job after it is %s: %s", rec.State, rec.Reason)
	}
	eventually(t, "nothing to be left", func() bool {
		entries, consumers, wakeups := l.leftovers()
		return entries == 0 && consumers == 0 && wakeups == 0
	})
}

// TestHandAlive leaves alone what a process still holds: in the registry before it
// begins, by its heartbeats after that.
func TestHandAlive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sweepHands(4 * quick.Heartbeat())
	id := NewID()
	if err := l.queue.OpenHand(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		l.queue.Register(ctx, func() RunnerInfo { return RunnerInfo{Name: "hand", Labels: HandNeeds(id), Slots: 1} })
	}()
	defer func() { cancel(); <-registered }()
	waits := l.submit(Job{ID: id, StartedBy: "alice@desk", Needs: HandNeeds(id), OnRunnerLoss: LossFail, Hosts: []string{"other"}})
	holds, _ := l.hand(func(ctx context.Context, _ *Lease) Outcome {
		select { // longer than the sweeper's patience with silence
		case <-time.After(10 * quick.Heartbeat()):
			return Outcome{State: Succeeded}
		case <-ctx.Done():
			return Outcome{State: Failed, Reason: context.Cause(ctx).Error()}
		}
	})
	if rec, _ := l.end(holds.ID); rec.State != Succeeded || rec.Attempt != 1 {
		t.Errorf("a job by hand is %s: %s", rec.State, rec.Reason)
	}
	if rec, err := l.queue.Get(t.Context(), waits.ID); err != nil || rec.State != Pending {
		t.Errorf("a job by hand that waits is %s: %s (%v)", rec.State, rec.Reason, err)
	}
}

// TestHandIsServedAlone keeps a process that runs a job by hand away from others.
func TestHandIsServedAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	id := NewID()
	if err := l.queue.OpenHand(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	other := l.submit(Job{})
	own := l.submit(Job{ID: id, StartedBy: "alice@desk", Needs: HandNeeds(id)})
	over := make(chan struct{})
	w := Worker{
		Queue: l.queue, Name: "hand", Labels: HandNeeds(id), Only: NameFor(HandNeeds(id)),
		Prepare: func(_ context.Context, j Job) (Prepared, error) {
			if j.ID != id {
				t.Errorf("it was handed job %s", j.ID)
			}
			return Prepared{Run: func(context.Context, *Lease) Outcome {
				close(over)
				return Outcome{State: Succeeded}
			}}, nil
		},
	}
	if err := w.Work(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	if rec, _ := l.end(own.ID); rec.State != Succeeded {
		t.Errorf("its job is %s: %s", rec.State, rec.Reason)
	}
	if rec, err := l.queue.Get(t.Context(), other.ID); err != nil || rec.State != Pending {
		t.Errorf("the other job is %s (%v)", rec.State, err)
	}
	if err := l.queue.CloseHand(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := l.queue.CloseHand(t.Context(), id); err != nil {
		t.Errorf("once more: %v", err)
	}
	eventually(t, "the wake-up of the other job, and nothing else, to be left", func() bool {
		entries, consumers, wakeups := l.leftovers()
		return entries+consumers == 0 && wakeups == 1
	})
}
