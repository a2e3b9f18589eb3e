package ordered

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

// lab is a bus, and the contents that there are.
type lab struct {
	*testing.T
	server *busserver.Server
	bus    *bus.Bus
	queue  *queue.Queue

	mu       sync.Mutex
	contents map[string]Content
	told     map[string]int // messages to people
	logs     []*logText
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, b := bustest.Start(t)
	return &lab{T: t, server: s, bus: b, queue: queue.New(b, nil), contents: map[string]Content{}, told: map[string]int{}}
}

// forget makes the bus forget message ids at once, as it does after two minutes: what
// keeps anything from being stored twice then is not the server.
func (l *lab) forget() {
	l.Helper()
	for _, name := range []string{bus.StreamEvents, bus.StreamDecisions} {
		s, err := l.bus.JS.Stream(l.Context(), name)
		if err != nil {
			l.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.Duplicates = forgetful
		if _, err := l.bus.JS.UpdateStream(l.Context(), c); err != nil {
			l.Fatal(err)
		}
	}
}

// forgetful is the least that the server takes.
const forgetful = 100 * time.Millisecond

// content makes a content of rules, whose bundle is called by its digest.
func (l *lab) content(text string) Content {
	l.Helper()
	set, err := rules.Load(fstest.MapFS{"rules/r.yml": {Data: []byte(text)}}, "rules")
	if err != nil {
		l.Fatal(err)
	}
	c := Content{Set: set, Bundle: "bundle-" + set.Digest()[:8]}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contents[c.Bundle] = c
	return c
}

func (l *lab) fetch(_ context.Context, bundle string) (Content, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.contents[bundle]
	if !ok {
		return c, fmt.Errorf("bundle %s: %w", bundle, ErrNoContent)
	}
	return c, nil
}

func (l *lab) notify(_ context.Context, n Notification) func() error {
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.told[n.To+": "+n.Text]++
		return nil
	}
}

// running is an evaluator at work.
type running struct {
	*Evaluator
	log  *logText
	stop func()
}

// start runs an evaluator until the test ends or stop is called.
func (l *lab) start(c Content, change ...func(*Evaluator)) *running {
	l.Helper()
	out := &logText{}
	l.logs = append(l.logs, out)
	ev := New(l.bus, queue.New(l.bus, nil), slog.New(slog.NewTextHandler(out, nil)))
	ev.Fetch, ev.Notify = l.fetch, l.notify
	ev.times.look, ev.times.retry = 10*time.Millisecond, 10*time.Millisecond
	for _, f := range change {
		f(ev)
	}
	ev.Use(c)
	if err := ev.Announce(l.Context()); err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	done := make(chan error, 1)
	go func() { done <- ev.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.Errorf("evaluator: %v\n%s", err, out)
		}
	})
	l.Cleanup(stop)
	return &running{Evaluator: ev, log: out, stop: stop}
}

func abrupt(ev *Evaluator) { ev.abrupt = true }

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

func (t *logText) has(text string) bool { return strings.Contains(t.String(), text) }

// publish stores an event from outside, with n as its data, and returns its sequence.
func (l *lab) publish(typ, id string, data map[string]any) uint64 {
	l.Helper()
	e, err := events.New("/test", typ, data)
	if err != nil {
		l.Fatal(err)
	}
	e.SetID(id)
	ack, err := l.bus.PublishEvent(l.Context(), bus.ClassExternal, e)
	if err != nil {
		l.Fatal(err)
	}
	return ack.Seq
}

// until waits for something.
func (l *lab) until(what string, so func() bool) {
	l.Helper()
	end := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(end) {
			for _, log := range l.logs {
				l.Logf("log:\n%s", log)
			}
			l.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// jobs returns how many jobs there are of "rule event", and fails for one that was
// stored more than once.
func (l *lab) jobs() map[string]int {
	l.Helper()
	out := map[string]int{}
	for m, err := range l.bus.Tail(l.Context(), bus.StreamRuns, bus.AllStates, bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		r, err := l.queue.Get(l.Context(), bus.JobOf(m.Subject))
		if err != nil {
			l.Fatal(err)
		}
		out[r.Rule+" "+r.Event.ID]++
	}
	return out
}

// published returns the events that rules, or we, have published: by type and id, how
// often they are stored.
func (l *lab) published(filter string) (ids map[string]int, list []events.Event) {
	l.Helper()
	ids = map[string]int{}
	for m, err := range l.bus.Tail(l.Context(), bus.StreamEvents, filter, bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			l.Fatal(err)
		}
		ids[e.Type()+" "+e.ID()]++
		list = append(list, e)
	}
	return ids, list
}

// records returns the decisions recorded, and fails for one that is there twice.
func (l *lab) records() (out []Record) {
	l.Helper()
	seen := map[string]bool{}
	for r, err := range Records(l.Context(), l.bus, "", bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		if id := fmt.Sprint(r.ID, r.Held); seen[id] {
			l.Errorf("decision recorded twice: %+v", r)
		} else {
			seen[id] = true
		}
		out = append(out, r)
	}
	return out
}

// outcomes are the records, as rule, outcome and key.
func (l *lab) outcomes() map[string]int {
	l.Helper()
	out := map[string]int{}
	for _, r := range l.records() {
		out[strings.TrimSpace(r.Rule+" "+r.Outcome+" "+r.Key)]++
	}
	return out
}

func (l *lab) same(what string, want, got any) {
	l.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

// truth is what a fold over all that is stored decides, with nothing in its way.
func (l *lab) truth() (jobs map[string]int, published map[string]int, last uint64) {
	l.Helper()
	jobs, published = map[string]int{}, map[string]int{}
	ev := New(l.bus, l.queue, nil)
	f := &fold{judge: judge{log: ev.log, fetch: func(ctx context.Context, a events.RulesActivated) (Content, error) {
		return l.fetch(ctx, a.Bundle)
	}}, ev: ev, episodes: newEpisodes(), held: map[string]int{}}
	for m, err := range l.bus.Tail(l.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		last = m.Seq
		list, err := f.take(l.Context(), m)
		if err != nil {
			l.Fatal(err)
		}
		for _, x := range list {
			if x.Job != nil {
				jobs[x.Job.Rule+" "+x.Job.Event.ID]++
			}
			for _, p := range x.Publish {
				published[p.Event.Type()+" "+p.Event.ID()] = 1
			}
		}
	}
	return jobs, published, last
}
