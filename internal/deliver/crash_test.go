package deliver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// Whoever dies between a delivery and its ack delivers again, under the same id, and
// before what comes behind.
func TestCrashBeforeAck(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, nil)
	text := v.sub("ops", "")
	dying := New(l.bus, nil)
	l.use(dying, text)
	cons, err := dying.open(t.Context(), "ops", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.publish("com.acme.a", "e1", "e2")
	msg, err := cons.Next()
	if err != nil {
		t.Fatal(err)
	}
	e, err := bus.DecodeEvent(msg.Headers(), msg.Data())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dying.current("ops").send(t.Context(), dying.client, []events.Event{e}); err != nil {
		t.Fatal(err)
	}
	dying.client.Close()
	if err := msg.Nak(); err != nil { // as the bus does itself after ackWait
		t.Fatal(err)
	}
	l.start(text)
	l.settled("ops")
	if diff := cmp.Diff([]string{"e1", "e1", "e2"}, v.taken()); diff != "" {
		t.Error(diff)
	}
	if all := v.requests(); all[0].id != all[1].id || all[1].id == all[2].id {
		t.Errorf("ids %s, %s, %s", all[0].id, all[1].id, all[2].id)
	}
}

// A batch that was in hand at a crash goes out before what comes behind it.
func TestCrashWithBatch(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, nil)
	text := v.sub("ops", "mode: batch")
	dying := New(l.bus, nil)
	l.use(dying, text)
	cons, err := dying.open(t.Context(), "ops", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.publish("com.acme.a", numbers(1, 10)...)
	var inHand []jetstream.Msg
	for range 10 {
		m, err := cons.Next()
		if err != nil {
			t.Fatal(err)
		}
		inHand = append(inHand, m)
	}
	l.publish("com.acme.a", numbers(11, 20)...)
	l.start(text)
	// The bus gives them out again after a while, perhaps not all at once.
	for _, part := range [][]jetstream.Msg{inHand[:4], inHand[4:]} {
		time.Sleep(300 * time.Millisecond)
		if got := v.taken(); len(got) > 4 {
			t.Errorf("what comes behind has gone out: %v", got)
		}
		for _, m := range part {
			if err := m.Nak(); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.settled("ops")
	if diff := cmp.Diff(numbers(1, 20), v.taken()); diff != "" {
		t.Error(diff)
	}
	l.eventually("batches may be full again", func() bool {
		cons, err := l.bus.JS.Consumer(t.Context(), bus.StreamEvents, "sub-ops")
		return err == nil && cons.CachedInfo().Config.MaxAckPending == maxBatch
	})
}

// Who is frozen with an event in hand finishes it when it goes on. That sends it twice,
// under one id, and leaves nothing in the way of what comes.
func TestFrozen(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, nil)
	text := v.sub("ops", "")
	d := New(l.bus, slog.New(slog.DiscardHandler))
	l.use(d, text)
	frozen := newLane(d, d.current("ops"))
	cons, err := frozen.open(t.Context(), "ops", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.publish("com.acme.a", "e1", "e2")
	inHand, err := cons.Next()
	if err != nil {
		t.Fatal(err)
	}
	l.start(text)
	if err := inHand.Nak(); err != nil { // as the bus does itself after ackWait
		t.Fatal(err)
	}
	l.settled("ops")
	frozen.deal(t.Context(), []jetstream.Msg{inHand})
	frozen.client.Close()
	l.publish("com.acme.a", "e3")
	l.eventually("what comes is taken", func() bool { return len(v.taken()) > 3 })
	if diff := cmp.Diff([]string{"e1", "e2", "e1", "e3"}, v.taken()); diff != "" {
		t.Error(diff)
	}
	if all := v.requests(); all[0].id != all[2].id {
		t.Errorf("ids %s, %s", all[0].id, all[2].id)
	}
}

// What waits when jet-bus stops is delivered when it is back, once, however long the
// backlog has become; a subscription that went meanwhile leaves nothing.
func TestRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	hang := make(chan struct{})
	v := newReceiver(t, func(n int, _ []events.Event, _ http.ResponseWriter) int {
		if n == 3 {
			<-hang
			return http.StatusBadGateway
		}
		return 0
	})
	_, stop := l.start(v.sub("ops", "") + v.sub("gone", "on: none"))
	l.publish("com.acme.a", numbers(1, 5)...)
	l.eventually("third", func() bool { return len(v.requests()) == 3 })
	began := time.Now()
	stop()
	close(hang)
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("stopped after %s", d)
	}
	l.publish("com.acme.a", numbers(6, 300)...)
	l.start(v.sub("ops", ""))
	l.settled("ops")
	if diff := cmp.Diff(numbers(1, 300), v.taken()); diff != "" {
		t.Error(diff)
	}
	l.eventually("nothing is left", func() bool {
		_, err := l.bus.JS.Consumer(t.Context(), bus.StreamEvents, "sub-gone")
		return errors.Is(err, jetstream.ErrConsumerNotFound) && l.status("gone").Name == ""
	})
	l.eventually("told", func() bool { return l.status("ops").Events == 300 })
}

