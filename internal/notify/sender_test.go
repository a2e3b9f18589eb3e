package notify

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

	"github.com/google/go-cmp/cmp"

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

// lab is a bus and what is sent from it.
type lab struct {
	t   *testing.T
	bus *bus.Bus
	log *journal
}

func newLab(t *testing.T) *lab {
	t.Helper()
	_, b := bustest.Start(t)
	return &lab{t: t, bus: b, log: new(journal)}
}

// quick is a timing for tests.
func quick() timing {
	return timing{
		first: 100 * time.Millisecond, most: 400 * time.Millisecond, until: time.Minute, grace: 100 * time.Millisecond,
		sweep: 50 * time.Millisecond, orphan: 300 * time.Millisecond, again: 20 * time.Millisecond,
	}
}

// start runs a sender until the test ends, or stop is called.
func (l *lab) start(pace timing, targets ...*target) (s *Sender, stop func()) {
	l.t.Helper()
	s = NewSender(l.bus, slog.New(slog.NewTextHandler(l.log, nil)))
	s.timing = pace
	s.Use(those(targets...))
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("sender: %v", err)
		}
	})
	l.t.Cleanup(stop)
	return s, stop
}

func those(targets ...*target) *Targets {
	t := &Targets{byName: make(map[string]*target)}
	for _, one := range targets {
		t.byName[one.name] = one
	}
	return t
}

// store stores a message for a target.
func (l *lab) store(id, to string) {
	l.t.Helper()
	m := message()
	m.ID, m.To, m.Correlation, m.Depth = id, to, "chain", 2
	if err := Store(l.t.Context(), l.bus, m); err != nil {
		l.t.Fatal(err)
	}
}

// waiting tells how many messages are on the bus.
func (l *lab) waiting() uint64 {
	l.t.Helper()
	s, err := l.bus.JS.Stream(l.t.Context(), bus.StreamNotify)
	if err != nil {
		l.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// eventually waits until f holds.
func (l *lab) eventually(what string, f func() bool) {
	l.t.Helper()
	for until := time.Now().Add(20 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			l.t.Fatalf("not in time: %s\n%s", what, l.log)
		}
	}
}

// failures are the events of messages given up.
func (l *lab) failures() []events.Event {
	l.t.Helper()
	var out []events.Event
	for m, err := range l.bus.Tail(l.t.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			l.t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			l.t.Fatal(err)
		}
		if e.Type() != events.TypeNotificationFailed || !strings.HasPrefix(m.Subject, "events.jet.") {
			l.t.Fatalf("event %s on %s", e.Type(), m.Subject)
		}
		out = append(out, e)
	}
	return out
}

// receiver is a target's server, which answers as it is told.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	ids []string
	at  []time.Time
}

func newReceiver(t *testing.T, answer func(attempt int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	v := new(receiver)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		v.mu.Lock()
		v.ids, v.at = append(v.ids, r.Header.Get(headerID)), append(v.at, time.Now())
		n := len(v.ids)
		v.mu.Unlock()
		if answer != nil {
			answer(n, w, r)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) got() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.ids)
}

func (v *receiver) target(t *testing.T, name string) *target {
	t.Helper()
	to := hookTo(t, v.URL+"/s3cret", bodyJSON)
	to.name, to.webhook.target = name, name
	return to
}

