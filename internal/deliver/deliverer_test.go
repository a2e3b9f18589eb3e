package deliver

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// Events go out in their order, chosen by type and condition, and only those that came
// after the subscription.
func TestDelivers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v, all := newReceiver(t, nil), newReceiver(t, nil)
	l.publish("com.acme.a", "before")
	l.start(v.sub("some", `on: [com.acme.*, dev.jet-bus.job.failed.v1], condition: event.data.id != "e3" and event.id != "never"`) + all.sub("all", "mode: binary"))
	l.publish("com.acme.a", numbers(1, 5)...)
	l.publish("org.other", "x")
	l.store(bus.ClassRule, "com.acme.b", "rule", map[string]any{"id": "rule"})
	l.store(bus.ClassOwn, events.TypeJobFailed, "own", map[string]any{"id": "own"})
	l.store(bus.ClassExternal, events.TypeJobFailed, "forged", map[string]any{"id": "forged"})
	l.store(bus.ClassOwn, events.TypeClockTicked, "tick", nil)
	l.store(bus.ClassExternal, "com.acme.c", "no-data", nil) // unknown
	l.publish("com.acme.a", "end")
	l.settled("some")
	l.settled("all")
	if diff := cmp.Diff([]string{"e1", "e2", "e4", "e5", "rule", "own", "end"}, v.taken()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"e1", "e2", "e3", "e4", "e5", "x", "rule", "own", "no-data", "end"}, all.taken()); diff != "" {
		t.Error(diff)
	}
	if v.requests()[0].id == all.requests()[0].id || v.requests()[0].id == "" {
		t.Error("two subscriptions have the same id of an event")
	}
	l.eventually("told", func() bool { return l.status("all").Events == 10 })
	s := l.status("all")
	if s.State.State != StateOK || s.Event.ID != "end" || s.Event.Type != "com.acme.a" || s.Sink != all.URL || s.By != "lab" || s.Error != "" {
		t.Errorf("state %+v", s)
	}
}

// What fails is tried again, later each time and with the same id; what comes after
// waits for it.
func TestRetryKeepsOrder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, func(n int, _ []events.Event, _ http.ResponseWriter) int {
		if n%3 != 0 {
			return http.StatusBadGateway
		}
		return 0
	})
	l.start(v.sub("ops", ""))
	ids := numbers(1, 10)
	l.publish("com.acme.a", ids...)
	l.settled("ops")
	if diff := cmp.Diff(ids, v.taken()); diff != "" {
		t.Error(diff)
	}
	all := v.requests()
	for i, d := range all {
		if d.events[0].ID() != ids[i/3] || d.id != all[i-i%3].id {
			t.Fatalf("request %d is of %s, with id %s", i, d.events[0].ID(), d.id)
		}
	}
	for i, least := range []int64{16, 32} { // a fifth less than 20 and 40
		if d := all[i+1].at.Sub(all[i].at); d.Milliseconds() < least {
			t.Errorf("attempt %d came after %s", i+2, d)
		}
	}
	l.eventually("told", func() bool { return l.status("ops").Events == 10 })
	if s := l.status("ops"); s.State.State != StateOK || !strings.Contains(s.Error, "502 Bad Gateway") || s.Failures != 0 || len(l.failures()) != 0 {
		t.Errorf("state %+v", s)
	}
}

// What a sink will never take is given up at once, and said; the next goes on.
func TestRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := newReceiver(t, func(_ int, list []events.Event, _ http.ResponseWriter) int {
		if list[0].ID() == "e2" {
			return http.StatusGone
		}
		return 0
	})
	l.start(v.sub("ops", ""))
	l.publish("com.acme.a", numbers(1, 3)...)
	l.settled("ops")
	// The sink is told that it was not told? No: that event is about the subscription.
	if diff := cmp.Diff([]string{"e1", "e3"}, v.taken()); diff != "" {
		t.Error(diff)
	}
	got := l.failures()
	if len(got) != 1 || got[0].ID != "e2" || got[0].Source != "/s" || got[0].Type != "com.acme.a" || got[0].Attempts != 1 ||
		!strings.Contains(got[0].Reason, "410 Gone") || got[0].At.IsZero() {
		t.Errorf("failures %+v", got)
	}
	l.eventually("told", func() bool { return l.status("ops").GivenUp == 1 })
}

// A sink says when it wants to be asked again; a redirect is not followed.
func TestAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var reached bool
	other := newReceiver(t, func(int, []events.Event, http.ResponseWriter) int { reached = true; return 0 })
	v := newReceiver(t, func(n int, _ []events.Event, w http.ResponseWriter) int {
		switch n {
		case 1:
			w.Header().Set("Retry-After", "1")
			return http.StatusTooManyRequests
		case 2:
			w.Header().Set("Location", other.URL)
			return http.StatusTemporaryRedirect
		}
		return 0
	})
	l.start(v.sub("ops", ""))
	l.publish("com.acme.a", "e1")
	l.settled("ops")
	all := v.requests()
	if len(all) != 3 || all[1].at.Sub(all[0].at) < time.Second || reached {
		t.Errorf("%d requests, reached %v", len(all), reached)
	}
}

