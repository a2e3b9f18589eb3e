package jobevent

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

// A rule for failed jobs whose own job fails comes to an end.
func TestLoopEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	set, err := rules.Load(fstest.MapFS{"rules/r.yml": {Data: []byte(`
rules:
  - {name: work, on: com.example.work, run: {playbook: work.yml}}
  - {name: mend, on: dev.jet-bus.job.failed.v1, run: {playbook: mend.yml}}
`)}}, "rules")
	if err != nil {
		t.Fatal(err)
	}
	q := queue.New(l.bus, nil)
	timing := queue.Timing{Lease: 10 * time.Second}
	d := dispatch.New(l.bus, q, timing, slog.New(slog.DiscardHandler))
	if err := d.Use(t.Context(), dispatch.Content{Set: set, Bundle: "b"}); err != nil {
		t.Fatal(err)
	}
	f := New(l.bus, nil)
	f.Want("rules", set.Wants, End{})
	w := &queue.Worker{
		Queue: queue.New(bustest.Connect(t, l.server, busserver.RoleRunner, "r"), nil), Name: "r", Slots: 4,
		Prepare: func(context.Context, queue.Job) (queue.Prepared, error) {
			return queue.Prepared{Run: func(context.Context, *queue.Lease) queue.Outcome {
				return queue.Outcome{State: queue.Failed, Reason: "it does not work"}
			}}, nil
		},
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, run := range []func(context.Context) error{
		d.Run, f.Run, (&queue.Scheduler{Queue: q, Timing: timing}).Run, func(ctx context.Context) error { return w.Work(ctx, nil) },
	} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	e, err := events.New("/ci", "com.example.work", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	e.SetID("first")
	if _, err := l.bus.PublishEvent(ctx, bus.ClassExternal, e); err != nil {
		t.Fatal(err)
	}
	const want = rules.MaxDepth + 1 // the first job, and one for each failure that a rule still reacts to
	var told []events.Event
	l.until("end of the chain", func() bool { told = l.told(); return len(told) >= want }, func() string { return words(told) })
	l.until("verdict on the last event", func() bool {
		seq, err := dispatch.Judged(ctx, l.bus)
		return err == nil && seq >= want+1
	}, func() string { return words(told) })
	time.Sleep(100 * time.Millisecond) // another job would be there by now
	jobs, err := q.List(ctx, queue.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if told = l.told(); len(jobs) != want || len(told) != want {
		t.Errorf("%d jobs and %d events, want %d", len(jobs), len(told), want)
	}
	var depths []string
	for i, e := range told {
		depths = append(depths, events.Extension(e, events.ExtDepth))
		if i > 0 && events.Extension(e, events.ExtCausation) != told[i-1].ID() || events.Extension(e, events.ExtCorrelation) != "first" {
			t.Errorf("event %d: %s", i, e)
		}
	}
	for i := range want {
		if i >= len(depths) || depths[i] != strconv.Itoa(i+1) {
			t.Fatalf("depths %v", depths)
		}
	}
	if !slices.ContainsFunc(jobs, func(r queue.Record) bool { return r.Event.Depth == rules.MaxDepth }) {
		t.Error("no job of the greatest depth")
	}
}
