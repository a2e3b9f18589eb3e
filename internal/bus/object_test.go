package bus_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// What a runner stores, a viewer and the client library read, byte for byte; nobody
// else may store.
func TestObjects(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := within(t)
	runner := bustest.Connect(t, s, busserver.RoleRunner, "r")
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	for _, size := range []int{0, 1, 128 << 10, 300_001} {
		data := bytes.Repeat([]byte("0123456\n"), size/8+1)[:size]
		name := string(rune('a' + size%7))
		if err := runner.PutObject(ctx, bus.ObjectsOutputs, name, data); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got, err := viewer.GetObject(ctx, bus.ObjectsOutputs, name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		store, err := b.JS.ObjectStore(ctx, bus.ObjectsOutputs)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := store.GetBytes(ctx, name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: the client library read %d, %v", size, len(got), err)
		}
	}
	if err := viewer.PutObject(ctx, bus.ObjectsOutputs, "x", []byte("x")); !errors.Is(err, bus.ErrDenied) {
		t.Errorf("a viewer stores: %v", err)
	}
	if _, err := viewer.GetObject(ctx, bus.ObjectsOutputs, "none"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("an object that is not there: %v", err)
	}
}

// An object that was just stored is not stored again. One that was removed is gone,
// with all its pieces; what was stored in its place since it was listed stays.
func TestRemoveObject(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	data := bytes.Repeat([]byte("x"), 200_000)
	messages := func() uint64 {
		t.Helper()
		info, err := b.JS.Stream(ctx, bus.ObjectStream(bus.ObjectsOutputs))
		if err != nil {
			t.Fatal(err)
		}
		return info.CachedInfo().State.Msgs
	}
	for range 2 {
		if err := b.PutObject(ctx, bus.ObjectsOutputs, "a", data); err != nil {
			t.Fatal(err)
		}
		if n := messages(); n != 3 {
			t.Fatalf("%d messages, want two pieces and a record", n)
		}
	}
	old, err := b.Objects(ctx, bus.ObjectsOutputs)
	if err != nil || len(old) != 1 || old[0].Name != "a" || old[0].Size != 200_000 {
		t.Fatalf("listed %+v, %v", old, err)
	}
	store, err := b.JS.ObjectStore(ctx, bus.ObjectsOutputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutBytes(ctx, "a", data); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveObject(ctx, bus.ObjectsOutputs, old[0]); err != nil {
		t.Fatal(err)
	}
	if got, err := b.GetObject(ctx, bus.ObjectsOutputs, "a"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("stored anew: read %d bytes, %v", len(got), err)
	}
	again, err := b.Objects(ctx, bus.ObjectsOutputs)
	if err != nil || len(again) != 1 {
		t.Fatalf("listed %+v, %v", again, err)
	}
	if err := b.RemoveObject(ctx, bus.ObjectsOutputs, again[0]); err != nil {
		t.Fatal(err)
	}
	if n := messages(); n != 0 {
		t.Errorf("%d messages left", n)
	}
}

// A store that is full says so, and an object of which a part is missing is none.
func TestFullObjectStore(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t, bustest.WithLimits(bus.Limits{RunsMaxBytes: 1 << 20}))
	ctx := within(t)
	if err := b.PutObject(ctx, bus.ObjectsOutputs, "large", make([]byte, 300<<10)); !errors.Is(err, bus.ErrFull) {
		t.Fatalf("more than fits: %v", err)
	}
	if _, err := b.GetObject(ctx, bus.ObjectsOutputs, "large"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("what did not fit: %v", err)
	}
	if err := b.Purge(ctx, bus.ObjectStream(bus.ObjectsOutputs), "$O.outputs.C.>", 0); err != nil {
		t.Fatal(err)
	}
	if err := b.PutObject(ctx, bus.ObjectsOutputs, "small", make([]byte, 150<<10)); err != nil {
		t.Fatal(err)
	}
	m, err := b.Get(ctx, bus.ObjectStream(bus.ObjectsOutputs), 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Purge(ctx, bus.ObjectStream(bus.ObjectsOutputs), m.Subject, m.Seq+1); err != nil {
		t.Fatal(err)
	}
	if got, err := b.GetObject(ctx, bus.ObjectsOutputs, "small"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("half an object: %d bytes, %v", len(got), err)
	}
}

// Purge removes what matches its filter and is older, and nothing else.
func TestPurge(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := within(t)
	put(t, b, "run.a.t", "1")
	put(t, b, "run.a.s", "2")
	third := put(t, b, "run.b.t", "3")
	put(t, b, "run.b.t", "4")
	if err := b.Purge(ctx, bus.StreamRuns, "run.*.t", third); err != nil {
		t.Fatal(err)
	}
	var left []string
	for m, err := range b.Tail(ctx, bus.StreamRuns, ">", bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, line(m))
	}
	if len(left) != 3 || left[0] != "run.a.s 2" || left[1] != "run.b.t 3" {
		t.Errorf("left: %q", left)
	}
	runner := bustest.Connect(t, s, busserver.RoleRunner, "r")
	if err := runner.Purge(ctx, bus.StreamRuns, "run.*.t", 0); !errors.Is(err, bus.ErrDenied) {
		t.Errorf("a runner purges: %v", err)
	}
}
