package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

const deployRules = `
rules:
  - name: deploy
    on: [com.example.deploy]
    condition: event.data.version != "skip"
    run:
      playbook: deploy.yml
      limit: web
      vars: {version: "${{ event.data.version }}"}
  - name: audit
    on: [com.example.*]
    run: {playbook: audit.yml, needs: {site: fra}, timeout: 5m, on_runner_loss: fail, check: true}
  - name: off
    on: [com.example.deploy]
    enabled: false
    run: {playbook: off.yml}
  - name: other
    on: [org.example.other]
    run: {playbook: other.yml}
`

// lab is a bus, and what a test wants to know of it.
type lab struct {
	*testing.T
	server *busserver.Server
	bus    *bus.Bus
	queue  *queue.Queue
}

func newLab(t *testing.T) lab {
	t.Helper()
	s, b := bustest.Start(t)
	return lab{T: t, server: s, bus: b, queue: queue.New(b, nil)}
}

func (l lab) set(text string) *rules.Set {
	l.Helper()
	set, err := rules.Load(fstest.MapFS{"rules/r.yml": {Data: []byte(text)}}, "rules")
	if err != nil {
		l.Fatal(err)
	}
	return set
}

// running is a dispatcher at work, with what it logged.
type running struct {
	*Dispatcher
	log  *logText
	stop func() error
}

// start runs a dispatcher on b until the test ends or stop is called.
func (l lab) start(b *bus.Bus, text string) running { return l.begin(b, time.Now, text) }

// startAt is start with a clock.
func (l lab) startAt(c *clock, text string) running { return l.begin(l.bus, c.now, text) }

func (l lab) begin(b *bus.Bus, now func() time.Time, text string) running {
	l.Helper()
	out := &logText{}
	d := New(b, queue.New(b, nil), queue.DefaultTiming, slog.New(slog.NewTextHandler(out, nil)))
	d.now = now
	if err := d.Use(l.Context(), Content{Set: l.set(text), Bundle: "b1"}); err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	l.Cleanup(func() {
		if err := stop(); err != nil {
			l.Errorf("dispatcher: %v", err)
		}
	})
	return running{Dispatcher: d, log: out, stop: stop}
}

// logText collects log lines of several goroutines.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *logText) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(p)
}

func (t *logText) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// lines returns the lines that contain text.
func (t *logText) lines(text string) (out []string) {
	for line := range strings.Lines(t.String()) {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// inOrder checks that the jobs of a rule were stored in the order of their events.
func (l lab) inOrder(rule string) {
	l.Helper()
	list, err := l.queue.List(l.Context(), queue.ListOptions{})
	if err != nil {
		l.Fatal(err)
	}
	slices.SortFunc(list, func(a, b queue.Record) int { return cmp.Compare(a.First, b.First) })
	var last uint64
	for _, r := range list {
		if r.Rule != rule {
			continue
		}
		if r.Event.Seq < last {
			l.Errorf("the job of event %d was stored after that of event %d", r.Event.Seq, last)
		}
		last = r.Event.Seq
	}
}

// seqOf returns the sequence of an event by its id.
func (l lab) seqOf(id string) (seq uint64) {
	l.Helper()
	for m, err := range l.bus.Tail(l.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		if e, err := bus.DecodeEvent(m.Header, m.Data); err == nil && e.ID() == id {
			seq = m.Seq
		}
	}
	return seq
}

// own returns the last event of our own of a type.
func (l lab) own(typ string) events.Event {
	l.Helper()
	m, err := l.bus.Last(l.Context(), bus.StreamEvents, bus.EventSubject(bus.ClassOwn, typ))
	if err != nil {
		l.Fatal(err)
	}
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		l.Fatal(err)
	}
	return e
}

func (l lab) event(typ, id, version string) events.Event {
	l.Helper()
	e, err := events.New("/test", typ, map[string]any{"version": version})
	if err != nil {
		l.Fatal(err)
	}
	e.SetID(id)
	return e
}

func (l lab) publish(class string, e events.Event) uint64 {
	l.Helper()
	ack, err := l.bus.PublishEvent(l.Context(), class, e)
	if err != nil {
		l.Fatal(err)
	}
	return ack.Seq
}

// raw stores a message as a client that keeps to no format would.
func (l lab) raw(m *nats.Msg) uint64 {
	l.Helper()
	seq, _, err := l.bus.Publish(l.Context(), m)
	if err != nil {
		l.Fatal(err)
	}
	return seq
}

// judged waits until every event up to seq is done with.
func (l lab) judged(seq uint64) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := Judged(ctx, l.bus)
		if err != nil {
			l.Fatal(err)
		}
		if done >= seq {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			l.Fatalf("events are judged up to %d, waiting for %d", done, seq)
		}
	}
}

// jobs returns "rule event" of every job, and fails for one that was stored
// more than once.
func (l lab) jobs() map[string]int {
	l.Helper()
	out := map[string]int{}
	for m, err := range l.bus.Tail(l.Context(), bus.StreamRuns, bus.AllStates, bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		id := strings.TrimSuffix(strings.TrimPrefix(m.Subject, "run."), ".s")
		rec, err := l.queue.Get(l.Context(), id)
		if err != nil {
			l.Fatal(err)
		}
		out[rec.Rule+" "+rec.Event.ID]++
	}
	return out
}

func (l lab) job(e events.Event, rule string, seq uint64) queue.Job {
	l.Helper()
	set := l.set(deployRules)
	for _, v := range set.Match(e, time.Time{}) {
		if v.Rule.Name == rule {
			return Job(Content{Set: set, Bundle: "b1"}, v, e, seq)
		}
	}
	l.Fatalf("no rule %s for %s", rule, e.Type())
	return queue.Job{}
}

func (l lab) submit(j queue.Job) {
	l.Helper()
	if _, _, err := l.queue.Submit(l.Context(), j); err != nil {
		l.Fatal(err)
	}
}
