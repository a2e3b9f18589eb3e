package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/control"
)

const (
	tick      = "com.example.tick"
	tickRules = "rules: [{name: r, on: com.example.tick, run: {playbook: p.yml}}, {name: other, on: com.example.tick, run: {playbook: p.yml}}]"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// ticks publishes so many events and waits until they are judged.
func (l lab) ticks(prefix string, n int) {
	l.Helper()
	var last uint64
	for i := range n {
		last = l.publish(bus.ClassExternal, l.event(tick, fmt.Sprint(prefix, i), "1"))
	}
	l.judged(last)
}

// of returns how many jobs a rule has.
func (l lab) of(rule string) (n int) {
	l.Helper()
	for name, times := range l.jobs() {
		if times != 1 {
			l.Errorf("%s: %d jobs", name, times)
		}
		if len(name) > len(rule) && name[:len(rule)+1] == rule+" " {
			n++
		}
	}
	return n
}

// until waits for something.
func (l lab) until(what string, so func() bool) {
	l.Helper()
	end := time.Now().Add(20 * time.Second)
	for !so() {
		if time.Now().After(end) {
			l.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (l lab) pause(name string) {
	l.Helper()
	done, err := Judged(l.Context(), l.bus)
	if err != nil {
		l.Fatal(err)
	}
	if _, err := control.Set(l.Context(), l.bus, control.Pause{Kind: control.Rule, Name: name, By: "test", From: done + 1}); err != nil {
		l.Fatal(err)
	}
}

func (l lab) resume(name string, skip bool) {
	l.Helper()
	if _, err := control.Resume(l.Context(), l.bus, control.Rule, name, "test", skip); err != nil {
		l.Fatal(err)
	}
}

// paused returns the record of a rule, and whether there is one.
func (l lab) paused(name string) (control.Pause, bool) {
	l.Helper()
	p, err := control.Get(l.Context(), l.bus, control.Rule, name)
	if err != nil && !errors.Is(err, control.ErrNotPaused) {
		l.Fatal(err)
	}
	return p, err == nil
}

// catchUp runs CatchUp until the test ends or stop is called.
func (l lab) catchUp(d *Dispatcher) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	done := make(chan error, 1)
	go func() { done <- d.CatchUp(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.Errorf("catch up: %v", err)
		}
	})
	l.Cleanup(stop)
	return stop
}

func TestPausedRuleCatchesUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newClock()
	d := l.startAt(c, tickRules)
	l.ticks("before", 3)
	l.pause("r")
	l.until("the pause to be known", func() bool { return d.pauses.skip("r") })
	l.ticks("while", 2*turn+7)
	if n, other := l.of("r"), l.of("other"); n != 3 || other != 3+2*turn+7 {
		t.Fatalf("%d jobs of the paused rule, %d of the other one", n, other)
	}
	stop := l.catchUp(d.Dispatcher)
	if p, _ := l.paused("r"); p.From != 4 || p.Resuming {
		t.Fatalf("pause is %+v", p)
	}
	l.resume("r", false)
	l.until("the rule to be live", func() bool { p, _ := l.paused("r"); return p.Live })
	if n := l.of("r"); n != 3+2*turn+7 {
		t.Errorf("%d jobs after the catch-up", n)
	}
	l.until("the resume to be known", func() bool { return !d.pauses.skip("r") })
	l.ticks("after", 3)
	if n := l.of("r"); n != 6+2*turn+7 {
		t.Errorf("%d jobs in the end", n)
	}

	// It goes on for what dispatchers left who did not know, then it is over; also
	// if it was interrupted.
	stop()
	c.add(closing)
	l.catchUp(d.Dispatcher)
	l.until("another catch-up to follow", func() bool { return len(d.log.lines("rule catches up")) == 2 })
	if _, ok := l.paused("r"); !ok {
		t.Error("the record went though the catch-up has just begun again")
	}
	l.until("the resume to be over", func() bool {
		c.add(closing / 10)
		_, ok := l.paused("r")
		return !ok
	})
	if n := l.of("r"); n != 6+2*turn+7 {
		t.Errorf("%d jobs after all", n)
	}
}

// A rule that is paused already does not fire when jet-bus starts.
func TestPausedAtTheStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	first := l.start(l.bus, tickRules)
	l.pause("r")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		l.publish(bus.ClassExternal, l.event(tick, fmt.Sprint("e", i), "1"))
	}
	l.start(l.bus, tickRules)
	l.until("the other rule's jobs", func() bool { return l.of("other") == 20 })
	if n := l.of("r"); n != 0 {
		t.Errorf("%d jobs of a paused rule", n)
	}
}

