package ordered

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
)

const heldRules = `
rules:
  - name: r
    on: com.example.a
    run: {playbook: p.yml}
    publish: {type: com.example.did}
    notify: {to: ops, text: "${{ event.id }}"}
  - name: other
    on: com.example.a
    publish: {type: com.example.other}
`

func (l *lab) pause(name string) control.Pause {
	l.Helper()
	p, err := control.Set(l.Context(), l.bus, control.Pause{Kind: control.Rule, Name: name, By: "test", From: 1})
	if err != nil {
		l.Fatal(err)
	}
	return p
}

func (l *lab) resume(name string, skip bool) {
	l.Helper()
	if _, err := control.Resume(l.Context(), l.bus, control.Rule, name, "test", skip); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) paused(name string) bool {
	l.Helper()
	_, err := control.Get(l.Context(), l.bus, control.Rule, name)
	if err != nil && !errors.Is(err, control.ErrNotPaused) {
		l.Fatal(err)
	}
	return err == nil
}

// events stores n events of the type that heldRules are for.
func (l *lab) events(prefix string, n int) {
	l.Helper()
	for i := range n {
		l.publish("com.example.a", fmt.Sprint(prefix, i), nil)
	}
}

// others waits for the firings of the rule that is not paused.
func (l *lab) others(n int) {
	l.Helper()
	l.until("the other rule", func() bool {
		_, list := l.published(bus.EventSubject(bus.ClassRule, "com.example.other"))
		return len(list) == n
	})
}

func (l *lab) did() []string {
	l.Helper()
	_, list := l.published(bus.EventSubject(bus.ClassRule, "com.example.did"))
	var out []string
	for _, e := range list {
		id, ok := e.Extensions()["causationid"].(string)
		if !ok {
			l.Fatalf("event %v", e)
		}
		out = append(out, id)
	}
	return out
}

// What a paused rule fires is held, also over a restart, and carried out in its
// order when the rule is resumed.
func TestPause(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(heldRules)
	ev := l.start(c, abrupt)
	l.events("x", 2)
	l.others(2)
	l.pause("r")
	l.until("the pause to be known", func() bool { _, ok := ev.pauses.get("r"); return ok })
	l.events("y", 300)
	l.others(302)
	ev.stop()
	l.events("z", 5)
	ev = l.start(c, abrupt)
	l.others(307)
	if n := len(l.jobs()); n != 2 {
		t.Errorf("%d jobs while it is paused", n)
	}
	ev.stop()
	l.resume("r", false) // while none runs
	ev = l.start(c, abrupt)
	l.events("w", 3)
	l.until("the resume", func() bool { return !l.paused("r") })
	l.others(310)
	l.until("all jobs", func() bool { return len(l.jobs()) == 310 })
	var want []string
	for _, g := range []struct {
		prefix string
		n      int
	}{{"x", 2}, {"y", 300}, {"z", 5}, {"w", 3}} {
		for i := range g.n {
			want = append(want, fmt.Sprint(g.prefix, i))
		}
	}
	l.same("order", want, l.did())
	l.records()
	for text, n := range l.told {
		if n != 1 {
			t.Errorf("told %d times: %s", n, text)
		}
	}
	if len(l.told) != 310 {
		t.Errorf("%d messages", len(l.told))
	}
	if n := l.heldNow(); n != 0 {
		t.Errorf("%d are held", n)
	}
	// After all that, another start does nothing again.
	ev.stop()
	ev = l.start(c)
	l.events("v", 1)
	l.until("one more", func() bool { return len(l.did()) == 311 })
	ev.stop()
	if len(l.told) != 311 {
		t.Errorf("%d messages", len(l.told))
	}
}

func (l *lab) heldNow() (n int) {
	l.Helper()
	for m, err := range l.bus.Tail(l.Context(), heldStream, heldPrefix+">", bus.TailOptions{}) {
		if err != nil {
			l.Fatal(err)
		}
		if len(m.Data) > 0 {
			n++
		}
	}
	return n
}

