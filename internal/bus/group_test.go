package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// numbered makes event id of a source, with size bytes of data.
func numbered(t testing.TB, source, id string, size int) event.Event {
	t.Helper()
	e := event.New()
	e.SetSource(source)
	e.SetID(id)
	e.SetType("com.example.group")
	if err := e.SetData(event.TextPlain, strings.Repeat("x", size)); err != nil {
		t.Fatal(err)
	}
	return e
}

// grouped makes a Group that is closed before its bus.
func grouped(t testing.TB, b *bus.Bus) *bus.Group {
	t.Helper()
	g := bus.NewGroup(b, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 40*time.Second)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

// outcome is what a sender was told about its event.
type outcome struct {
	id  string
	ack bus.PubAck
	err error
}

// together publishes ids of a source at the same time.
func together(t testing.TB, g *bus.Group, source string, size int, ids ...string) []outcome {
	t.Helper()
	out := make([]outcome, len(ids))
	ready := make(chan struct{})
	var wg sync.WaitGroup
	for i, id := range ids {
		e := numbered(t, source, id, size)
		wg.Go(func() {
			<-ready
			out[i].id = id
			out[i].ack, out[i].err = g.PublishEvent(t.Context(), bus.ClassExternal, e)
		})
	}
	close(ready)
	wg.Wait()
	return out
}

// stored is one event in the stream.
type stored struct {
	id      string
	batched bool
}

// held reads the events of a source, by sequence, and fails if one is there twice.
func held(t testing.TB, b *bus.Bus, source string, from uint64) map[uint64]stored {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	found := make(map[uint64]stored)
	twice := make(map[string]uint64)
	for m, err := range b.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: from}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if e.Source() != source {
			continue
		}
		if first, ok := twice[e.ID()]; ok {
			t.Errorf("event %s is stored as %d and as %d", e.ID(), first, m.Seq)
		}
		twice[e.ID()] = m.Seq
		found[m.Seq] = stored{e.ID(), m.Header.Get("Nats-Batch-Id") != ""}
	}
	return found
}

// ids makes n ids from first on.
func ids(first, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(first + i)
	}
	return list
}

func TestGroupBatchesACrowdAndNotALoneSender(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	g := grouped(t, b)
	for _, o := range together(t, g, "/lone", 10, "a") {
		if o.err != nil || o.ack != (bus.PubAck{Seq: 1}) {
			t.Fatalf("alone: %+v", o)
		}
	}
	crowd := together(t, g, "/crowd", 10, ids(0, 300)...)
	for seq, m := range held(t, b, "/lone", 0) {
		if m.batched {
			t.Errorf("the lone sender's event %d was put into a batch", seq)
		}
	}
	check := func(when string, out []outcome, duplicate bool) {
		t.Helper()
		in := held(t, b, "/crowd", 0)
		batched := 0
		for _, o := range out {
			m := in[o.ack.Seq]
			if o.err != nil || m.id != o.id || o.ack.Duplicate != duplicate {
				t.Errorf("%s: event %s: %+v, %v; there is %q", when, o.id, o.ack, o.err, m.id)
			}
			if m.batched {
				batched++
			}
		}
		if len(in) != len(out) || batched < len(out)/2 {
			t.Errorf("%s: %d of %d events stored, %d in batches", when, len(in), len(out), batched)
		}
	}
	check("at first", crowd, false)
	// The server knows the ids that came in a batch, also after a restart.
	check("again", together(t, g, "/crowd", 10, ids(0, 300)...), true)
	bustest.Restart(t, s)
	check("after a restart", together(t, g, "/crowd", 10, ids(0, 300)...), true)
}

