package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// Causes with which a run's context ends.
var (
	// ErrLeaseLost means that the job may be another runner's by now.
	ErrLeaseLost = errors.New("the lease on the job was lost")
	// ErrCancelled means that somebody cancelled the job.
	ErrCancelled = errors.New("the job was cancelled")
	// ErrTimeout means that the job's time is up.
	ErrTimeout = errors.New("the job ran longer than its timeout")
	// ErrHandOver means that this runner stops and the job is given back.
	ErrHandOver = errors.New("the runner is stopping")
)

// errUnconfirmed means that the bus was silent for too long.
var errUnconfirmed = errors.New("no heartbeat was confirmed")

const (
	// resultBuffer is how far a run may be ahead of the bus before it waits.
	resultBuffer = 256
	// resultBatch is how many results are stored in one step at the most, and
	// batchFrom from how many on a step of several is the cheaper one: a batch
	// costs the server a store of its own and several syncs.
	resultBatch, batchFrom = 64, 32
	retryWrite             = 200 * time.Millisecond
)

// Lease is a claimed job in the hands of its runner.
type Lease struct {
	// Job is the record as claimed.
	Job Job

	c       *claim
	run     func(ctx context.Context, l *Lease) Outcome
	results chan result
	// large has an entry for each result in hand that has large texts.
	large chan struct{}
	// lose ends the lease, stop only the run; both are set before work begins.
	lose, stop context.CancelCauseFunc

	// locks are those taken with the claim.
	locks []heldLock

	mu        sync.Mutex
	token     uint64    // the record's sequence: the fence
	confirmed time.Time // when the last confirmed heartbeat was sent; monotonic
	reported  int
}

func newLease(c *claim, j Job, token uint64, sent time.Time, run func(context.Context, *Lease) Outcome) *Lease {
	return &Lease{
		Job: j, c: c, run: run, token: token, confirmed: sent,
		results: make(chan result, resultBuffer), large: make(chan struct{}, largeResults),
	}
}

// Report puts a task's result on the job's result stream, as an event, after
// those reported before. It fills in the job, the attempt and the number. Texts that
// are too large for the event come in whole, by name ([events.OutputStdout] and so
// on): they are stored first, and the event refers to them.
//
// It returns once the result is in hand, not when it is stored: all are before the
// job ends. It blocks while the bus is far behind.
func (l *Lease) Report(ctx context.Context, t events.TaskFinished, whole map[string]string) error {
	l.mu.Lock()
	l.reported++
	t.Job, t.Attempt, t.Seq = l.Job.ID, l.Job.Attempt, l.reported
	l.mu.Unlock()
	r, err := newResult(l.Job, t, whole)
	if err != nil {
		return err
	}
	if len(r.whole) > 0 {
		select {
		case l.large <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case l.results <- r:
		return nil
	case <-ctx.Done():
		if len(r.whole) > 0 {
			<-l.large
		}
		return context.Cause(ctx)
	}
}

// Chain makes e a link in the chain of events that the job belongs to.
func (j Job) Chain(e *events.Event) {
	if j.CorrelationID != "" {
		e.SetExtension(events.ExtCorrelation, j.CorrelationID)
	}
	if j.Event != nil {
		e.SetExtension(events.ExtCausation, j.Event.ID)
	}
}

// work runs the job to its end, or until the lease is lost.
func (l *Lease) work(ctx context.Context) {
	held, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	defer lose(nil)
	run, stop := context.WithCancelCause(held)
	defer stop(nil)
	l.lose, l.stop = lose, stop
	defer context.AfterFunc(ctx, func() { stop(ErrHandOver) })()
	if l.Job.Timeout > 0 {
		defer time.AfterFunc(l.Job.Timeout, func() { stop(ErrTimeout) }).Stop()
	}
	var beat, write sync.WaitGroup
	beat.Go(func() { l.keep(held) })
	write.Go(func() { l.store(held) })

	l.c.log.Info("job started", slog.String("rule", l.Job.Rule), slog.String("playbook", l.Job.Playbook),
		slog.Int("attempt", l.Job.Attempt), slog.Int("hosts", len(l.Job.Hosts)))
	out := l.run(run, l)
	cause := context.Cause(run)
	close(l.results)
	write.Wait()
	if held.Err() == nil {
		l.finish(held, cause, out)
	}
	lost := context.Cause(held)
	lose(context.Canceled)
	beat.Wait()
	if lost != nil {
		l.c.log.Warn("left the job", slog.Any("cause", lost))
	}
	if errors.Is(lost, errUnconfirmed) {
		l.handBack(ctx)
	}
}

// handBack returns a job that we had to stop because the bus did not answer. All its
// work has ended, so if it is still ours nobody needs to wait until it is taken back,
// and no runner was lost.
func (l *Lease) handBack(ctx context.Context) {
	next, err := interrupted(l.Job, fmt.Sprintf("runner %s stopped it, since the bus did not answer", l.Job.Runner), l.c.w.Queue.now())
	if err != nil {
		l.c.log.Error("job not given back", slog.Any("err", err))
		return
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.c.timing.Lease)
	defer cancel()
	for {
		_, err := l.c.w.Queue.put(limit, next, l.token)
		switch {
		case err == nil:
			l.c.log.Info("job given back", slog.String("state", string(next.State)))
			return
		case errors.Is(err, bus.ErrConflict), limit.Err() != nil, ctx.Err() != nil:
			return // it was taken back meanwhile, or will be
		}
		select {
		case <-time.After(retryWrite):
		case <-limit.Done():
		case <-ctx.Done():
		}
	}
}

// keep sends heartbeats, and ends the lease when none has been confirmed for too
// long or the bus says that the record is another's.
func (l *Lease) keep(held context.Context) {
	tick := time.NewTicker(l.c.timing.Heartbeat())
	defer tick.Stop()
	// The watch runs beside the heartbeats: one that hangs must not delay it.
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() { l.watch(held) })
	hurry, forget := l.c.w.cancels.of(l.Job.ID)
	defer forget()
	for {
		select {
		case <-held.Done():
			return
		case <-tick.C:
		case <-hurry: // the job is being cancelled: the heartbeat will tell
		}
		sent := time.Now()
		msg := l.heartbeat()
		err := l.fenced(held, func(ctx context.Context, token uint64) error {
			bus.ExpectSubjectSeq(msg, bus.StateSubject(l.Job.ID), token)
			_, _, err := l.c.w.Queue.bus.Publish(ctx, msg)
			return err
		})
		switch {
		case err == nil:
			l.mu.Lock()
			l.confirmed = sent
			l.mu.Unlock()
		case errors.Is(err, ErrLeaseLost):
			l.lose(err)
			return
		default:
			l.c.log.Warn("heartbeat not confirmed", slog.Any("err", err))
		}
	}
}

