package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/source"
)

// feed is what a source works with.
type feed struct {
	*Supervisor
	name   string
	log    *slog.Logger
	cursor *cursor
	health *health

	mu sync.Mutex
	// asked is the last asking to look now, woken has a value when it is new.
	asked uint64
	woken chan struct{}
}

var _ source.Feed = (*feed)(nil)

func (f *feed) Name() string      { return f.name }
func (f *feed) Log() *slog.Logger { return f.log }
func (f *feed) Now() time.Time    { return time.Now() }

func (f *feed) Publish(ctx context.Context, e events.Event) error {
	if events.OwnType(e.Type()) {
		return fmt.Errorf("%w: its type %s is one of jet-bus's own", source.ErrRefused, e.Type())
	}
	return f.store(ctx, e, func(ctx context.Context) (bool, error) {
		_, known, err := f.Supervisor.Publish(ctx, e, "")
		return known, err
	})
}

func (f *feed) Tell(ctx context.Context, e events.Event) error {
	if !events.OwnType(e.Type()) {
		return fmt.Errorf("%w: its type %s is none of jet-bus's own", source.ErrRefused, e.Type())
	}
	return f.store(ctx, e, func(ctx context.Context) (bool, error) {
		ack, err := f.bus.PublishEvent(ctx, bus.ClassOwn, e)
		return ack.Duplicate, err
	})
}

// store stores an event, and tries again for as long as that may help.
func (f *feed) store(ctx context.Context, e events.Event, publish func(context.Context) (known bool, err error)) error {
	if err := events.Check(e); err != nil {
		return fmt.Errorf("%w: %w", source.ErrRefused, err)
	}
	for attempt := 1; ; attempt++ {
		known, err := publish(ctx)
		switch {
		case err == nil:
			if !known {
				f.health.event(e)
			}
			if attempt > 1 {
				f.log.Info("the bus takes events again")
			}
			return nil
		case errors.Is(err, bus.ErrTooLarge), errors.Is(err, events.ErrTooLarge):
			return fmt.Errorf("%w: %w", source.ErrRefused, err)
		}
		if attempt == 1 && ctx.Err() == nil {
			f.log.Warn("an event waits for the bus", slog.String("id", e.ID()), slog.Any("err", err))
		}
		if !pause.For(ctx, patience(attempt)) {
			return fmt.Errorf("store event %s: %w", e.ID(), context.Cause(ctx))
		}
	}
}

func (f *feed) Load(_ context.Context, v any) (bool, error) { return f.cursor.load(v) }

func (f *feed) Save(ctx context.Context, v any) error { return f.cursor.save(ctx, v) }

// ask has the source look now.
func (f *feed) ask(seq uint64) {
	f.mu.Lock()
	f.asked = max(f.asked, seq)
	f.mu.Unlock()
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// begun reports whether there is a look to begin that somebody has asked for.
func (f *feed) begun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.health.look(f.asked)
}

func (f *feed) Wait(ctx context.Context, until time.Time) (bool, error) {
	f.health.endLook() // it has come back for the next
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		if f.begun() {
			return true, nil
		}
		select {
		case <-ctx.Done():
		case <-due:
			return false, nil
		case <-f.woken:
		}
	}
}

func (f *feed) OK(next time.Time) {
	if f.health.ok(next) {
		f.log.Info("source works again")
	}
}

func (f *feed) Failed(err error, next time.Time) {
	if err == nil {
		f.OK(next)
		return
	}
	if f.health.failed(err, next) {
		f.log.Warn("source fails", slog.String("err", sentence(err)))
	}
}
