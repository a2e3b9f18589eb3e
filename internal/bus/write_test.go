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

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

func TestCreateMakesWhatIsPinnedAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	if err := b.Create(ctx, bus.Limits{EventsMaxBytes: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	s, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config.MaxBytes; got != 5<<20 {
		t.Errorf("events are limited to %d bytes after an update to %d", got, 5<<20)
	}
	for _, bucket := range []string{bus.BucketRunners, bus.BucketQueues, bus.BucketConfig} {
		if _, err := b.JS.KeyValue(ctx, bucket); err != nil {
			t.Errorf("bucket %s: %v", bucket, err)
		}
	}
	if _, err := b.JS.ObjectStore(ctx, bus.ObjectsBundles); err != nil {
		t.Errorf("object store: %v", err)
	}
	err = b.Create(ctx, bus.Limits{EventsMaxAge: time.Hour, RunsMaxAge: time.Hour})
	if err == nil || !strings.Contains(err.Error(), "must be longer") {
		t.Errorf("jobs that are forgotten with their events: got %v", err)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	first, dup, err := b.Publish(ctx, conditional("run.j.s", "pending", 0))
	if err != nil || dup {
		t.Fatalf("create: dup %v, %v", dup, err)
	}
	if _, _, err := b.Publish(ctx, conditional("run.j.s", "pending", 0)); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("create again: %v, want a conflict", err)
	}
	fenced := &nats.Msg{Subject: "run.j.t"}
	bus.ExpectSubjectSeq(fenced, "run.j.s", first)
	if _, _, err := b.Publish(ctx, fenced); err != nil {
		t.Errorf("fenced by the current state: %v", err)
	}
	put(t, b, "run.j.s", "running")
	if _, _, err := b.Publish(ctx, fenced); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("fenced by an older state: %v, want a conflict", err)
	}
	named := &nats.Msg{Subject: "run.j.t", Header: nats.Header{"Nats-Msg-Id": {"1"}}}
	seq, _, err := b.Publish(ctx, named)
	if err != nil {
		t.Fatal(err)
	}
	if again, dup, err := b.Publish(ctx, named); err != nil || !dup || again != seq {
		t.Errorf("same id: sequence %d, dup %v, %v; want %d, true", again, dup, err, seq)
	}
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: "nobody.listens"}); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("no stream: %v, want unavailable", err)
	}
	big := &nats.Msg{Subject: "run.j.t", Data: make([]byte, 2<<20)}
	if _, _, err := b.Publish(ctx, big); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("2 MiB: %v, want too large", err)
	}
	big = &nats.Msg{Subject: "events.ext.a", Data: make([]byte, bus.MaxEventSize+1)}
	if _, _, err := b.Publish(ctx, big); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("more than the stream takes: %v, want too large", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := b.Publish(gone, named); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []busserver.SyncMode{busserver.Process, busserver.Power} {
		t.Run(fmt.Sprint("sync mode ", mode), func(t *testing.T) {
			t.Parallel()
			_, b := bustest.Start(t, bustest.WithServer(func(o *busserver.Options) { o.Sync = mode }))
			ctx := within(t)
			claim := func(job, text string, state, lock uint64) (uint64, error) {
				return b.PublishBatch(ctx, []*nats.Msg{
					conditional("run."+job+".s", text, state),
					conditional("lock.host.web", job, lock),
				})
			}
			last, err := claim("a", "running", 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if last != 2 {
				t.Errorf("last sequence is %d, want 2", last)
			}
			// The lock is taken: the state must not be written either.
			if _, err := claim("b", "running", 0, 0); !errors.Is(err, bus.ErrConflict) {
				t.Errorf("claim with a taken lock: %v, want a conflict", err)
			}
			if m, err := b.Last(ctx, bus.StreamRuns, "run.b.s"); !errors.Is(err, bus.ErrNotFound) {
				t.Errorf("half a batch is stored: %v, %v", m, err)
			}
			if _, err := claim("b", "running", 0, last); err != nil {
				t.Errorf("claim that takes the lock over: %v", err)
			}
		})
	}
}

func TestBatchOutcomes(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t, bustest.WithLimits(bus.Limits{RunsMaxBytes: 1 << 20}))
	ctx := within(t)
	named := func(id string) *nats.Msg {
		return &nats.Msg{Subject: "run.j.t", Header: nats.Header{"Nats-Msg-Id": {id}}}
	}
	sized := func(n int) *nats.Msg { return &nats.Msg{Subject: "run.j.t", Data: make([]byte, n)} }
	var many []*nats.Msg
	for range 1001 {
		many = append(many, named(""))
	}
	if _, _, err := b.Publish(ctx, named("known")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		msgs []*nats.Msg
		want error
	}{
		{"one message is a plain one", []*nats.Msg{named("a")}, nil},
		{"one message known by its id", []*nats.Msg{named("known")}, bus.ErrDuplicate},
		{"an id is known", []*nats.Msg{named("b"), named("known")}, bus.ErrDuplicate},
		{"an id is in it twice", []*nats.Msg{named("c"), named("c")}, bus.ErrDuplicate},
		{"too many messages", many, bus.ErrTooLarge},
		{"a message too large", []*nats.Msg{sized(1), sized(2 << 20)}, bus.ErrTooLarge},
		{"first message too large", []*nats.Msg{sized(2 << 20), sized(1)}, bus.ErrTooLarge},
		{"more than fits", []*nats.Msg{sized(700 << 10), sized(700 << 10)}, bus.ErrFull},
		{"as much as fits", []*nats.Msg{sized(300 << 10), sized(300 << 10)}, nil},
	}
	for _, tt := range tests {
		before, err := b.JS.Stream(ctx, bus.StreamRuns)
		if err != nil {
			t.Fatal(err)
		}
		seq, err := b.PublishBatch(ctx, tt.msgs)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		after, err := b.JS.Stream(ctx, bus.StreamRuns)
		if err != nil {
			t.Fatal(err)
		}
		grown := after.CachedInfo().State.LastSeq - before.CachedInfo().State.LastSeq
		switch {
		case tt.want == nil && grown != uint64(len(tt.msgs)):
			t.Errorf("%s: %d stored, want %d", tt.name, grown, len(tt.msgs))
		case tt.want == nil && seq != after.CachedInfo().State.LastSeq:
			t.Errorf("%s: last sequence %d, want %d", tt.name, seq, after.CachedInfo().State.LastSeq)
		case tt.want != nil && grown != 0:
			t.Errorf("%s: %d stored by a batch that failed", tt.name, grown)
		}
	}
	if _, err := b.PublishBatch(ctx, nil); err == nil {
		t.Error("an empty batch is accepted")
	}
}

