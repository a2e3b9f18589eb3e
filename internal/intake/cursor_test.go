package intake

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
)

// Of two that both believe to run a source, one is refused, and begins again from what
// the other saved.
func TestFence(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := t.Context()
	first := &cursor{bus: l.bus, name: "a", kind: "test"}
	second := &cursor{bus: l.bus, name: "a", kind: "test"}
	for _, c := range []*cursor{first, second} {
		if err := c.open(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.save(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := first.save(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := second.save(ctx, 7); !errors.Is(err, source.ErrLost) {
		t.Errorf("save what another has saved: %v", err)
	}
	if err := second.open(ctx); err != nil {
		t.Fatal(err)
	}
	n := 0
	if ok, err := second.load(&n); !ok || err != nil || n != 2 {
		t.Errorf("loaded %d, %t, %v", n, ok, err)
	}
	var text string
	if _, err := second.load(&text); err == nil {
		t.Error("a number was loaded as a text")
	}
	if err := second.save(ctx, strings.Repeat("x", maxCursor)); err == nil || !strings.Contains(err.Error(), "to remember, and may have") {
		t.Errorf("save too much: %v", err)
	}
	if err := second.save(ctx, strings.Repeat("x", maxCursor-2)); err != nil {
		t.Errorf("save as much as may be: %v", err)
	}

	// A source that is refused is no failure.
	var runs atomic.Int32
	_, _ = l.start(one(func(ctx context.Context, f source.Feed) error {
		if runs.Add(1) == 1 {
			if err := second.save(ctx, 8); err != nil {
				return err
			}
		}
		if err := f.Save(ctx, 9); err != nil {
			return err
		}
		f.OK(time.Time{})
		<-ctx.Done()
		return nil
	}))
	l.eventually("it works", func() bool { return l.state("a").State == OK })
	if s := l.state("a"); s.Error != "" || runs.Load() != 2 || len(l.types()) != 0 {
		t.Errorf("state %+v after %d runs; events %v", s, runs.Load(), l.types())
	}
}

// An answer that was lost does not look like another's write.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := &cursor{bus: l.bus, name: "a", kind: "test"}
	if err := c.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.save(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	doc, rev, err := c.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	msg, err := c.message(doc, rev-1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.write(t.Context(), msg, doc.Write); err != nil || got != rev {
		t.Errorf("wrote it again: %d, %v; want %d", got, err, rev)
	}
	if _, err := c.write(t.Context(), msg, "another"); !errors.Is(err, source.ErrLost) {
		t.Errorf("another wrote it: %v", err)
	}
}