// Several jet-bus share a subscription: each event goes out once, in order, and what
// one had in hand another delivers.
func TestShared(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, func(n int, _ []events.Event, _ http.ResponseWriter) int {
		if n%20 == 0 {
			return http.StatusBadGateway
		}
		return 0
	})
	shared := func(d *Deliverer) { d.Sole = false }
	_, stop := l.start(v.sub("ops", ""), shared)
	l.start(v.sub("ops", ""), shared)
	ids := numbers(1, 200)
	l.publish("com.acme.a", ids[:100]...)
	l.eventually("some", func() bool { return len(v.taken()) > 30 })
	stop()
	l.publish("com.acme.a", ids[100:]...)
	l.settled("ops")
	if diff := cmp.Diff(ids, v.taken()); diff != "" {
		t.Error(diff)
	}
}

// A consumer that somebody deletes is made again where it was.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, nil)
	l.start(v.sub("ops", ""))
	l.publish("com.acme.a", "e1")
	l.settled("ops")
	if err := l.bus.JS.DeleteConsumer(t.Context(), bus.StreamEvents, "sub-ops"); err != nil {
		t.Fatal(err)
	}
	l.publish("com.acme.a", "e2", "e3")
	l.eventually("delivered", func() bool { return len(v.taken()) == 3 })
	if diff := cmp.Diff(numbers(1, 3), v.taken()); diff != "" {
		t.Error(diff)
	}
}

// What a batch has is what waits, within bounds; of one that is refused, what the sink
// takes is delivered.
func TestBatches(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, func(_ int, list []events.Event, _ http.ResponseWriter) int {
		if slices.ContainsFunc(list, func(e events.Event) bool { return e.ID() == "e120" }) {
			return http.StatusUnprocessableEntity
		}
		return 0
	})
	text := v.sub("ops", "mode: batch")
	d := New(l.bus, nil)
	l.use(d, text)
	if _, err := d.open(t.Context(), "ops", 0); err != nil {
		t.Fatal(err)
	}
	l.publish("com.acme.a", numbers(1, 150)...)
	for _, id := range numbers(151, 160) {
		l.store(bus.ClassExternal, "com.acme.a", id, strings.Repeat("x", 200<<10))
	}
	l.start(text)
	l.settled("ops")
	want := slices.DeleteFunc(numbers(1, 160), func(id string) bool { return id == "e120" })
	got := slices.DeleteFunc(v.taken(), func(id string) bool { return strings.Contains(id, "failed") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	all := v.requests()
	if len(all[0].events) != maxBatch {
		t.Errorf("the first batch has %d events", len(all[0].events))
	}
	ids := map[string]bool{}
	for _, r := range all {
		size := 0
		for _, e := range r.events {
			size += len(e.Data())
		}
		if len(r.events) > maxBatch || size > maxBatchBytes || ids[r.id] {
			t.Errorf("a batch of %d events, %d bytes, id %s", len(r.events), size, r.id)
		}
		ids[r.id] = true
	}
	if f := l.failures(); len(f) != 1 || f[0].ID != "e120" {
		t.Errorf("failures %+v", f)
	}
}

// A lone event does not wait for a batch to fill.
func TestBatchOfOne(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, nil)
	l.start(v.sub("ops", "mode: batch"))
	l.settled("ops")
	began := time.Now()
	l.publish("com.acme.a", "e1")
	l.eventually("delivered", func() bool { return len(v.taken()) == 1 })
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("delivered after %s", d)
	}
}

