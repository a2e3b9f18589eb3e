package jobevent

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// lab is a bus, on which jobs are made to be in whatever state is wanted.
type lab struct {
	*testing.T
	server *busserver.Server
	bus    *bus.Bus
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, b := bustest.Start(t)
	return &lab{T: t, server: s, bus: b}
}

// put stores a revision of a job and returns its sequence.
func (l *lab) put(j queue.Job) uint64 {
	l.Helper()
	data, err := json.Marshal(j)
	if err != nil {
		l.Fatal(err)
	}
	seq, _, err := l.bus.Publish(l.Context(), &nats.Msg{Subject: bus.StateSubject(j.ID), Data: data})
	if err != nil {
		l.Fatal(err)
	}
	return seq
}

// life stores the revisions of a job from a new one to its end.
func (l *lab) life(id string, end queue.State) {
	l.Helper()
	j := queue.Job{ID: id, Playbook: "p.yml", State: queue.Pending}
	j.First = l.put(j)
	j.State, j.Attempt, j.Runner = queue.Running, 1, "r1"
	l.put(j)
	j.State = end
	l.put(j)
}

// all wants every event of ours.
func all(string) bool { return true }

// only wants events of some types.
func only(types ...string) func(string) bool {
	return func(typ string) bool { return slices.Contains(types, typ) }
}

// running is a follower at work.
type running struct {
	*Follower
	log  *logText
	stop func() error
}

// follow runs a follower until the test ends or it is stopped.
func (l *lab) follow(b *bus.Bus, wants func(string) bool, change ...func(*Follower)) *running {
	l.Helper()
	r := &running{log: &logText{}}
	r.Follower = New(b, slog.New(slog.NewTextHandler(r.log, nil)))
	r.retry = 10 * time.Millisecond
	for _, f := range change {
		f(r.Follower)
	}
	end, err := r.End(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	r.Want("test", wants, end)
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	l.Cleanup(func() { _ = r.stop() })
	return r
}

// told returns the events of ours that are stored, oldest first.
func (l *lab) told() (out []events.Event) {
	l.Helper()
	for m, err := range l.bus.Tail(l.Context(), bus.StreamEvents, bus.AllOfClass(bus.ClassOwn, ""), bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			l.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// words spells events: job:what, in their order.
func words(list []events.Event) string {
	var out []string
	for _, e := range list {
		what := strings.TrimSuffix(strings.TrimPrefix(e.Type(), "dev.jet-bus."), ".v1")
		out = append(out, e.Subject()+":"+strings.TrimPrefix(what, "job."))
	}
	return strings.Join(out, " ")
}

// expect waits until exactly these events are stored.
func (l *lab) expect(want string) []events.Event {
	l.Helper()
	var got []events.Event
	l.until("events", func() bool {
		got = l.told()
		return len(got) >= len(strings.Fields(want))
	}, func() string { return words(got) })
	if words(got) != want {
		l.Fatalf("told\n%s, want\n%s", words(got), want)
	}
	return got
}

// until waits for something.
func (l *lab) until(what string, so func() bool, state func() string) {
	l.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatalf("no %s: %s", what, state())
		}
	}
}

// stored reads the cursor on the jobs; ok is false if there is none.
func (l *lab) stored() (c cursor, ok bool) {
	l.Helper()
	m, err := l.bus.Last(l.Context(), "KV_"+bus.BucketSources, "$KV."+bus.BucketSources+"."+bus.KeyJobEvents)
	if err != nil {
		return c, false
	}
	if err := json.Unmarshal(m.Data, &c); err != nil {
		l.Fatal(err)
	}
	return c, true
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
