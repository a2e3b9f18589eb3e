package intake

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/source"
)

// What can never be stored is refused, each type has its own way in, and what the bus
// has no room for waits.
func TestPublish(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	own := func(id string) events.Event {
		e := happened(id)
		e.SetType(events.TypeScheduleDue)
		return e
	}
	broken, large := happened("x"), happened("large")
	broken.SetID("a\nb")
	large.DataEncoded = []byte(`"` + strings.Repeat("x", bus.MaxEventSize) + `"`)
	done := make(chan struct{})
	s := l.supervisor(l.bus)
	publish, tries := s.Publish, 0
	s.Publish = func(ctx context.Context, e events.Event, same string) (uint64, bool, error) {
		if e.ID() == "waits" {
			if tries++; tries < 3 {
				return 0, false, bus.ErrFull
			}
		}
		return publish(ctx, e, same)
	}
	s.Use(one(func(ctx context.Context, f source.Feed) error {
		defer close(done)
		for name, e := range map[string]events.Event{"our own": own("o1"), "broken": broken, "large": large} {
			if err := f.Publish(ctx, e); !errors.Is(err, source.ErrRefused) {
				t.Errorf("publish one that is %s: %v", name, err)
			}
		}
		if err := f.Tell(ctx, happened("e1")); !errors.Is(err, source.ErrRefused) {
			t.Errorf("tell what is not ours: %v", err)
		}
		for name, err := range map[string]error{
			"tell": f.Tell(ctx, own("o1")), "again": f.Tell(ctx, own("o1")), "wait": f.Publish(ctx, happened("waits")),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := f.Publish(ended, happened("late")); !errors.Is(err, context.Canceled) {
			t.Errorf("publish at the end: %v", err)
		}
		<-ctx.Done()
		return nil
	}))
	stop := l.running(s.Run)
	l.eventually("two events", func() bool { return l.state("a").Events == 2 })
	stop()
	<-done
	if diff := cmp.Diff([]string{"o1", "waits"}, l.ids()); diff != "" {
		t.Error(diff)
	}
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}

// A source that ends without an error and one that asks after the end of its work are
// dealt with like others.
func TestEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	_, stop := l.start(one(func(context.Context, source.Feed) error { return nil }))
	l.eventually("it failed", func() bool { s := l.state("a"); return s.State == Failing && s.Failures > 3 })
	if s := l.state("a"); s.Error != "it ended by itself" {
		t.Errorf("state %+v", s)
	}
	stop()
	if diff := cmp.Diff([]string{events.TypeSourceFailed}, l.types()); diff != "" {
		t.Error(diff)
	}
}

// The bus may be away for a while.
func TestBusAway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	let := make(chan struct{}, 10)
	_, _ = l.start(one(counter(let)))
	let <- struct{}{}
	l.eventually("an event", func() bool { return l.state("a").Events == 1 })
	bustest.Restart(t, l.server)
	let <- struct{}{}
	l.eventually("another", func() bool { return l.state("a").Events == 2 })
	if diff := cmp.Diff([]string{"n1", "n2"}, l.ids()); diff != "" {
		t.Error(diff)
	}
	if got := l.types(); slices.Contains(got, events.TypeSourceFailed) {
		t.Errorf("events %v", got)
	}
}