// Events that EVENTS no longer keeps when their turn comes are told; those of others,
// while nothing waited, are not.
func TestMissed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.reconfigure(func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = 6*time.Second, time.Second })
	away := make(chan struct{})
	v := newReceiver(t, func(int, []events.Event, http.ResponseWriter) int {
		select {
		case <-away:
			return 0
		default:
			return http.StatusServiceUnavailable
		}
	})
	l.start(v.sub("ops", "on: com.acme.*"))
	l.publish("org.other", "o1", "o2", "o3")
	time.Sleep(7500 * time.Millisecond)       // gone, and nobody's
	l.publish("com.acme.a", numbers(1, 3)...) // 4 to 6
	l.eventually("all but the one in hand are gone", func() bool {
		s, err := l.bus.JS.Stream(t.Context(), bus.StreamEvents)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	l.publish("com.acme.a", "e4")
	close(away)
	got := l.failures()
	l.eventually("the last", func() bool {
		if all := l.failures(); len(all) > 0 { // it will be gone soon, too
			got = all
		}
		return slices.Contains(v.taken(), "e4") && len(got) > 0
	})
	l.settled("ops")
	if diff := cmp.Diff([]string{"e1", "e4"}, v.taken()); diff != "" {
		t.Error(diff)
	}
	if len(got) != 1 || got[0].Missed != 2 || got[0].From != 5 || got[0].To != 6 || got[0].ID != "" || !strings.Contains(got[0].Reason, "up to 2 events") {
		t.Errorf("failures %+v", got)
	}
}

// While a failure cannot be told, the event is not given up.
func TestKeptWhileBusIsFull(t *testing.T) {
	t.Parallel()
	l := newLab(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 64 << 10}))
	v := newReceiver(t, func(int, []events.Event, http.ResponseWriter) int { return http.StatusGone })
	_, stop := l.start("")
	stop()
	d := New(l.bus, nil)
	l.use(d, v.sub("ops", ""))
	if _, err := d.open(t.Context(), "ops", 0); err != nil {
		t.Fatal(err)
	}
	l.publish("com.acme.a", "e1")
	fill(t, l.bus)
	l.start(v.sub("ops", ""))
	l.eventually("tried", func() bool { return strings.Contains(l.log.String(), "cannot be told") })
	var s Status // a list leaves out what is written anew at that moment
	l.eventually("listed", func() bool { s = l.status("ops"); return s.Name != "" })
	if s.Pending == 0 || s.GivenUp != 0 {
		t.Errorf("status %+v", s)
	}
	l.reconfigure(func(c *jetstream.StreamConfig) { c.MaxBytes = 10 << 20 })
	l.eventually("told", func() bool { f := l.failures(); return len(f) > 0 && f[0].ID == "e1" })
}

// reconfigure changes EVENTS.
func (l *lab) reconfigure(set func(*jetstream.StreamConfig)) {
	l.t.Helper()
	s, err := l.bus.JS.Stream(l.t.Context(), bus.StreamEvents)
	if err != nil {
		l.t.Fatal(err)
	}
	config := s.CachedInfo().Config
	set(&config)
	if _, err := l.bus.JS.UpdateStream(l.t.Context(), config); err != nil {
		l.t.Fatal(err)
	}
}

// fill publishes until nothing more fits.
func fill(t *testing.T, b *bus.Bus) {
	t.Helper()
	for size := 16 << 10; size >= 16; {
		e, err := events.New("/s", "com.acme.fill", strings.Repeat("x", size))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err = b.PublishEvent(ctx, bus.ClassExternal, e)
		cancel()
		if errors.Is(err, bus.ErrFull) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
