package intake

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// lab is a bus, and what runs on it.
type lab struct {
	t      *testing.T
	server *busserver.Server
	bus    *bus.Bus
	log    *journal
}

func newLab(t *testing.T, opts ...bustest.Option) *lab {
	t.Helper()
	s, b := bustest.Start(t, opts...)
	return &lab{t: t, server: s, bus: b, log: new(journal)}
}

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// supervisor returns one that is not patient.
func (l *lab) supervisor(b *bus.Bus) *Supervisor {
	s := New(b, slog.New(slog.NewTextHandler(l.log, nil)))
	s.timing = timing{
		first: 10 * time.Millisecond, most: 40 * time.Millisecond, steady: time.Minute, every: 20 * time.Millisecond,
		grace: 2 * time.Second, again: 100 * time.Millisecond,
	}
	return s
}

// start has sources run until the test ends or stop is called.
func (l *lab) start(all *Sources) (s *Supervisor, stop func()) {
	l.t.Helper()
	s = l.supervisor(l.bus)
	s.Use(all)
	return s, l.running(s.Run)
}

func (l *lab) running(work func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("supervisor: %v", err)
		}
	})
	l.t.Cleanup(stop)
	return stop
}

// those are sources of a kind of the tests. The text says when one has changed.
func those(all map[string]run, text string) *Sources {
	s := &Sources{byName: make(map[string]entry)}
	for name, r := range all {
		s.byName[name] = entry{kind: Kind{Key: "test"}, source: r, enabled: true, digest: text}
	}
	return s
}

func one(r run) *Sources { return those(map[string]run{"a": r}, "") }

// eventually waits until f holds.
func (l *lab) eventually(what string, f func() bool) {
	l.t.Helper()
	for until := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			l.t.Fatalf("not in time: %s\n%s\n%s", what, l.states(), l.log)
		}
	}
}

// state is how a source fares, the zero State if there is no such.
func (l *lab) state(name string) State {
	l.t.Helper()
	all, err := States(l.t.Context(), l.bus)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return State{}
}

func (l *lab) states() string {
	all, err := States(context.WithoutCancel(l.t.Context()), l.bus)
	text, _ := json.Marshal(all)
	return string(text) + " " + errorText(err)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// stored are the events on the bus, in their order.
func (l *lab) stored() (all []events.Event, subjects []string) {
	l.t.Helper()
	for m, err := range l.bus.Tail(l.t.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			l.t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			l.t.Fatal(err)
		}
		all, subjects = append(all, e), append(subjects, m.Subject)
	}
	return all, subjects
}

// types are those of the events on the bus.
func (l *lab) types() []string {
	l.t.Helper()
	var out []string
	all, _ := l.stored()
	for _, e := range all {
		out = append(out, e.Type())
	}
	return out
}

func (l *lab) ids() []string {
	l.t.Helper()
	var out []string
	all, _ := l.stored()
	for _, e := range all {
		out = append(out, e.ID())
	}
	return out
}

// happened is an event from outside.
func happened(id string) events.Event {
	e, err := events.New("/test", "com.example.thing", map[string]string{"id": id})
	if err != nil {
		panic(err) // these are right
	}
	e.SetID(id)
	return e
}

// notes are what sources say to their test.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, s)
}

func (n *notes) got() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all)
}