// TestGroupStoresEachOnce publishes events of which some are stored already, some
// come twice at once, and some are too large for a batch or for the bus.
func TestGroupStoresEachOnce(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	g := grouped(t, b)
	var runs atomic.Int64
	var next uint64
	rapid.Check(t, func(rt *rapid.T) {
		source := fmt.Sprint("/run/", runs.Add(1))
		known := rapid.IntRange(0, 20).Draw(rt, "known")
		for _, id := range ids(0, known) {
			if _, err := b.PublishEvent(t.Context(), bus.ClassExternal, numbered(t, source, id, 1)); err != nil {
				rt.Fatal(err)
			}
		}
		drawn := rapid.SliceOfN(rapid.IntRange(0, 150), 1, 200).Draw(rt, "ids")
		large := rapid.IntRange(0, 150).Draw(rt, "large")
		huge := rapid.IntRange(151, 300).Draw(rt, "huge")
		out := make([]outcome, len(drawn)+1)
		var wg sync.WaitGroup
		for i, n := range append(drawn, huge) {
			size := 100
			switch n {
			case large:
				size = 100 << 10
			case huge:
				size = bus.MaxEventSize
			}
			e := numbered(t, source, fmt.Sprint(n), size)
			wg.Go(func() {
				out[i].id = e.ID()
				out[i].ack, out[i].err = g.PublishEvent(t.Context(), bus.ClassExternal, e)
			})
		}
		wg.Wait()
		in := held(t, b, source, next)
		fresh := make(map[string]int)
		want := make(map[string]bool)
		for _, o := range out {
			if o.id == fmt.Sprint(huge) {
				if !errors.Is(o.err, bus.ErrTooLarge) {
					rt.Errorf("more than the bus takes: %v", o.err)
				}
				continue
			}
			want[o.id] = true
			if o.err != nil || in[o.ack.Seq].id != o.id {
				rt.Errorf("event %s: %+v, %v; there is %q", o.id, o.ack, o.err, in[o.ack.Seq].id)
			}
			if !o.ack.Duplicate {
				fresh[o.id]++
			}
		}
		for id := range want {
			var n int
			_, _ = fmt.Sscan(id, &n)
			if expected := map[bool]int{true: 0, false: 1}[n < known]; fresh[id] != expected {
				rt.Errorf("event %s: %d senders hear that theirs was the first, want %d", id, fresh[id], expected)
			}
		}
		for _, id := range ids(0, known) {
			want[id] = true
		}
		if len(in) != len(want) {
			rt.Errorf("%d events stored, want %d", len(in), len(want))
		}
		for seq := range in {
			next = max(next, seq+1)
		}
	})
}

// TestGroupOutlastsARestart restarts the server while many publish.
func TestGroupOutlastsARestart(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.WithServer(func(o *busserver.Options) { o.Sync = busserver.Power }))
	g := grouped(t, b)
	const senders, each = 64, 20
	out := make([]outcome, senders*each)
	var done atomic.Int64
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := sender; i < len(out); i += senders {
				e := numbered(t, "/restart", fmt.Sprint(i), 100)
				out[i].id = e.ID()
				out[i].ack, out[i].err = g.PublishEvent(t.Context(), bus.ClassExternal, e)
				done.Add(1)
			}
		})
	}
	for _, share := range []int64{4, 2} {
		for deadline := time.Now().Add(30 * time.Second); done.Load() < senders*each/share; {
			if time.Now().After(deadline) {
				t.Fatal("too slow")
			}
			time.Sleep(time.Millisecond)
		}
		s = bustest.Restart(t, s)
	}
	wg.Wait()
	in := held(t, b, "/restart", 0)
	for _, o := range out {
		if o.err != nil || in[o.ack.Seq].id != o.id {
			t.Errorf("event %s: %+v, %v; there is %q", o.id, o.ack, o.err, in[o.ack.Seq].id)
		}
	}
	if len(in) != len(out) {
		t.Errorf("%d events stored, want %d", len(in), len(out))
	}
}

func TestGroupOnAFullStream(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 1 << 20}))
	g := grouped(t, b)
	const senders, size = 200, 12 << 10
	out := together(t, g, "/full", size, ids(0, senders)...)
	in := held(t, b, "/full", 0)
	accepted := 0
	for _, o := range out {
		switch {
		case o.err == nil && in[o.ack.Seq].id == o.id:
			accepted++
		case o.err == nil:
			t.Errorf("event %s is said to be %d, which is %q", o.id, o.ack.Seq, in[o.ack.Seq].id)
		case !errors.Is(o.err, bus.ErrFull) || errors.Is(o.err, bus.ErrUnknownOutcome):
			t.Errorf("event %s: %v, want full", o.id, o.err)
		}
	}
	if accepted != len(in) || accepted == senders {
		t.Errorf("%d of %d accepted, %d stored", accepted, senders, len(in))
	}
	// What fits is taken, although the batch it came with did not fit.
	if room := 1<<20 - len(in)*(size+400); room > size+400 {
		t.Errorf("refused events with %d bytes left", room)
	}
}