func (l *Lease) heartbeat() *nats.Msg {
	data, _ := json.Marshal(map[string]any{"runner": l.Job.Runner, "attempt": l.Job.Attempt}) //nolint:errchkjson // strings and numbers
	return &nats.Msg{
		Subject: bus.HeartbeatSubject(l.Job.ID),
		Header:  nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
		Data:    data,
	}
}

// watch ends the lease when the limit has passed on our own clock.
func (l *Lease) watch(held context.Context) {
	for l.Held() == nil {
		select {
		case <-held.Done():
			return
		case <-time.After(l.left()):
		}
	}
}

// Held makes sure that the job is still ours, as far as our own clock can tell: if the
// limit has passed, the lease ends here and now, with the error. It is for a moment
// before something that cannot be undone. Nobody else may have the job for a while
// after it, see [Timing].
func (l *Lease) Held() error {
	if l.left() > 0 {
		return nil
	}
	err := fmt.Errorf("%w: %w for %s", ErrLeaseLost, errUnconfirmed, l.c.timing.Limit())
	l.lose(err)
	return err
}

// left is how long the lease is ours without another confirmed heartbeat.
func (l *Lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.timing.Limit() - time.Since(l.confirmed)
}

// fenced runs write with the token. When the fence refuses it, the record tells:
// a job that is being cancelled is still ours and gets a new token; anything else
// means that the lease is lost.
func (l *Lease) fenced(ctx context.Context, write func(ctx context.Context, token uint64) error) error {
	for {
		l.mu.Lock()
		token := l.token
		l.mu.Unlock()
		// A server that has just died never answers: trying again soon finds the
		// next, while there is still time.
		try, cancel := context.WithTimeout(ctx, l.c.timing.Attempt())
		err := write(try, token)
		cancel()
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		rec, gerr := l.c.w.Queue.Get(ctx, l.Job.ID)
		if gerr != nil {
			return gerr
		}
		ours := rec.Runner == l.Job.Runner && rec.Attempt == l.Job.Attempt && rec.Wake == l.Job.Wake
		if !ours || rec.State != Cancelling || rec.Rev == token {
			return fmt.Errorf("%w: it is %s, attempt %d on runner %s", ErrLeaseLost, rec.State, rec.Attempt, rec.Runner)
		}
		l.mu.Lock()
		l.token = rec.Rev
		l.mu.Unlock()
		l.stop(fmt.Errorf("%w: %s", ErrCancelled, rec.Reason))
	}
}