// A resume that skips drops what came meanwhile, for good.
func TestSkip(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(heldRules)
	ev := l.start(c, abrupt)
	l.pause("r")
	l.until("the pause to be known", func() bool { _, ok := ev.pauses.get("r"); return ok })
	l.events("x", 5)
	l.others(5)
	l.resume("r", true)
	l.events("y", 5)
	l.until("the resume", func() bool { return !l.paused("r") })
	l.others(10)
	l.until("the jobs", func() bool { return len(l.jobs()) >= 5 })
	ev.stop()
	ev = l.start(c, abrupt)
	l.events("z", 1)
	l.until("the last job", func() bool { return l.jobs()["r z0"] == 1 })
	ev.stop()
	l.same("done", []string{"y0", "y1", "y2", "y3", "y4", "z0"}, l.did())
	dropped := 0
	for _, r := range l.records() {
		if r.Dropped {
			dropped++
		}
	}
	if dropped != 5 || len(l.jobs()) != 6 {
		t.Errorf("%d dropped, %d jobs", dropped, len(l.jobs()))
	}
}

// More than can be held fails, and says so.
func TestTooManyHeld(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ev := l.start(l.content(heldRules), func(ev *Evaluator) { ev.times.held = 3 })
	l.pause("r")
	l.until("the pause to be known", func() bool { _, ok := ev.pauses.get("r"); return ok })
	l.events("x", 5)
	l.others(5)
	l.resume("r", false)
	l.until("the resume", func() bool { return !l.paused("r") })
	ev.stop()
	l.same("done", []string{"x0", "x1", "x2"}, l.did())
	failed := 0
	for _, r := range l.records() {
		if r.Outcome == "failed" && r.Error == "the rule is paused, and 3 of its firings are held already; that is the most" {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d failed: %+v", failed, l.records())
	}
}

// A rule that fires too often is paused, and what is held comes no faster than it may
// fire.
func TestBreaker(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(`rules: [{name: r, on: com.example.a, breaker: {above: 4, per: 1s}, publish: {type: com.example.did}}]`)
	ev := l.start(c, abrupt)
	l.events("x", 10)
	l.until("the pause", func() bool { return l.paused("r") })
	l.until("the rest to be held", func() bool { return l.heldNow() == 6 })
	l.same("done", []string{"x0", "x1", "x2", "x3"}, l.did())
	ev.stop()
	ev = l.start(c, abrupt) // which does not count anew
	begun := time.Now()
	l.resume("r", false)
	l.until("the resume", func() bool { return !l.paused("r") })
	if took := time.Since(begun); took < 900*time.Millisecond {
		t.Errorf("six firings, of which four a second are allowed, took %s", took)
	}
	ev.stop()
	if got := l.did(); len(got) != 10 || !slices.IsSortedFunc(got, func(a, b string) int { return slices.Compare([]byte(a), []byte(b)) }) {
		t.Errorf("done %v", got)
	}
	p, err := control.List(t.Context(), l.bus)
	if err != nil || len(p) != 0 {
		t.Errorf("paused %v, %v", p, err)
	}
}

// A life that ends when it has carried out what was held, and before it has removed
// that, is followed by one that only does the latter.
func TestReleasedOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.forget()
	c := l.content(heldRules)
	ev := l.start(c, abrupt)
	l.pause("r")
	l.until("the pause to be known", func() bool { _, ok := ev.pauses.get("r"); return ok })
	l.events("x", 5)
	l.others(5)
	l.until("all to be held", func() bool { return l.heldNow() == 5 })
	var held []bus.Msg
	for m, err := range l.bus.Tail(t.Context(), heldStream, heldPrefix+">", bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, m)
	}
	l.resume("r", false)
	l.until("the resume", func() bool { return !l.paused("r") })
	l.events("y", 1)
	l.others(6)
	ev.stop()
	for _, m := range held {
		if _, _, err := l.bus.Publish(t.Context(), &nats.Msg{Subject: m.Subject, Data: m.Data}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(forgetful + forgetful/2)
	ev = l.start(c)
	l.until("them to go", func() bool { return l.heldNow() == 0 })
	ev.stop()
	l.same("done", []string{"x0", "x1", "x2", "x3", "x4", "y0"}, l.did())
	l.records()
	if len(l.told) != 6 {
		t.Errorf("messages %v", l.told)
	}
	for text, n := range l.told {
		if n != 1 {
			t.Errorf("told %d times: %s", n, text)
		}
	}
}
