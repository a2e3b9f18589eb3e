package ordered

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

const busyRules = `
rules:
  - name: pair
    all:
      within: 2s
      key: event.data.k
      clauses:
        a: {on: com.example.a}
        b: {on: com.example.b}
    run: {playbook: p.yml}
    publish: {type: com.example.pair}
  - name: quiet
    absent: {on: com.example.a, key: event.data.k, within: 1s}
    run: {playbook: p.yml}
    publish: {type: com.example.quiet, data: {n: "${{ window.count }}"}}
  - name: every
    on: com.example.*
    condition: event.type != "com.example.pair" && event.type != "com.example.quiet"
    throttle: {key: event.type, count: 7, every: 1h}
    publish: [{type: com.other.seven}, {type: com.other.again, subject: "${{ key }}"}]
    set: {n: "${{ event.data.n }}"}
  - name: reads
    on: com.example.b
    condition: kv.n % 2 == 0
    run: {playbook: p.yml}
`

// feed stores n events in groups, and calls between after each group.
func (l *lab) feed(n int, r *rand.Rand, between func()) {
	l.Helper()
	for i := 0; i < n; {
		for range 1 + r.IntN(40) {
			typ := []string{"com.example.a", "com.example.b", "com.example.c"}[r.IntN(3)]
			l.publish(typ, fmt.Sprint("e", i), map[string]any{"n": i, "k": r.IntN(20)})
			i++
		}
		between()
	}
}

// settled waits until all that is stored has been judged and carried out, and no
// window is open that ends by time.
func (l *lab) settled() {
	l.Helper()
	l.until("everything to be carried out", func() bool {
		jobs, published, _ := l.truth()
		is, _ := l.published(ofRules)
		return len(l.jobs()) == len(jobs) && len(is) == len(published)
	})
}

// compare compares what was done with what an undisturbed fold over the same events
// decides.
func (l *lab) compare() {
	l.Helper()
	jobs, published, _ := l.truth()
	l.same("jobs (want: of an undisturbed fold)", jobs, l.jobs())
	is, _ := l.published(ofRules)
	l.same("events (want: of an undisturbed fold)", published, is)
	l.records()
	if len(jobs) < 40 || len(published) < 40 {
		l.Errorf("only %d jobs and %d events", len(jobs), len(published))
	}
}

// Killed at any moment, the next evaluator does what is left and nothing twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ restless, forget bool }{{}, {restless: true}, {forget: true}, {true, true}} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if tt.forget {
				l.forget()
			}
			c := l.content(busyRules)
			often := func(ev *Evaluator) {
				if tt.restless {
					ev.times.snapshot, ev.times.events = time.Millisecond, 20
				}
			}
			r := rand.New(rand.NewPCG(1, 2))
			ev := l.start(c, abrupt, often)
			l.feed(500, r, func() {
				time.Sleep(time.Duration(r.IntN(15)) * time.Millisecond) // a random moment of its work
				ev.stop()
				if tt.forget {
					time.Sleep(forgetful + forgetful/2)
				}
				ev = l.start(c, abrupt, often)
			})
			time.Sleep(2500 * time.Millisecond) // until all windows have ended, by the server's clock
			l.settled()
			ev.stop()
			l.compare()
		})
	}
}

// Two at once do the same work, once.
func TestFailover(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(busyRules)
	other := bustest.Connect(t, l.server, busserver.RoleBus, "other")
	r := rand.New(rand.NewPCG(3, 4))
	one := l.start(c, abrupt)
	var two *running
	n := 0
	l.feed(300, r, func() {
		switch n++; n {
		case 3:
			two = l.start(c, func(ev *Evaluator) { ev.bus = other })
		case 6:
			one.stop()
		}
	})
	time.Sleep(2500 * time.Millisecond)
	l.settled()
	two.stop()
	l.compare()
}