func status(code int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// What fails is tried again, later each time, and then gone from the bus.
func TestRetry(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt < 4 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	l.start(quick(), v.target(t, "ops"))
	l.store("m-1", "ops")
	l.eventually("sent", func() bool { return len(v.got()) == 4 && l.waiting() == 0 })
	for i, least := range []int64{100, 200, 400} {
		if d := v.at[i+1].Sub(v.at[i]); d.Milliseconds() < least {
			t.Errorf("attempt %d came after %s, want at least %d ms", i+2, d, least)
		}
	}
	if diff := cmp.Diff([]string{"m-1", "m-1", "m-1", "m-1"}, v.got()); diff != "" {
		t.Error(diff)
	}
	if f := l.failures(); len(f) != 0 {
		t.Errorf("given up: %v", f)
	}
	if text := l.log.String(); strings.Contains(text, "s3cret") || !strings.Contains(text, "answers 502") {
		t.Errorf("log:\n%s", text)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	pace := NewSender(nil, slog.New(slog.DiscardHandler)).timing
	for _, tt := range []struct {
		attempts uint64
		want     time.Duration
	}{
		{0, 5 * time.Second},
		{1, 5 * time.Second},
		{2, 10 * time.Second},
		{7, 320 * time.Second},
		{8, 10 * time.Minute},
		{1 << 60, 10 * time.Minute},
	} {
		if got := pace.backoff(tt.attempts); got != tt.want {
			t.Errorf("after %d: %s, want %s", tt.attempts, got, tt.want)
		}
	}
}

// A message that its target will not have, one that nobody took in time, and one
// without a target end as events.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer   int
		to       string
		until    time.Duration
		attempts func(uint64) bool
		reason   string
	}{
		"refused":   {http.StatusForbidden, "ops", time.Minute, func(n uint64) bool { return n == 1 }, " answers 403 Forbidden"},
		"in time":   {http.StatusServiceUnavailable, "ops", 1500 * time.Millisecond, func(n uint64) bool { return n > 1 }, "given up after "},
		"no target": {http.StatusOK, "gone", time.Minute, func(n uint64) bool { return n == 0 }, "notify.yml has no target gone any more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			v := newReceiver(t, status(tt.answer))
			pace := quick()
			pace.until = tt.until
			l.start(pace, v.target(t, "ops"))
			l.store("m-1", tt.to)
			l.eventually("given up", func() bool { return l.waiting() == 0 })
			all := l.failures()
			if len(all) != 1 {
				t.Fatalf("events: %v", all)
			}
			e := all[0]
			var data events.NotificationFailed
			if err := e.DataAs(&data); err != nil {
				t.Fatal(err)
			}
			if data.ID != "m-1" || data.To != tt.to || data.Rule != "silent" || !data.At.Equal(when) || !tt.attempts(data.Attempts) ||
				!strings.Contains(data.Reason, tt.reason) || strings.Contains(data.Reason, "s3cret") {
				t.Errorf("data: %+v", data)
			}
			for attr, want := range map[string]string{events.ExtCorrelation: "chain", events.ExtCausation: "e1", "jetdepth": "3"} {
				if got := fmt.Sprint(e.Extensions()[attr]); got != want {
					t.Errorf("%s is %s, want %s", attr, got, want)
				}
			}
			if int(data.Attempts) != len(v.got()) {
				t.Errorf("%d attempts told, %d made", data.Attempts, len(v.got()))
			}
		})
	}
}

// A target that hangs holds up no other, and is not asked more than a few at once.
func TestStuckTarget(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	stuck := newReceiver(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	fine := newReceiver(t, nil)
	hangs := stuck.target(t, "stuck")
	hangs.timeout = time.Minute
	_, stop := l.start(quick(), hangs, fine.target(t, "ops"))
	for i := range 20 {
		l.store(fmt.Sprintf("s-%d", i), "stuck")
		l.store(fmt.Sprintf("m-%d", i), "ops")
	}
	l.eventually("sent to the other", func() bool { return len(fine.got()) == 20 && l.waiting() == 20 })
	if n := len(stuck.got()); n > atOnce {
		t.Errorf("%d at once", n)
	}
	// At the end they are given back, for whoever comes next.
	began := time.Now()
	stop()
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %s to stop", d)
	}
	next := newReceiver(t, nil)
	l.start(quick(), next.target(t, "stuck"))
	l.eventually("sent by the next", func() bool { return l.waiting() == 0 })
	ids := next.got()
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 20 {
		t.Errorf("%d of 20 messages", n)
	}
}

// An attempt under way when jet-bus stops may come to an end.
func TestGrace(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	v := newReceiver(t, func(int, http.ResponseWriter, *http.Request) {
		close(begun)
		<-goOn
	})
	pace := quick()
	pace.grace = 10 * time.Second
	_, stop := l.start(pace, v.target(t, "ops"))
	l.store("m-1", "ops")
	<-begun
	time.AfterFunc(100*time.Millisecond, func() { close(goOn) })
	stop()
	if n := l.waiting(); n != 0 || len(v.got()) != 1 {
		t.Errorf("%d wait, %d attempts", n, len(v.got()))
	}
}