// store writes the results, in order, each exactly once: by message id against
// our own repetition, by the fence against everybody else's. What a result refers
// to is stored before it.
func (l *Lease) store(held context.Context) {
	var batch []*nats.Msg
	flush := func() {
		// Without the lease they are another attempt's; they are taken all the same,
		// so that nobody blocks.
		if len(batch) > 0 && held.Err() == nil {
			if err := l.storeAll(held, batch); err != nil {
				l.c.log.Warn("task results not stored", slog.Int("results", len(batch)), slog.Any("err", err))
			}
		}
		batch = nil
	}
	for r := range l.results {
		if len(r.whole) > 0 {
			flush()
			l.keepWhole(held, &r)
		}
		batch = append(batch, r.msg)
		if len(batch) == resultBatch || len(l.results) == 0 {
			flush()
		}
	}
	flush()
}

func (l *Lease) storeAll(held context.Context, batch []*nats.Msg) error {
	b := l.c.w.Queue.bus
	if len(batch) >= batchFrom {
		err := l.insist(held, func(ctx context.Context, token uint64) error {
			for _, m := range batch {
				bus.ExpectSubjectSeq(m, bus.StateSubject(l.Job.ID), token)
			}
			_, err := b.PublishBatch(ctx, batch)
			return err
		}, bus.ErrDuplicate, bus.ErrUnknownOutcome)
		if !errors.Is(err, bus.ErrDuplicate) && !errors.Is(err, bus.ErrUnknownOutcome) {
			return err
		}
		// Some of it is stored, or may be: one by one, the message ids sort it out.
	}
	for _, m := range batch {
		err := l.insist(held, func(ctx context.Context, token uint64) error {
			bus.ExpectSubjectSeq(m, bus.StateSubject(l.Job.ID), token)
			_, _, err := b.Publish(ctx, m)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// insist repeats a fenced write until it is done, the lease is lost, or it fails
// with one of the errors in but. The limit of the lease bounds it.
func (l *Lease) insist(held context.Context, write func(context.Context, uint64) error, but ...error) error {
	for {
		err := l.fenced(held, write)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrLeaseLost):
			l.lose(err)
			return err
		case held.Err() != nil:
			return context.Cause(held)
		}
		for _, b := range but {
			if errors.Is(err, b) {
				return err
			}
		}
		l.c.log.Warn("write to the bus is repeated", slog.Any("err", err))
		select {
		case <-time.After(retryWrite):
		case <-held.Done():
			return context.Cause(held)
		}
	}
}

// finish stores the final state, or gives the job back when the runner stops.
// cause is why the run was stopped, if it was.
func (l *Lease) finish(held context.Context, cause error, out Outcome) {
	q := l.c.w.Queue
	j := l.Job
	j.Results = l.reported
	var release bool
	next, err := func() (Job, error) {
		switch {
		case errors.Is(cause, ErrHandOver) && out.State != Succeeded:
			release = true
			return requeued(j, fmt.Sprintf("runner %s stopped and gave the job back", j.Runner))
		case errors.Is(cause, ErrCancelled) && out.State != Succeeded:
			return finished(j, Cancelled, cause.Error(), q.now())
		case errors.Is(cause, ErrTimeout) && out.State != Succeeded:
			return ended(j, TimedOut, fmt.Sprintf("the job ran longer than its timeout of %s", j.Timeout), q.now())
		default:
			return ended(j, out.State, out.Reason, q.now())
		}
	}()
	if err != nil {
		l.c.log.Error("no final state", slog.Any("err", err))
		return
	}
	err = l.insist(held, func(ctx context.Context, token uint64) error {
		_, err := q.put(ctx, next, token)
		if errors.Is(err, bus.ErrConflict) && l.stored(ctx, next) {
			return nil // an earlier try arrived, its answer did not
		}
		return err
	})
	if err == nil && next.State.Terminal() {
		l.c.w.locks.free(l.locks)
	}
	switch {
	case err != nil:
		l.c.log.Warn("final state not stored", slog.String("state", string(next.State)), slog.Any("err", err))
	case release:
		l.c.log.Info("job given back")
	default:
		l.c.log.Info("job ended", slog.String("state", string(next.State)), slog.Int("results", next.Results))
	}
}

// stored reports whether the record already is what we wanted to write.
func (l *Lease) stored(ctx context.Context, want Job) bool {
	rec, err := l.c.w.Queue.Get(ctx, want.ID)
	return err == nil && rec.State == want.State && rec.Runner == want.Runner && rec.Attempt == want.Attempt &&
		rec.Finished.Equal(want.Finished)
}