// TestGroupGivingUp has every third sender give up at some moment: the others
// notice nothing, and who hears that nothing was stored hears the truth.
func TestGroupGivingUp(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t, bustest.WithServer(func(o *busserver.Options) { o.Sync = busserver.Power }))
	g := grouped(t, b)
	out := make([]outcome, 300)
	var wg sync.WaitGroup
	for i := range out {
		ctx := t.Context()
		if i%3 == 0 {
			ended, cancel := context.WithTimeout(ctx, time.Duration(i)*100*time.Microsecond)
			defer cancel()
			ctx = ended
		}
		e := numbered(t, "/giving-up", fmt.Sprint(i), 100)
		wg.Go(func() {
			out[i].id = e.ID()
			out[i].ack, out[i].err = g.PublishEvent(ctx, bus.ClassExternal, e)
		})
	}
	wg.Wait()
	if err := g.Close(within(t)); err != nil { // what was under way is done
		t.Fatal(err)
	}
	in := held(t, b, "/giving-up", 0)
	there := make(map[string]bool)
	for _, m := range in {
		there[m.id] = true
	}
	gaveUp := 0
	for i, o := range out {
		switch {
		case o.err == nil && in[o.ack.Seq].id != o.id:
			t.Errorf("event %s is said to be %d, which is %q", o.id, o.ack.Seq, in[o.ack.Seq].id)
		case o.err == nil:
		case i%3 != 0 || !errors.Is(o.err, context.DeadlineExceeded):
			t.Errorf("event %s: %v", o.id, o.err)
		case !errors.Is(o.err, bus.ErrUnknownOutcome) && there[o.id]:
			t.Errorf("event %s is stored, its sender hears %v", o.id, o.err)
		default:
			gaveUp++
		}
	}
	if gaveUp == 0 {
		t.Error("nobody gave up: the test shows nothing")
	}
}

func TestGroupDenied(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	g := grouped(t, bustest.Connect(t, s, busserver.RoleViewer, "v"))
	for _, o := range together(t, g, "/denied", 10, ids(0, 40)...) {
		if !errors.Is(o.err, bus.ErrDenied) {
			t.Errorf("event %s: %v, want denied", o.id, o.err)
		}
	}
}

// TestGroupClose closes while many publish: each event is stored, or its sender
// hears that it is not.
func TestGroupClose(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	g := bus.NewGroup(b, nil)
	out := make([]outcome, 200)
	var started atomic.Int64
	var wg sync.WaitGroup
	for i := range out {
		e := numbered(t, "/close", fmt.Sprint(i), 100)
		wg.Go(func() {
			out[i].id = e.ID()
			started.Add(1)
			out[i].ack, out[i].err = g.PublishEvent(t.Context(), bus.ClassExternal, e)
		})
	}
	for started.Load() < int64(len(out))/2 {
		time.Sleep(10 * time.Microsecond)
	}
	for range 2 {
		if err := g.Close(within(t)); err != nil {
			t.Error(err)
		}
	}
	in := held(t, b, "/close", 0) // before the senders have all been told
	wg.Wait()
	accepted := 0
	for _, o := range out {
		switch {
		case o.err == nil && in[o.ack.Seq].id == o.id:
			accepted++
		case !errors.Is(o.err, bus.ErrUnavailable):
			t.Errorf("event %s: %+v, %v", o.id, o.ack, o.err)
		}
	}
	if accepted != len(in) {
		t.Errorf("%d accepted, %d stored", accepted, len(in))
	}
	if _, err := g.PublishEvent(t.Context(), bus.ClassExternal, numbered(t, "/close", "late", 1)); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("after the end: %v, want unavailable", err)
	}
}