func TestJobsOfAResumeKeepTheOrder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, tickRules)
	l.pause("r")
	l.until("the pause to be known", func() bool { return d.pauses.skip("r") })
	l.ticks("e", 50)
	l.catchUp(d.Dispatcher)
	l.resume("r", false)
	l.until("all jobs", func() bool { return l.of("r") == 50 })
	l.inOrder("r")
}

// While events are held back, what a rule missed is too, and a new rule set does
// not let them go.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, tickRules)
	l.pause("r")
	l.until("the pause to be known", func() bool { return d.pauses.skip("r") })
	l.ticks("e", 10)
	if _, err := l.bus.JS.PauseConsumer(t.Context(), bus.StreamEvents, bus.ConsumerDispatch, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := d.Use(t.Context(), Content{Set: l.set(tickRules), Bundle: "b2"}); err != nil {
		t.Fatal(err)
	}
	l.publish(bus.ClassExternal, l.event(tick, "held", "1"))
	l.resume("r", false)
	r := d.newResume(t.Context(), control.Pause{Name: "r", From: 1}, nil)
	if more, err := d.turn(t.Context(), r); more || err != nil || r.next != 1 || l.of("r") != 0 || l.of("other") != 10 {
		t.Errorf("more %t, next %d, %v, jobs %v", more, r.next, err, l.jobs())
	}
	if _, err := l.bus.JS.ResumeConsumer(t.Context(), bus.StreamEvents, bus.ConsumerDispatch); err != nil {
		t.Fatal(err)
	}
	l.catchUp(d.Dispatcher)
	l.until("all jobs", func() bool { return l.of("r") == 11 && l.of("other") == 11 })
}

func TestSkipForgetsWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, tickRules)
	l.pause("r")
	l.until("the pause to be known", func() bool { return d.pauses.skip("r") })
	l.ticks("while", 5)
	l.resume("r", true)
	l.ticks("after", 5) // the dispatcher has no catch-up yet: still left for it
	l.catchUp(d.Dispatcher)
	l.until("the rule to be live", func() bool { p, _ := l.paused("r"); return p.Live })
	got := l.jobs()
	for i := range 5 {
		if got[fmt.Sprintf("r while%d", i)] != 0 || got[fmt.Sprintf("r after%d", i)] != 1 {
			t.Errorf("jobs %v", got)
		}
	}
}

// A dispatcher that has not heard of a resume loses nothing: before it lets go of
// an event, it asks.
func TestStaleViewLosesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, tickRules)
	l.ticks("x", 1)                                            // it runs
	d.pauses.add(control.Pause{Kind: control.Rule, Name: "r"}) // which the bus knows nothing of
	e := l.event(tick, "e1", "1")
	last := l.publish(bus.ClassExternal, e)
	l.until("the event to come again", func() bool { return len(d.log.lines("resumed meanwhile")) > 0 })
	d.pauses.set(nil)
	l.judged(last)
	if diff := cmp.Diff(map[string]int{"r x0": 1, "other x0": 1, "r e1": 1, "other e1": 1}, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
}

// What the bus confirmed is relied on for a while, and no longer.
func TestConfirm(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newClock()
	var p pauses
	l.start(l.bus, tickRules) // for its consumer
	if err := p.confirm(t.Context(), l.bus, "r", c.now); err == nil {
		t.Error("a rule that is not paused was confirmed")
	}
	l.pause("r")
	if err := p.confirm(t.Context(), l.bus, "r", c.now); err != nil {
		t.Error(err)
	}
	l.resume("r", false)
	if err := p.confirm(t.Context(), l.bus, "r", c.now); err != nil {
		t.Errorf("a rule whose events are still left for the resume: %v", err)
	}
	r, _ := l.paused("r")
	if _, err := control.Advance(t.Context(), l.bus, r, r.From, true); err != nil {
		t.Fatal(err)
	}
	if err := p.confirm(t.Context(), l.bus, "r", c.now); err != nil {
		t.Errorf("a moment after it was confirmed: %v", err)
	}
	c.add(certain)
	if err := p.confirm(t.Context(), l.bus, "r", c.now); err == nil {
		t.Error("what the bus said long ago was relied on")
	}
	if certain*2 > closing {
		t.Errorf("dispatchers rely on what they know for %s, a resume goes on for only %s", certain, closing)
	}
}

const breakerRules = `rules: [{name: r, on: com.example.tick, breaker: {above: 5, per: 1m}, run: {playbook: p.yml}}]`

