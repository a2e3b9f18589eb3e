package queue

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// TestPull takes wake-ups as a worker does: one that is there, one that comes, none,
// and from a queue that is gone.
func TestPull(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	q := New(b, nil)
	if err := q.Open(t.Context(), nil, Timing{Lease: time.Hour}); err != nil {
		t.Fatal(err)
	}
	name := NameFor(nil)
	open := func() *puller {
		t.Helper()
		p, err := newPuller(b, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	wake := func(id, record string) {
		t.Helper()
		if err := q.wake(t.Context(), name, wakeup{ID: id, Rev: 7, Job: json.RawMessage(record)}); err != nil {
			t.Fatal(err)
		}
	}
	got := func(id, record string) {
		t.Helper()
		msg, err := p.next(t.Context())
		if err != nil || msg == nil {
			t.Fatalf("next is %v, %v", msg, err)
		}
		var w wakeup
		if err := json.Unmarshal(msg.Data, &w); err != nil || w.ID != id || w.Rev != 7 || string(w.Job) != record {
			t.Errorf("got %s, %v; want %s with %q", msg.Data, err, id, record)
		}
		if err := msg.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	wake("a", `{"id":"a"}`)
	wake("b", "")
	got("a", `{"id":"a"}`)
	got("b", "")
	later := time.AfterFunc(100*time.Millisecond, func() { wake("c", "") })
	defer later.Stop()
	got("c", "")

	givenUp := func() {
		t.Helper()
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if msg, err := p.next(short); msg != nil || err != nil {
			t.Errorf("an empty queue gives %v, %v", msg, err)
		}
	}
	// The server still has that request: what it hands out for it is not lost.
	givenUp()
	wake("d", "")
	got("d", "")
	givenUp()
	wake("e", "")
	p.close()
	p = open()
	defer func() { p.close() }()
	got("e", "")

	if err := b.JS.DeleteConsumer(t.Context(), bus.StreamJobs, name); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first may be the end of an earlier request
		if _, err := p.next(t.Context()); err != nil {
			return
		}
	}
	t.Error("a queue that is gone gives no error")
}
