package bus_test

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// An event is known by source and id once it is noted, and only while it is stored where
// the note says.
func TestSeen(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	e := newEvent("1")
	s := bus.NewSeen(b, slog.New(slog.DiscardHandler))
	if _, ok := s.Look(ctx, e); ok {
		t.Error("known before it is stored")
	}
	if _, err := b.PublishEvent(ctx, bus.ClassExternal, newEvent("0")); err != nil {
		t.Fatal(err)
	}
	ack, err := b.PublishEvent(ctx, bus.ClassExternal, e)
	if err != nil {
		t.Fatal(err)
	}
	s.Note(e, ack.Seq)
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	s.Note(newEvent("late"), 1) // does nothing, and harms nobody
	if seq, ok := s.Look(ctx, e); !ok || seq != 2 {
		t.Errorf("event is at %d, known %v, want 2", seq, ok)
	}
	other := newEvent("1")
	other.SetSource("/other")
	if _, ok := s.Look(ctx, other); ok {
		t.Error("an event of another source is known")
	}
	for name, note := range map[string]string{
		"of another event": `{"seq":1}`, "of none": `{"seq":77}`, "empty": `{}`, "unreadable": `{`,
	} {
		if _, _, err := b.Publish(ctx, &nats.Msg{Subject: bus.SeenSubject(e.Source(), e.ID()), Data: []byte(note)}); err != nil {
			t.Fatal(err)
		}
		if seq, ok := s.Look(ctx, e); ok {
			t.Errorf("a note %s is believed: %d", name, seq)
		}
	}
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Events with a key in common are one, whatever their ids are.
func TestPublishEventAs(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	g := bus.NewGroup(b, nil)
	ctx := within(t)
	first, err := b.PublishEventAs(ctx, bus.ClassExternal, newEvent("1"), "key")
	if err != nil || first.Duplicate {
		t.Fatal(first, err)
	}
	for id, key := range map[string]string{"2": "key", "1": "key"} {
		if ack, err := g.PublishEventAs(ctx, bus.ClassExternal, newEvent(id), key); err != nil || !ack.Duplicate || ack.Seq != first.Seq {
			t.Errorf("id %s, key %q: %+v, %v", id, key, ack, err)
		}
	}
	for id, key := range map[string]string{"2": "other", "3": ""} {
		if ack, err := g.PublishEventAs(ctx, bus.ClassExternal, newEvent(id), key); err != nil || ack.Duplicate {
			t.Errorf("id %s, key %q: %+v, %v", id, key, ack, err)
		}
	}
	other := newEvent("4")
	other.SetSource("/other")
	if ack, err := g.PublishEventAs(ctx, bus.ClassExternal, other, "key"); err != nil || ack.Duplicate {
		t.Errorf("another source: %+v, %v", ack, err)
	}
	if err := g.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