func TestBreaker(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newClock()
	d := l.startAt(c, breakerRules)
	l.ticks("a", 5)
	c.add(30 * time.Second)
	if _, ok := l.paused("r"); ok {
		t.Fatal("paused at the limit")
	}
	c.add(30 * time.Second) // the first five are a minute old
	l.ticks("b", 5)
	if _, ok := l.paused("r"); ok {
		t.Fatal("paused though the minute was over")
	}
	l.ticks("c", 20)
	if n := l.of("r"); n != 10 {
		t.Errorf("%d jobs", n)
	}
	p, ok := l.paused("r")
	if !ok || p.By != control.ByBreaker || p.Reason != "it fired more often than 5 times in 1m" || p.From > 11 {
		t.Fatalf("pause %+v, %t", p, ok)
	}
	if len(d.log.lines("paused by its breaker")) != 1 {
		t.Errorf("log:\n%s", d.log)
	}
	e := l.own(events.TypeRulePaused)
	var data events.RulePaused
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	if data.Rule != "r" || data.By != control.ByBreaker || data.From != p.From || data.Reason != p.Reason {
		t.Errorf("event %+v", data)
	}

	// What it missed comes no faster than it may fire.
	l.resume("r", false)
	l.catchUp(d.Dispatcher)
	for n := 15; n <= 30; n += 5 {
		l.until("the next five", func() bool { return l.of("r") >= n })
		if got := l.of("r"); got != n {
			t.Fatalf("%d jobs, want %d", got, n)
		}
		c.add(time.Minute)
	}
	l.until("the rule to be live", func() bool { p, _ := l.paused("r"); return p.Live })
	l.inOrder("r")
}

// A rule that is paused while it catches up stops there, and goes on from there.
func TestPauseDuringTheCatchUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newClock()
	d := l.startAt(c, breakerRules)
	l.pause("r")
	l.until("the pause to be known", func() bool { return d.pauses.skip("r") })
	l.ticks("e", 12)
	l.catchUp(d.Dispatcher)
	l.resume("r", false)
	l.until("the first five", func() bool { return l.of("r") == 5 })
	l.until("the progress to be noted", func() bool { p, _ := l.paused("r"); return p.From > 5 })
	l.pause("r")
	if p, _ := l.paused("r"); p.Resuming || p.From > l.seqOf("e5") {
		t.Fatalf("pause %+v, event e5 is at %d", p, l.seqOf("e5"))
	}
	turns := func() { // the catch-up has seen what was before, and has had its turns
		t.Helper()
		l.pause("other")
		l.resume("other", false)
		l.until("the other rule's resume", func() bool { p, _ := l.paused("other"); return p.Live })
	}
	turns()
	c.add(time.Minute)
	turns()
	if n := l.of("r"); n != 5 {
		t.Errorf("%d jobs of a rule that was paused again", n)
	}
	l.resume("r", false)
	l.until("the next five", func() bool { return l.of("r") == 10 })
	c.add(time.Minute)
	l.until("the last", func() bool { return l.of("r") == 12 })
	l.inOrder("r")
}

// One catch-up follows another in another process, and both at once do no harm.
func TestTwoCatchUps(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	one := l.start(l.bus, tickRules)
	two := l.start(bustest.Connect(t, l.server, busserver.RoleBus, "two"), tickRules)
	one.closing, two.closing = time.Second, time.Second
	l.pause("r")
	l.until("the pause to be known", func() bool { return one.pauses.skip("r") && two.pauses.skip("r") })
	l.ticks("e", 100)
	l.resume("r", false)
	l.catchUp(one.Dispatcher)
	l.catchUp(two.Dispatcher)
	l.until("the resume to be over", func() bool { _, ok := l.paused("r"); return !ok })
	if n := l.of("r"); n != 100 {
		t.Errorf("%d jobs", n)
	}
}

// The resume of a rule that remembers is not the dispatcher's.
func TestCatchUpLeavesOrderedRules(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, strings.TrimSuffix(tickRules, "]")+", {name: ordered, on: com.example.tick, publish: {type: com.example.tock}}]")
	l.pause("ordered")
	l.pause("r")
	l.until("the pauses to be known", func() bool { return d.pauses.skip("r") && d.pauses.skip("ordered") })
	l.ticks("e", 5)
	l.resume("ordered", false)
	l.resume("r", false)
	l.catchUp(d.Dispatcher)
	l.until("the other rule to be live", func() bool { p, _ := l.paused("r"); return p.Live })
	if p, _ := l.paused("ordered"); !p.Resuming || p.Live || p.From != 1 {
		t.Errorf("pause %+v", p)
	}
	if l.of("r") != 5 || l.of("ordered") != 0 {
		t.Errorf("jobs %v", l.jobs())
	}
}