// Messages wait through a restart of the bus, and so do the times of their attempts.
func TestRestart(t *testing.T) {
	t.Parallel()
	server, b := bustest.Start(t)
	l := &lab{t: t, bus: b, log: new(journal)}
	v := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt <= 2 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	pace := quick()
	pace.first, pace.most = 2*time.Second, 2*time.Second
	_, stop := l.start(pace, v.target(t, "ops"))
	l.store("m-1", "ops")
	l.store("m-2", "ops")
	l.eventually("tried", func() bool { return strings.Count(l.log.String(), "it is tried again") == 2 })
	stop()
	tried := time.Now()
	bustest.Restart(t, server)
	l.eventually("connected", func() bool { return b.Conn.IsConnected() })
	l.start(pace, v.target(t, "ops"))
	l.eventually("sent", func() bool { return l.waiting() == 0 })
	if n := len(v.got()); n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
	if d := v.at[2].Sub(tried); d < time.Second {
		t.Errorf("the next attempt came after %s", d)
	}
}

// A sender outlasts the bus, also while there is nothing to send.
func TestBusAway(t *testing.T) {
	t.Parallel()
	server, b := bustest.Start(t)
	l := &lab{t: t, bus: b, log: new(journal)}
	v := newReceiver(t, nil)
	l.start(quick(), v.target(t, "ops"))
	l.store("m-1", "ops")
	l.eventually("sent", func() bool { return l.waiting() == 0 })
	bustest.Restart(t, server)
	l.eventually("connected", func() bool { return b.Conn.IsConnected() })
	l.store("m-2", "ops")
	l.eventually("sent after", func() bool { return len(v.got()) == 2 && l.waiting() == 0 })
}

// A reload changes where waiting messages go, adds targets and takes them away.
func TestReload(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bad, good := newReceiver(t, status(http.StatusBadGateway)), newReceiver(t, nil)
	pace := quick()
	pace.orphan = time.Hour
	s, _ := l.start(pace, bad.target(t, "ops"))
	l.store("m-1", "ops")
	l.store("m-2", "new")
	l.eventually("tried", func() bool { return len(bad.got()) > 0 })
	s.Use(those(good.target(t, "ops"), good.target(t, "new")))
	l.eventually("sent", func() bool { return l.waiting() == 0 })
	s.Use(those(good.target(t, "new")))
	l.store("m-3", "ops")
	l.store("m-4", "new")
	l.eventually("sent to the other", func() bool { return l.waiting() == 1 })
	s.Use(those(good.target(t, "ops")))
	l.eventually("sent when it is back", func() bool { return l.waiting() == 0 })
	ids := good.got()
	slices.Sort(ids)
	if diff := cmp.Diff([]string{"m-1", "m-2", "m-3", "m-4"}, ids); diff != "" {
		t.Error(diff)
	}
	if f := l.failures(); len(f) != 0 {
		t.Errorf("given up: %v", f)
	}
}

// Two senders share the work, and each message is sent by one of them.
func TestTwoSenders(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, nil)
	l.start(quick(), v.target(t, "ops"))
	l.start(quick(), v.target(t, "ops"))
	for i := range 50 {
		l.store(fmt.Sprintf("m-%d", i), "ops")
	}
	l.eventually("sent", func() bool { return l.waiting() == 0 })
	if n := len(v.got()); n != 50 {
		t.Errorf("%d sent", n)
	}
}

// A target that asks for time is left alone, and attempts keep a pace.
func TestPace(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	pace := quick()
	pace.most, pace.pace = 5*time.Second, 50*time.Millisecond
	l.store("m-1", "ops")
	l.start(pace, v.target(t, "ops"))
	l.eventually("tried", func() bool { return strings.Contains(l.log.String(), "it is tried again") })
	for i := range 4 {
		l.store(fmt.Sprintf("n-%d", i), "ops")
	}
	l.eventually("sent", func() bool { return l.waiting() == 0 })
	late := 0
	for _, at := range v.at[1:] {
		if at.Sub(v.at[0]) >= time.Second {
			late++
		}
	}
	if d := v.at[5].Sub(v.at[1]); d < 3*pace.pace { // four of them, with some jitter
		t.Errorf("five attempts within %s", d)
	}
	if late < 4 { // one may have been asked for before the answer came
		t.Errorf("%d of %d attempts waited", late, len(v.at)-1)
	}
}