// TestBatchRace lets many claim one lock at once, more than the server takes at
// a time: exactly one wins, and all others hear of a conflict.
func TestBatchRace(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range 80 {
		wg.Go(func() {
			job := fmt.Sprint("j", i)
			_, err := b.PublishBatch(ctx, []*nats.Msg{
				conditional("run."+job+".s", "running", 0),
				conditional("lock.host.web", job, 0),
			})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, bus.ErrConflict):
				lost.Add(1)
			default:
				t.Errorf("%s: %v", job, err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 79 {
		t.Errorf("%d won and %d lost, want 1 and 79", won.Load(), lost.Load())
	}
}

// TestUnknownOutcome publishes to somebody who never answers.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	if _, err := b.Conn.Subscribe("silent", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: "silent"}); !errors.Is(err, bus.ErrUnknownOutcome) {
		t.Errorf("publish: %v, want an unknown outcome", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.PublishBatch(ctx, []*nats.Msg{{Subject: "silent"}, {Subject: "silent"}})
	if !errors.Is(err, bus.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("batch: %v, want an unknown outcome", err)
	}
}

func TestReadFromLeader(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	m := &nats.Msg{Subject: "run.j.s", Data: []byte("one"), Header: nats.Header{"K": {"v"}}}
	if _, _, err := b.Publish(ctx, m); err != nil {
		t.Fatal(err)
	}
	put(t, b, "run.j.s", "two")
	last, err := b.Last(ctx, bus.StreamRuns, "run.j.s")
	if err != nil {
		t.Fatal(err)
	}
	if line(last) != "run.j.s two" || last.Seq != 2 || time.Since(last.Time) > time.Minute {
		t.Errorf("last is %+v", last)
	}
	first, err := b.Get(ctx, bus.StreamRuns, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(nats.Header{"K": {"v"}}, first.Header); diff != "" || line(first) != "run.j.s one" {
		t.Errorf("first is %+v", first)
	}
	if _, err := b.Get(ctx, bus.StreamRuns, 3); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("message 3: %v, want not found", err)
	}
	if _, err := b.Last(ctx, bus.StreamRuns, "run.none.s"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("no message: %v, want not found", err)
	}
	if _, err := b.Last(ctx, "NONE", "x"); err == nil || errors.Is(err, bus.ErrNotFound) {
		t.Errorf("no stream: %v, want another error than not found", err)
	}
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t, bustest.Bare())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		opts bus.Options
		want string
	}{
		{"anonymous", t.Context(), bus.Options{URL: s.URL()}, "authorization"},
		{"nobody there", t.Context(), bus.Options{URL: "nats://127.0.0.1:1"}, "127.0.0.1:1"},
		{"no such file", t.Context(), bus.Options{CredsFile: "/nowhere.creds"}, "read bus credentials"},
		{"not a credential", t.Context(), bus.Options{Creds: []byte("x")}, "read bus credentials"},
		{"cancelled", gone, bus.Options{URL: s.URL()}, "canceled"},
	}
	for _, tt := range tests {
		b, err := bus.Connect(tt.ctx, tt.opts)
		if err == nil {
			t.Errorf("%s: connected", tt.name)
			_ = b.Close(t.Context())
		} else if !strings.Contains(strings.ToLower(err.Error()), tt.want) {
			t.Errorf("%s: %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}

func TestConnectInProcess(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	creds, err := s.Keys().Issue(busserver.RoleBus, "jet-bus", 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(within(t), bus.Options{InProcess: s.InProcess(), Creds: creds})
	if err != nil {
		t.Fatal(err)
	}
	if b.User != "jet-bus" || b.Role != "bus" {
		t.Errorf("connected as %q %q", b.Role, b.User)
	}
	put(t, b, "run.j.s", "x")
	if err := b.Close(within(t)); err != nil {
		t.Error(err)
	}
	if err := b.Close(within(t)); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, _, err := b.Publish(within(t), &nats.Msg{Subject: "run.j.s"}); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("publish when closed: %v, want unavailable", err)
	}
}