// An event that is not taken in time is given up, and so is what has become too old
// behind it; what is younger waits, and is delivered.
func TestGivesUpInTime(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	away := make(chan struct{})
	v := newReceiver(t, func(int, []events.Event, http.ResponseWriter) int {
		select {
		case <-away:
			return 0
		default:
			return http.StatusServiceUnavailable
		}
	})
	l.start(v.sub("ops", "try_for: 1s"))
	l.publish("com.acme.a", "e1", "e2")
	time.Sleep(700 * time.Millisecond)
	l.publish("com.acme.a", "e3")
	l.eventually("two given up", func() bool { return len(l.failures()) == 2 })
	close(away)
	l.settled("ops")
	if diff := cmp.Diff([]string{"e3"}, v.taken()); diff != "" {
		t.Error(diff)
	}
	for i, f := range l.failures() {
		if f.ID != []string{"e1", "e2"}[i] || !strings.Contains(f.Reason, "not taken within 1s: ") || !strings.Contains(f.Reason, "503") {
			t.Errorf("failure %+v", f)
		}
	}
	if n := l.failures()[0].Attempts; n < 3 {
		t.Errorf("%d attempts", n)
	}
}

// Two sinks that are away do not go on telling each other.
func TestNoLoop(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	refuse := func(int, []events.Event, http.ResponseWriter) int { return http.StatusNotFound }
	a, b := newReceiver(t, refuse), newReceiver(t, refuse)
	l.start(a.sub("a", "") + b.sub("b", ""))
	l.publish("com.acme.a", "e1")
	l.eventually("both given up", func() bool { return l.status("a").GivenUp == 2 && l.status("b").GivenUp == 2 })
	l.settled("a")
	l.settled("b")
	if n := len(l.failures()); n != 2 || len(a.requests()) != 2 || len(b.requests()) != 2 {
		t.Errorf("%d failures told, %d and %d requests", n, len(a.requests()), len(b.requests()))
	}
}

// Where the order does not matter, a slow sink is sent several events at a time.
func TestParallel(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	meet := make(chan struct{}, 3)
	v := newReceiver(t, func(int, []events.Event, http.ResponseWriter) int {
		meet <- struct{}{}
		for until := time.Now().Add(10 * time.Second); len(meet)%3 != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				return http.StatusGone
			}
		}
		return 0
	})
	l.start(v.sub("ops", "parallel: 3"))
	l.publish("com.acme.a", numbers(1, 3)...)
	l.settled("ops")
	if got := v.taken(); len(got) != 3 {
		t.Errorf("taken %v", got)
	}
}

// A subscription that changes goes on where it was, at once; one that is gone and comes
// back begins anew.
func TestSwap(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	down := newReceiver(t, func(int, []events.Event, http.ResponseWriter) int { return http.StatusServiceUnavailable })
	up := newReceiver(t, nil)
	d, _ := l.start(down.sub("ops", "on: com.acme.*"), func(d *Deliverer) { d.first, d.most = time.Hour, time.Hour })
	l.publish("com.acme.a", "e1", "e2")
	l.eventually("tried", func() bool { return len(down.requests()) == 1 })
	l.use(d, up.sub("ops", "on: com.acme.*"))
	l.settled("ops")
	l.use(d, up.sub("ops", "on: [com.acme.*, org.x], mode: batch"))
	l.publish("org.x", "e3")
	l.eventually("batch", func() bool { return slices.Contains(up.taken(), "e3") })
	l.settled("ops")
	l.use(d, up.sub("ops", "parallel: 2"))
	l.publish("net.y", "e4")
	l.eventually("taken", func() bool { return slices.Contains(up.taken(), "e4") })

	l.use(d, "")
	l.eventually("taken away", func() bool {
		_, err := l.bus.JS.Consumer(t.Context(), bus.StreamEvents, "sub-ops")
		return err != nil && l.status("ops").Name == ""
	})
	l.publish("net.y", "lost")
	l.use(d, up.sub("ops", ""))
	l.publish("net.y", "e5")
	l.eventually("taken", func() bool { return slices.Contains(up.taken(), "e5") })
	l.settled("ops")
	if diff := cmp.Diff(numbers(1, 5), up.taken()); diff != "" {
		t.Error(diff)
	}
}

// How often a sink is asked: twice as long each time, up to a bound, no sooner than it
// wants, and not more often because several were sent side by side.
func TestSchedule(t *testing.T) {
	t.Parallel()
	d := New(nil, nil)
	var s sink
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want*4/5 || got > want*6/5+1 {
			t.Errorf("%s: %s, want about %s", what, got, want)
		}
	}
	for _, seconds := range []int{5, 10, 20, 40, 80, 160, 320, 600, 600, 600} {
		want := time.Duration(seconds) * time.Second
		s.next = time.Time{}
		near("next", s.fail(d.timing, now, now, 0, "x").Sub(now), want)
		now = now.Add(2 * want)
	}
	if s.failures != 10 || !s.since.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("sink %+v", s)
	}
	s = sink{}
	s.fail(d.timing, now, now, 0, "x")
	s.fail(d.timing, now.Add(-time.Second), now.Add(time.Second), 0, "x")
	if s.failures != 1 {
		t.Errorf("%d failures of what was sent side by side", s.failures)
	}
	near("asked", s.fail(d.timing, now.Add(time.Hour), now, 20*time.Minute, "x").Sub(now), 20*time.Minute)
	s = sink{}
	near("asked too much", s.fail(d.timing, now, now, 1000*time.Hour, "x").Sub(now), time.Hour)
}
