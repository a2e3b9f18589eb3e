// Package sourcetest runs sources without a bus, for their tests.
package sourcetest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
)

// Feed is a feed that keeps everything. Its clock is the one of package time, so
// that tests stop it with testing/synctest. It is safe for concurrent use; the
// exported members are to be set before it is used.
type Feed struct {
	// Title is the source's name; "test" if it is empty.
	Title string
	// Refuse, if set, may fail what is published.
	Refuse func(e events.Event) error
	// SaveError, if set, is what Save fails with, having kept nothing.
	SaveError error

	mu     sync.Mutex
	stored []events.Event
	cursor []byte
	health []Health
	ask    chan struct{}
}

// Health is what a source said of itself.
type Health struct {
	Err  error
	Next time.Time
}

var _ source.Feed = (*Feed)(nil)

// Name implements [source.Feed], as the methods below do.
func (f *Feed) Name() string {
	if f.Title == "" {
		return "test"
	}
	return f.Title
}

// Log discards.
func (f *Feed) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Now is the time of package time.
func (f *Feed) Now() time.Time { return time.Now() }

// Publish keeps an event from outside.
func (f *Feed) Publish(_ context.Context, e events.Event) error {
	if events.OwnType(e.Type()) {
		return fmt.Errorf("%w: type %s is our own", source.ErrRefused, e.Type())
	}
	return f.store(e)
}

// Tell keeps an event of our own.
func (f *Feed) Tell(_ context.Context, e events.Event) error {
	if !events.OwnType(e.Type()) {
		return fmt.Errorf("%w: type %s is not our own", source.ErrRefused, e.Type())
	}
	return f.store(e)
}

func (f *Feed) store(e events.Event) error {
	if err := events.Check(e); err != nil {
		return fmt.Errorf("%w: %w", source.ErrRefused, err)
	}
	if f.Refuse != nil {
		if err := f.Refuse(e); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	same := func(o events.Event) bool { return o.ID() == e.ID() && o.Source() == e.Source() }
	if !slices.ContainsFunc(f.stored, same) {
		f.stored = append(f.stored, e)
	}
	return nil
}

// Stored returns the events that were stored, each once, in their order.
func (f *Feed) Stored() []events.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.stored)
}

// Load decodes what was saved last.
func (f *Feed) Load(_ context.Context, v any) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursor == nil {
		return false, nil
	}
	return true, json.Unmarshal(f.cursor, v)
}

// Save keeps v, or fails with SaveError.
func (f *Feed) Save(_ context.Context, v any) error {
	if f.SaveError != nil {
		return f.SaveError
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor = data
	return nil
}

// Cursor returns what was saved last, nil if nothing was.
func (f *Feed) Cursor() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.cursor)
}

// Ask asks the source to look now. It does not wait for that.
func (f *Feed) Ask() {
	select {
	case f.asking() <- struct{}{}:
	default:
	}
}

func (f *Feed) asking() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ask == nil {
		f.ask = make(chan struct{}, 1)
	}
	return f.ask
}

// Wait returns at the time until, or when [Feed.Ask] was called.
func (f *Feed) Wait(ctx context.Context, until time.Time) (bool, error) {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-due:
		return false, nil
	case <-f.asking():
		return true, nil
	}
}

// OK notes that the source is well.
func (f *Feed) OK(next time.Time) { f.note(Health{Next: next}) }

// Failed notes that the source is not.
func (f *Feed) Failed(err error, next time.Time) { f.note(Health{Err: err, Next: next}) }

func (f *Feed) note(h Health) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.health = append(f.health, h)
}

// Health returns what the source said of itself, in order.
func (f *Feed) Health() []Health {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.health)
}
