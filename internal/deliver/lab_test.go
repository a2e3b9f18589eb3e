package deliver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

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

// lab is a bus and what is delivered from it.
type lab struct {
	t   *testing.T
	bus *bus.Bus
	log *journal
}

func newLab(t *testing.T, opts ...bustest.Option) *lab {
	t.Helper()
	_, b := bustest.Start(t, opts...)
	return &lab{t: t, bus: b, log: new(journal)}
}

// quick is a timing for tests.
func quick() timing {
	return timing{
		first: 20 * time.Millisecond, most: 100 * time.Millisecond, asked: time.Minute, patience: 200 * time.Millisecond,
		grace: 100 * time.Millisecond, report: 20 * time.Millisecond, idle: 50 * time.Millisecond, again: 20 * time.Millisecond,
	}
}

// start delivers until the test ends, or stop is called.
func (l *lab) start(text string, set ...func(*Deliverer)) (d *Deliverer, stop func()) {
	l.t.Helper()
	d = New(l.bus, slog.New(slog.NewTextHandler(l.log, nil)))
	d.timing = quick()
	d.By, d.Sole = "lab", true
	for _, f := range set {
		f(d)
	}
	l.use(d, text)
	return d, l.run(d)
}

func (l *lab) run(d *Deliverer) (stop func()) {
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan error, 2)
	go func() { ended <- d.Run(ctx) }()
	go func() { ended <- d.RunBatches(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				l.t.Errorf("deliver: %v", err)
			}
		}
	})
	l.t.Cleanup(stop)
	return stop
}

// use puts subscriptions in force: the lines below the key.
func (l *lab) use(d *Deliverer, text string) {
	l.t.Helper()
	s := &Subscriptions{}
	if text != "" {
		var err error
		if s, err = readText("subscriptions:\n" + text); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := d.Use(l.t.Context(), s); err != nil {
		l.t.Fatal(err)
	}
}

// publish stores events with ids, of a type.
func (l *lab) publish(typ string, ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		l.store(bus.ClassExternal, typ, id, map[string]any{"id": id})
	}
}

func (l *lab) store(class, typ, id string, data any) {
	l.t.Helper()
	e, err := events.New("/s", typ, data)
	if err != nil {
		l.t.Fatal(err)
	}
	e.SetID(id)
	if _, err := l.bus.PublishEvent(l.t.Context(), class, e); err != nil {
		l.t.Fatal(err)
	}
}

// eventually waits until f holds: for longer than the bus waits for an answer to what was on
// its way to somebody who is gone.
func (l *lab) eventually(what string, f func() bool) {
	l.t.Helper()
	for until := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			l.t.Fatalf("not in time: %s\n%s", what, l.log)
		}
	}
}

// failures are the events of what was given up.
func (l *lab) failures() (out []events.DeliveryFailed) {
	l.t.Helper()
	for m, err := range l.bus.Tail(l.t.Context(), bus.StreamEvents, "events.jet.dev.jet-bus.delivery.failed.v1", bus.TailOptions{}) {
		if err != nil {
			l.t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			l.t.Fatal(err)
		}
		var d events.DeliveryFailed
		if err := e.DataAs(&d); err != nil || e.Subject() != d.Subscription || e.Source() != source(d.Subscription) {
			l.t.Fatalf("event %v: %v", e, err)
		}
		out = append(out, d)
	}
	return out
}

// status tells how a subscription fares, a zero one if nothing is known.
func (l *lab) status(name string) Status {
	l.t.Helper()
	all, err := List(l.t.Context(), l.bus)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return Status{}
}

// settled waits until nothing waits for a subscription.
func (l *lab) settled(name string) {
	l.t.Helper()
	l.eventually("nothing waits for "+name, func() bool { s := l.status(name); return s.Name != "" && s.Pending == 0 })
}

// receiver is a sink, which answers as it is told.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []delivery
}

// delivery is a request.
type delivery struct {
	events []events.Event
	id     string
	at     time.Time
	taken  bool
}

// answerFunc says what is answered to the events; 0 is 200.
type answerFunc func(n int, list []events.Event, w http.ResponseWriter) int

func newReceiver(t *testing.T, answer answerFunc) *receiver {
	t.Helper()
	v := new(receiver)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		list, err := events.FromBody(r, body)
		if err != nil {
			t.Errorf("request: %v", err)
		}
		v.mu.Lock()
		i := len(v.all)
		v.all = append(v.all, delivery{events: list, id: r.Header.Get(headerID), at: time.Now()})
		v.mu.Unlock()
		code := 0
		if answer != nil {
			code = answer(i+1, list, w)
		}
		v.mu.Lock()
		v.all[i].taken = code == 0
		v.mu.Unlock()
		if code != 0 {
			w.WriteHeader(code)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) requests() []delivery {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.all)
}

// taken are the ids of the events that were taken, in their order.
func (v *receiver) taken() (ids []string) {
	for _, d := range v.requests() {
		for _, e := range d.events {
			if d.taken {
				ids = append(ids, e.ID())
			}
		}
	}
	return ids
}

// sub is a subscription to the receiver.
func (v *receiver) sub(name, more string) string {
	return fmt.Sprintf("  %s: {url: '%s', %s}\n", name, v.URL, more)
}

func numbers(from, to int) (ids []string) {
	for i := from; i <= to; i++ {
		ids = append(ids, fmt.Sprint("e", i))
	}
	return ids
}
