package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// drain reads a tail that does not follow.
func drain(t *testing.T, b *bus.Bus, stream, filter string, o bus.TailOptions) []string {
	t.Helper()
	var got []string
	for m, err := range b.Tail(within(t), stream, filter, o) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s", m.Seq, line(m)))
	}
	return got
}

func TestTailOfWhatIsStored(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	b := bustest.Connect(t, s, busserver.RoleViewer, "v")
	if got := drain(t, b, bus.StreamRuns, "run.>", bus.TailOptions{}); got != nil {
		t.Errorf("empty stream: %q", got)
	}
	for i := range 8 {
		put(t, admin, fmt.Sprintf("run.%c.t", "ab"[i%2]), fmt.Sprint(i+1))
		if i == 3 {
			put(t, admin, "lock.host.web", "a") // 5
		}
	}
	stream, err := admin.JS.Stream(within(t), bus.StreamRuns)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 3} {
		if err := stream.DeleteMsg(within(t), seq); err != nil {
			t.Fatal(err)
		}
	}
	sixth, err := b.Get(within(t), bus.StreamRuns, 6)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		filter string
		opts   bus.TailOptions
		want   []string
	}{
		{
			"one subject, from the beginning, some deleted", "run.a.t",
			bus.TailOptions{},
			[]string{"6 run.a.t 5", "8 run.a.t 7"},
		},
		{
			"wildcard, from a sequence that does not match", "run.>",
			bus.TailOptions{From: 5},
			[]string{"6 run.a.t 5", "7 run.b.t 6", "8 run.a.t 7", "9 run.b.t 8"},
		},
		{
			"from a time", "run.*.t",
			bus.TailOptions{Since: sixth.Time.Add(1)},
			[]string{"7 run.b.t 6", "8 run.a.t 7", "9 run.b.t 8"},
		},
		{"from a time to come", "run.>", bus.TailOptions{Since: time.Now().Add(time.Hour)}, nil},
		{"from the end", "run.>", bus.TailOptions{From: 10}, nil},
		{"what is not republished", "lock.>", bus.TailOptions{}, []string{"5 lock.host.web a"}},
		{"what is not there", "run.c.>", bus.TailOptions{}, nil},
	}
	for _, tt := range tests {
		got := drain(t, b, bus.StreamRuns, tt.filter, tt.opts)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestTailReadsManyPages(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	const n = 1500
	body := make([]byte, 3<<10) // pages end by their bytes, too
	for done := 0; done < n; done += 500 {
		var msgs []*nats.Msg
		for i := range 500 {
			m := &nats.Msg{Subject: "run.j.t", Data: body}
			if i%2 == 0 {
				m.Data = nil
			}
			msgs = append(msgs, m)
		}
		if _, err := b.PublishBatch(within(t), msgs); err != nil {
			t.Fatal(err)
		}
	}
	var last uint64
	for m, err := range b.Tail(within(t), bus.StreamRuns, "run.>", bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Seq != last+1 {
			t.Fatalf("message %d follows %d", m.Seq, last)
		}
		last = m.Seq
	}
	if last != n {
		t.Errorf("tail ends at %d, want %d", last, n)
	}
}

func TestTailFaults(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	put(t, b, "run.j.t", "1")
	publisher := bustest.Connect(t, s, busserver.RolePublisher, "p")
	ctx := within(t)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	tests := []struct {
		name string
		b    *bus.Bus
		ctx  context.Context
		opts bus.TailOptions
		want error
	}{
		{"not permitted", publisher, ctx, bus.TailOptions{}, bus.ErrDenied},
		{"not permitted, following", publisher, ctx, bus.TailOptions{Follow: true}, bus.ErrDenied},
		{"ahead of the stream", b, ctx, bus.TailOptions{From: 3}, bus.ErrRewound},
		{"ahead of the stream, following", b, ctx, bus.TailOptions{From: 3, Follow: true}, bus.ErrRewound},
		{"cancelled", b, gone, bus.TailOptions{}, context.Canceled},
		{"cancelled, following", b, gone, bus.TailOptions{Follow: true}, nil},
	}
	for _, tt := range tests {
		var got error
		for m, err := range tt.b.Tail(tt.ctx, bus.StreamRuns, "run.>", tt.opts) {
			if err == nil {
				t.Errorf("%s: got message %d", tt.name, m.Seq)
			}
			got = err
		}
		if !errors.Is(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// follow reads a following tail until it has seen n messages, and returns them.
func follow(ctx context.Context, b *bus.Bus, filter string, o bus.TailOptions, n int, seen func(bus.Msg)) ([]string, error) {
	o.Follow = true
	stream := bus.StreamRuns
	if strings.HasPrefix(filter, "events.") {
		stream = bus.StreamEvents
	}
	var got []string
	for m, err := range b.Tail(ctx, stream, filter, o) {
		if err != nil {
			return got, err
		}
		got = append(got, line(m))
		if seen != nil {
			seen(m)
		}
		if len(got) == n {
			return got, nil
		}
	}
	return got, ctx.Err()
}

// sequence is what a tail of n messages of put number by number must read.
func sequence(subject string, n int) []string {
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("%s %d", subject, i))
	}
	return want
}

func TestTailFollows(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	b := bustest.Connect(t, s, busserver.RoleViewer, "v")
	const n = 300
	for _, filter := range []string{"run.j.t", "run.>", "events.ext.a"} {
		subject := "run.j.t"
		if filter == "events.ext.a" {
			subject = filter
		}
		t.Run(filter, func(t *testing.T) {
			t.Parallel()
			if filter == "run.>" {
				subject = "run.k.t" // apart from the other test's
				filter = "run.k.>"
			}
			ctx := within(t)
			for i := range n / 3 {
				put(t, admin, subject, fmt.Sprint(i))
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := n / 3; i < n; i++ {
					put(t, admin, subject, fmt.Sprint(i))
				}
			})
			// The reader is slow at times: what waits for it overflows.
			got, err := follow(ctx, b, filter, bus.TailOptions{}, n, func(bus.Msg) {
				if rand.N(50) == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			})
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sequence(subject, n), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// own is a subject for one message alone: then only the connection tells that
// live messages were lost, not the message before it on its subject.
func own(i int) string { return fmt.Sprintf("run.j%d.t", i) }

// ownSequence is what a tail of n messages on subjects of their own must read.
func ownSequence(n int) []string {
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("%s %d", own(i), i))
	}
	return want
}

// TestTailOfSlowReader holds the reader until far more has been published than
// waits for it.
func TestTailOfSlowReader(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	const n = 1200
	put(t, b, own(0), "0")
	got, err := follow(within(t), b, "run.>", bus.TailOptions{}, n, func(m bus.Msg) {
		// First more than can wait, so that some is lost; later, when there is
		// room again, what would be taken for the next one.
		from, to := map[uint64]int{1: 1, 200: 700}[m.Seq], map[uint64]int{1: 700, 200: n}[m.Seq]
		for i := from; i < to; i++ {
			put(t, b, own(i), fmt.Sprint(i))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ownSequence(n), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTailEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	put(t, b, "run.j.t", "0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range b.Tail(ctx, bus.StreamRuns, "run.>", bus.TailOptions{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		cancel()
	}
	if n != 1 {
		t.Errorf("got %d messages", n)
	}
}

// TestTailSurvivesRestarts restarts the server again and again while messages
// are published, and while the reader reads.
func TestTailSurvivesRestarts(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	b := bustest.Connect(t, s, busserver.RoleViewer, "v")
	ctx := within(t)
	const n = 400
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; i < n; {
			_, _, err := admin.Publish(ctx, conditional(own(i), fmt.Sprint(i), 0))
			switch {
			case err == nil, errors.Is(err, bus.ErrConflict): // stored before its answer was lost
				i++
			case ctx.Err() != nil:
				t.Errorf("publish %d: %v", i, err)
				return
			}
			time.Sleep(time.Duration(rand.N(4)) * time.Millisecond)
		}
	})
	restarts := 0
	got, err := follow(ctx, b, "run.>", bus.TailOptions{}, n, func(m bus.Msg) {
		if m.Seq%100 == 50 && restarts < 3 {
			restarts++
			s = bustest.Restart(t, s)
		}
	})
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if restarts != 3 {
		t.Errorf("server was restarted %d times", restarts)
	}
	if diff := cmp.Diff(ownSequence(n), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTailNoticesALostStore gives the stream's sequences out again.
func TestTailNoticesALostStore(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := within(t)
	for i := range 5 {
		put(t, b, "run.j.t", fmt.Sprint(i))
	}
	_, err := follow(ctx, b, "run.>", bus.TailOptions{}, 1000, func(m bus.Msg) {
		if m.Seq != 5 {
			return
		}
		if err := b.JS.DeleteStream(ctx, bus.StreamRuns); err != nil {
			t.Error(err)
		}
		if err := b.Create(ctx, bus.Limits{}); err != nil {
			t.Error(err)
		}
		s = bustest.Restart(t, s)
	})
	if !errors.Is(err, bus.ErrRewound) {
		t.Errorf("got %v, want %v", err, bus.ErrRewound)
	}
}

// TestTailDoesNotTrustPublishers sends the headers by which the server tells a
// tail what a message is.
func TestTailDoesNotTrustPublishers(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	b := bustest.Connect(t, s, busserver.RoleViewer, "v")
	publisher := bustest.Connect(t, s, busserver.RolePublisher, "p")
	forged := func(text string) {
		t.Helper()
		m := &nats.Msg{Subject: "events.ext.a", Data: []byte(text), Header: nats.Header{
			"Status": {"404"}, "Description": {"Message Not Found"}, "Nats-Stream": {"RUNS"},
			"Nats-Sequence": {"99", "98"}, "Nats-Subject": {"events.jet.b"}, "Nats-Num-Pending": {"7"},
			"Nats-Time-Stamp": {"x"}, "Nats-Last-Sequence": {"55"}, "Mine": {"1"},
		}}
		if _, _, err := publisher.Publish(within(t), m); err != nil {
			t.Fatal(err)
		}
	}
	put(t, admin, "events.ext.a", "0")
	forged("1")
	got, err := follow(within(t), b, "events.>", bus.TailOptions{}, 4, func(m bus.Msg) {
		switch m.Seq {
		case 2:
			forged("2")
		case 3:
			if m.Header.Get("Mine") != "1" || m.Header.Get("Nats-Sequence") != "" {
				t.Errorf("headers are %v", m.Header)
			}
			put(t, admin, "events.ext.a", "3")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sequence("events.ext.a", 4), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTailOfABucket(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	kv, err := admin.JS.KeyValue(within(t), bus.BucketRunners)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"r1.info", "r2.info", "r1.info"} {
		if _, err := kv.PutString(within(t), k, "up"); err != nil {
			t.Fatal(err)
		}
	}
	b := bustest.Connect(t, s, busserver.RoleViewer, "v")
	got := drain(t, b, "KV_runners", "$KV.runners.>", bus.TailOptions{})
	want := []string{"2 $KV.runners.r2.info up", "3 $KV.runners.r1.info up"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