// An orderly stop leaves a snapshot, from which the next one goes on.
func TestOrderlyStop(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(formsRules)
	ev := l.start(c)
	l.publish("com.example.a", "a1", map[string]any{"k": "x", "n": 1})
	l.publish("com.example.t", "t1", nil)
	l.until("the job", func() bool { return l.jobs()["first t1"] == 1 })
	ev.stop()
	b := l.publish("com.example.b", "b1", map[string]any{"k": "x"})
	ev = l.start(c)
	l.until("the job", func() bool { return l.jobs()["all b1"] == 1 })
	ev.stop()
	if n := l.snapshots(); n < 2 {
		t.Errorf("%d snapshots", n)
	}
	if ev.log.has("level=ERROR") {
		t.Error(ev.log)
	}
	if _, list := l.published(activations); len(list) != 1 {
		t.Errorf("activations: %v", list)
	}
	_ = b
}

func (l *lab) snapshots() int {
	l.Helper()
	all, err := l.bus.Objects(l.Context(), bus.ObjectsStates)
	if err != nil {
		l.Fatal(err)
	}
	return len(all)
}

// A snapshot that is damaged, or of another stream, is left out; without any, what
// is stored makes the state anew.
func TestDamagedSnapshots(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(formsRules)
	ev := l.start(c)
	l.publish("com.example.a", "a1", map[string]any{"k": "x", "n": 1})
	l.publish("com.example.t", "t1", nil)
	l.until("the job", func() bool { return l.jobs()["first t1"] == 1 })
	ev.stop()
	at := l.publish("com.example.q", "q0", nil)
	for i, data := range [][]byte{[]byte("rubbish"), []byte("{\"format\":1,\"seq\":2}\nrubbish"), []byte("{\"format\":99}\n")} {
		if err := l.bus.PutObject(t.Context(), bus.ObjectsStates, fmt.Sprintf("%020d-bad%d", at, i), data); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.bus.PutObject(t.Context(), bus.ObjectsStates, fmt.Sprintf("%020d-ahead", 1000), []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	ev = l.start(c)
	l.publish("com.example.b", "b1", map[string]any{"k": "x"})
	l.until("the job", func() bool { return l.jobs()["all b1"] == 1 })
	ev.stop()
	if !ev.log.has("of no use") || ev.log.has("is lost") {
		t.Error(ev.log)
	}

	// All of them gone bad.
	all, err := l.bus.Objects(t.Context(), bus.ObjectsStates)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if err := l.bus.RemoveObject(t.Context(), bus.ObjectsStates, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.bus.PutObject(t.Context(), bus.ObjectsStates, fmt.Sprintf("%020d-bad", at), []byte("rubbish")); err != nil {
		t.Fatal(err)
	}
	l.publish("com.example.a", "a2", map[string]any{"k": "y", "n": 1})
	ev = l.start(c)
	l.publish("com.example.b", "b2", map[string]any{"k": "y"})
	l.until("the job", func() bool { return l.jobs()["all b2"] == 1 })
	ev.stop()
	if !ev.log.has("is lost") {
		t.Error(ev.log)
	}
	if _, list := l.published(bus.EventSubject(bus.ClassOwn, events.TypeRulesMissed)); len(list) != 1 {
		t.Errorf("events %v", list)
	}
	jobs, published, _ := l.truth()
	l.same("jobs", jobs, l.jobs())
	is, _ := l.published(ofRules)
	l.same("events", published, is)
}

// A new set keeps the windows of rules that it has unchanged, closes those of others,
// and without ordered rules the events are left alone, until there are some again.
func TestSetChange(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const keeps = `
  - name: keeps
    all: {within: 1h, clauses: {a: {on: com.example.a}, b: {on: com.example.b}}}
    run: {playbook: p.yml}
`
	const goes = `
  - name: goes
    all: {within: 1h, clauses: {a: {on: com.example.a}, c: {on: com.example.c}}}
    run: {playbook: p.yml}
`
	ev := l.start(l.content("rules:" + keeps + goes))
	l.publish("com.example.a", "a1", nil)
	use := func(text string) {
		t.Helper()
		ev.Use(l.content(text))
		if err := ev.Announce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	use("rules:" + keeps)
	l.publish("com.example.c", "c1", nil)
	l.publish("com.example.b", "b1", nil)
	l.until("the job", func() bool { return l.jobs()["keeps b1"] == 1 })
	l.same("decisions", map[string]int{"goes expired": 1, "keeps fired": 1}, l.outcomes())

	use("rules:\n  - {name: r, on: com.example.a, run: {playbook: p.yml}}")
	l.publish("com.example.a", "a2", nil)
	l.until("a snapshot of the end", func() bool {
		all, err := l.bus.Objects(t.Context(), bus.ObjectsStates)
		if err != nil {
			t.Fatal(err)
		}
		return len(all) > 0 && snapshotSeq(all[len(all)-1]) == l.lastActivated()
	})
	l.publish("com.example.b", "b2", nil)
	use("rules:" + keeps)
	l.publish("com.example.b", "b3", nil)
	l.publish("com.example.a", "a3", nil)
	l.until("the job", func() bool { return l.jobs()["keeps a3"] == 1 })
	ev.stop()
	l.same("jobs", map[string]int{"keeps b1": 1, "keeps a3": 1}, l.jobs())
	if _, list := l.published(activations); len(list) != 4 {
		t.Errorf("activations: %v", list)
	}
	jobs, _, _ := l.truth()
	l.same("jobs by another fold", l.jobs(), jobs)
	if ev.log.has("level=ERROR") {
		t.Error(ev.log)
	}
}

func (l *lab) lastActivated() (seq uint64) {
	l.Helper()
	m, err := l.bus.Last(l.Context(), bus.StreamEvents, activations)
	if err != nil {
		l.Fatal(err)
	}
	return m.Seq
}

// Where no rule is ordered nothing is stored.
func TestNothingOrdered(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ev := l.start(l.content("rules:\n  - {name: r, on: com.example.a, run: {playbook: p.yml}}"))
	l.publish("com.example.a", "a1", nil)
	time.Sleep(50 * time.Millisecond)
	ev.stop()
	if _, list := l.published(bus.AllEvents); len(list) != 1 || l.snapshots() != 0 || len(l.records()) != 0 {
		t.Errorf("events %v, %d snapshots, records %v", list, l.snapshots(), l.records())
	}
}

// The server goes away in the middle, and nothing is lost or done twice.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := rand.New(rand.NewPCG(5, 6))
	ev := l.start(l.content(busyRules))
	n := 0
	l.feed(300, r, func() {
		if n++; n%4 == 0 {
			l.server = bustest.Restart(t, l.server)
		}
	})
	time.Sleep(2500 * time.Millisecond)
	l.settled()
	ev.stop()
	l.compare()
}

// Events that are not stored any more when the evaluator comes to them are told.
func TestEventsGone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(formsRules)
	ev := l.start(c)
	l.publish("com.example.a", "a1", map[string]any{"k": "x", "n": 1})
	l.publish("com.example.t", "t1", nil)
	l.until("the job", func() bool { return l.jobs()["last t1"] == 1 })
	ev.stop()
	all, err := l.bus.Objects(t.Context(), bus.ObjectsStates)
	if err != nil {
		t.Fatal(err)
	}
	from := snapshotSeq(all[len(all)-1]) + 1
	l.publish("com.example.a", "a2", nil)
	to := l.publish("com.example.a", "a3", nil)
	keep := func(age time.Duration) {
		t.Helper()
		s, err := l.bus.JS.Stream(t.Context(), bus.StreamEvents)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxAge, c.Duplicates = age, forgetful
		if _, err := l.bus.JS.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	keep(2 * forgetful)
	l.until("the events to go", func() bool {
		s, err := eventsState(t.Context(), l.bus)
		return err == nil && s.Msgs == 0
	})
	keep(0)
	ev = l.start(c)
	l.publish("com.example.b", "b1", map[string]any{"k": "x"}) // what was known before is known still
	l.until("the job", func() bool { return l.jobs()["all b1"] == 1 })
	ev.stop()
	_, list := l.published(bus.EventSubject(bus.ClassOwn, events.TypeRulesMissed))
	var data events.RulesMissed
	if len(list) != 1 || list[0].DataAs(&data) != nil || data.From != from || data.To != to {
		t.Errorf("told %v, want %d to %d", list, from, to)
	}
}
