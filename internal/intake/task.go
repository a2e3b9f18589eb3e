package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/source"
)

// task is one source that is looked after, from when it is started until it is
// changed, paused, resumed or gone.
type task struct {
	*feed
	entry
	mode mode

	cancel context.CancelFunc
	// ending is true once cancel was called.
	ending bool

	// rev is the sequence of the state that the next write replaces; began is true once
	// this task has written one; lost is since when another jet-bus's is in its place.
	rev   uint64
	began bool
	lost  time.Time
}

// mode says what is done with a source.
type mode struct {
	state      Condition // Waiting: it is run
	by, reason string
}

// run looks after the source until ctx ends.
func (t *task) run(ctx context.Context) {
	state, ok := t.recall(ctx)
	if !ok {
		return
	}
	t.health = newHealth(state)
	var wg sync.WaitGroup
	defer wg.Wait()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	wg.Go(func() { t.keep(writing) })
	if t.mode.state != Waiting {
		t.health.rest(t.mode.state, t.mode.by, t.mode.reason)
		<-ctx.Done()
		return
	}
	t.health.begin()
	t.supervise(ctx)
}

// recall reads how the source fared, and waits for a bus that does not answer.
func (t *task) recall(ctx context.Context) (State, bool) {
	fresh := State{Name: t.name, Kind: t.kind.Key, By: t.By, State: Waiting, Since: now()}
	for attempt := 1; ; attempt++ {
		s, rev, err := last(ctx, t.bus, t.name)
		t.rev = rev
		switch {
		case errors.Is(err, ErrUnknown), err == nil && s.Kind != t.kind.Key:
			return fresh, true
		case err == nil:
			s.By = t.By
			return s, true
		case !errors.Is(err, bus.ErrUnavailable) && ctx.Err() == nil:
			// It is for people, and written anew.
			t.log.Warn("how the source fared cannot be read", slog.Any("err", err))
			return fresh, true
		}
		if !pause.For(ctx, patience(attempt)) {
			return fresh, false
		}
	}
}

// supervise runs the source again and again until ctx ends.
func (t *task) supervise(ctx context.Context) {
	for attempts := 0; ctx.Err() == nil; {
		began := time.Now()
		err := t.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= t.steady {
			attempts = 0
		}
		attempts++
		again := time.Now().Add(t.backoff(attempts))
		if errors.Is(err, source.ErrLost) {
			t.log.Warn("source begins again from what another jet-bus saved")
		} else {
			t.Failed(err, again)
		}
		_, _ = t.Wait(ctx, again) // somebody may want it to try now
	}
}

var errEnded = errors.New("it ended by itself")

// once runs the source from where it left off, until it ends. A panic ends it too, but
// no more than it.
func (t *task) once(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.log.Error("source panicked", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("it panicked, which is a fault of jet-bus: %v", v)
		}
	}()
	for attempt := 1; ; attempt++ {
		err := t.cursor.open(ctx)
		if err == nil {
			break
		}
		// That the bus is away is no fault of the source.
		if !errors.Is(err, bus.ErrUnavailable) || !pause.For(ctx, patience(attempt)) {
			return err
		}
	}
	if err := t.source.Run(ctx, t.feed); err != nil {
		return err
	}
	return errEnded
}

// backoff is the pause before a source is run again after so many attempts.
func (p timing) backoff(attempts int) time.Duration {
	return pause.Spread(pause.Grown(p.first, p.most, attempts))
}

// keep writes how the source fares, until ctx ends, and then once more.
func (t *task) keep(ctx context.Context) {
	later := time.NewTimer(t.every)
	later.Stop()
	armed := false
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.grace)
			defer cancel()
			if err := t.write(last); err != nil {
				t.log.Debug("how the source fares is not written", slog.Any("err", err))
			}
			return
		case <-t.health.changed:
			if !t.health.hurried() {
				if !armed {
					later.Reset(t.every)
					armed = true
				}
				continue
			}
		case <-later.C:
		}
		later.Stop()
		armed = false
		if err := t.write(ctx); err != nil && ctx.Err() == nil {
			t.log.Warn("how the source fares is not written", slog.Any("err", err))
			later.Reset(t.every)
			armed = true
		}
	}
}

// write writes what has changed, and tells what is to be told. In this order, a crash
// between the two has the same told again.
func (t *task) write(ctx context.Context) error {
	for {
		s, dirty := t.health.take()
		if !dirty {
			return nil
		}
		switch err := t.replace(ctx, s); {
		case errors.Is(err, source.ErrLost):
			return nil // the other one tells what there is to tell
		case err != nil:
			t.health.again()
			return err
		}
		if len(s.Telling) == 0 {
			return nil
		}
		if err := t.tell(ctx, s.Telling[0]); err != nil {
			t.health.again()
			return err
		}
		t.health.told()
	}
}

// replace writes s in the place of what this task has read, or written last. Whoever has
// begun last is right: who was frozen for a while, and finds that another jet-bus has
// written, lets that stand and fails with [source.ErrLost]. It is about to be stopped;
// who is not after a while is right after all.
func (t *task) replace(ctx context.Context, s State) error {
	for {
		rev, err := putAt(ctx, t.bus, keyState, t.name, s, t.rev)
		if err == nil {
			t.rev, t.began, t.lost = rev, true, time.Time{}
			return nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		now, rev, err := last(ctx, t.bus, t.name)
		switch {
		case err != nil && !errors.Is(err, ErrUnknown):
			return err
		case t.began && now.By != t.By:
			if t.lost.IsZero() {
				t.lost = time.Now()
			}
			if time.Since(t.lost) < t.steady {
				return source.ErrLost
			}
		}
		t.rev = rev // an answer to a write of ours was lost, or this is our beginning
	}
}

// tell makes an event of what happened to the source. It is the same whenever the
// same is told.
func (t *task) tell(ctx context.Context, what telling) error {
	typ, word := events.TypeSourceFailed, "failed"
	var data any = events.SourceFailed{
		Source: t.name, Kind: t.kind.Key, Error: what.Error, Failures: what.Failures, Since: what.Since,
	}
	if what.Recovered {
		typ, word = events.TypeSourceRecovered, "recovered"
		data = events.SourceRecovered{
			Source: t.name, Kind: t.kind.Key, Error: what.Error, Failures: what.Failures, Since: what.Since,
		}
	}
	e, err := events.New(source.Of(t.name), typ, data)
	if err != nil {
		return fmt.Errorf("make the event that source %s %s: %w", t.name, word, err)
	}
	e.SetID(what.Since.Format(time.RFC3339Nano) + "." + word)
	e.SetSubject(t.name)
	if _, err := t.bus.PublishEvent(ctx, bus.ClassOwn, e); err != nil {
		return fmt.Errorf("tell that source %s %s: %w", t.name, word, err)
	}
	return nil
}
