package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	body := make([]byte, 200<<10) // several parts: zeros would pack to nothing
	for i := range body {
		body[i] = byte(i * i >> 3 * i)
	}
	for range 20 {
		if _, _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.EventSubject(bus.ClassExternal, "a"), Data: body}); err != nil {
			t.Fatal(err)
		}
	}
	var copied bytes.Buffer
	snap, err := b.Snapshot(t.Context(), bus.StreamEvents, &copied)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Messages != 20 || snap.FirstSeq != 1 || snap.LastSeq != 20 {
		t.Errorf("copied %+v", snap)
	}
	if err := b.Restore(t.Context(), bus.StreamEvents, snap, bytes.NewReader(copied.Bytes())); err == nil ||
		!strings.Contains(err.Error(), "restore stream EVENTS: ") {
		t.Errorf("over a stream that is there: %v", err)
	}
	_, other := bustest.Start(t, bustest.Bare())
	cut := copied.Bytes()[:copied.Len()-40]
	if err := other.Restore(t.Context(), bus.StreamEvents, snap, bytes.NewReader(cut)); err == nil {
		t.Error("half a copy is restored")
	}
	_, other = bustest.Start(t, bustest.Bare())
	if err := other.Restore(t.Context(), bus.StreamEvents, snap, &copied); err != nil {
		t.Fatal(err)
	}
	if m, err := other.Get(t.Context(), bus.StreamEvents, 20); err != nil || !bytes.Equal(m.Data, body) {
		t.Errorf("the last message: %v", err)
	}

	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	if _, err := viewer.Snapshot(t.Context(), bus.StreamEvents, &copied); !errors.Is(err, bus.ErrDenied) {
		t.Errorf("as a viewer: %v", err)
	}
	if _, err := b.Snapshot(t.Context(), "NONE", &copied); err == nil || !strings.Contains(err.Error(), "stream not found") {
		t.Errorf("of no stream: %v", err)
	}
	full := errors.New("disk full")
	if _, err := b.Snapshot(t.Context(), bus.StreamEvents, writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("to a full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = b.Snapshot(ctx, bus.StreamEvents, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped in the middle: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// What a store was made to keep it keeps, whoever starts it with no word on that.
func TestCreateKeeps(t *testing.T) {
	t.Parallel()
	made := bus.Limits{EventsMaxAge: 40 * 24 * time.Hour, RunsMaxAge: 50 * 24 * time.Hour, RunsMaxBytes: 1 << 20}
	_, b := bustest.Start(t, bustest.WithLimits(made))
	if err := b.Create(t.Context(), bus.Limits{}); err != nil {
		t.Fatal(err)
	}
	check := func(stream string, age time.Duration, size int64) {
		t.Helper()
		s, err := b.JS.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if c := s.CachedInfo().Config; c.MaxAge != age || c.MaxBytes != size {
			t.Errorf("%s keeps %d bytes for %s", stream, c.MaxBytes, c.MaxAge)
		}
	}
	check(bus.StreamEvents, made.EventsMaxAge, 1<<30)
	check(bus.StreamRuns, made.RunsMaxAge, 1<<20)
	if err := b.Create(t.Context(), bus.Limits{EventsMaxAge: 60 * 24 * time.Hour}); err == nil {
		t.Error("events are kept for longer than jobs")
	}
	if err := b.Create(t.Context(), bus.Limits{EventsMaxAge: time.Hour, EventsMaxBytes: 2 << 20}); err != nil {
		t.Fatal(err)
	}
	check(bus.StreamEvents, time.Hour, 2<<20)
	check(bus.StreamRuns, made.RunsMaxAge, 1<<20)
}
