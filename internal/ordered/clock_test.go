package ordered

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/rules"
)

const missedRules = `
rules:
  - name: fires
    absent: {on: com.example.beat, key: event.data.k, within: 5m}
    publish: {type: com.example.silent, subject: "${{ key }}"}
  - name: reports
    absent: {on: com.example.beat, key: event.data.k, within: 5m}
    missed: report
    publish: {type: com.example.late, subject: "${{ key }}"}
`

// A window that ended while nothing ran is decided at the next start: by a tick,
// since no event comes.
func TestMissedWindows(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.content(missedRules)
	ev := New(l.bus, l.queue, nil)
	ev.Use(c)
	if err := ev.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	seq := l.publish("com.example.beat", "b1", map[string]any{"k": "web1"})
	m, err := l.bus.Get(t.Context(), bus.StreamEvents, seq)
	if err != nil {
		t.Fatal(err)
	}
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	// As if the event had come an hour ago.
	ago := m.Time.Add(-time.Hour)
	st := rules.NewState(c.Set, ago)
	st.Step(e, seq, ago)
	f := &fold{judge: judge{log: ev.log, state: st, content: c, pos: seq, at: m.Time.UTC()}, ev: ev, episodes: newEpisodes()}
	f.snaps.due = true
	f.snaps.sleepy(t.Context(), f)

	r := l.start(c)
	l.until("both decisions", func() bool { return len(l.outcomes()) == 2 })
	l.same("decisions", map[string]int{"fires fired web1": 1, "reports missed web1": 1}, l.outcomes())
	_, list := l.published(bus.AllEvents)
	var types []string
	for _, e := range list {
		types = append(types, strings.TrimPrefix(e.Type(), "dev.jet-bus.")+" "+e.Subject())
	}
	l.same("events", []string{
		"rules.activated.v1 ", "com.example.beat ", "clock.ticked.v1 ", "com.example.silent web1", "rule.window.missed.v1 reports",
	}, types)
	var data events.RuleWindowMissed
	if err := list[len(list)-1].DataAs(&data); err != nil || data.Key != "web1" || !data.Ends.Equal(ago.Add(5*time.Minute)) || data.Count != 1 {
		t.Errorf("event %+v, %v", data, err)
	}
	r.stop()
}

// A clock that is ahead of the server's has a window end no earlier, and stores no
// ticks all the time; one that is behind ends it no later.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			ev := l.start(l.content(strings.ReplaceAll(missedRules, "5m", "1s")), func(ev *Evaluator) {
				ev.now = func() time.Time { return time.Now().Add(off) }
			})
			seq := l.publish("com.example.beat", "b1", map[string]any{"k": "web1"})
			l.until("both decisions", func() bool { return len(l.outcomes()) == 2 })
			ev.stop()
			_, ticks := l.published(bus.EventSubject(bus.ClassOwn, events.TypeClockTicked))
			if len(ticks) == 0 || len(ticks) > 2 {
				t.Errorf("%d ticks", len(ticks))
			}
			beat, err := l.bus.Get(t.Context(), bus.StreamEvents, seq)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range l.records() {
				if late := r.At.Sub(beat.Time); late < time.Second || late > 2500*time.Millisecond {
					t.Errorf("a window of a second ended after %s", late)
				}
			}
		})
	}
}

// A rule that is full says so once.
func TestFull(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start(l.content(`
rules:
  - name: r
    all: {within: 1h, key: event.data.k, clauses: {a: {on: com.example.a}, b: {on: com.example.b}}}
    max_windows: 2
    run: {playbook: p.yml}
`))
	for i := range 5 {
		l.publish("com.example.a", fmt.Sprint("a", i), map[string]any{"k": fmt.Sprint("k", i)})
	}
	l.publish("com.example.b", "b1", map[string]any{"k": "k1"})
	l.until("the job", func() bool { return l.jobs()["r b1"] == 1 })
	l.same("decisions", map[string]int{"r full k2": 1, "r fired k1": 1}, l.outcomes())
	_, list := l.published(bus.EventSubject(bus.ClassOwn, events.TypeRuleFull))
	var data events.RuleFull
	if len(list) != 1 || list[0].DataAs(&data) != nil || data != (events.RuleFull{Rule: "r", Key: "k2", MaxWindows: 2}) {
		t.Errorf("events %v", list)
	}
}

// Rules that cause each other come to an end.
func TestLoop(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ev := l.start(l.content(`
rules:
  - {name: ping, on: com.example.ping, publish: {type: com.example.pong}}
  - {name: pong, on: com.example.pong, publish: {type: com.example.ping}}
`))
	l.publish("com.example.ping", "e1", nil)
	l.until("the end of the loop", func() bool {
		o := l.outcomes()
		return o["ping looped"]+o["pong looped"] > 0
	})
	ev.stop()
	_, list := l.published(ofRules)
	if len(list) != rules.MaxDepth+1 {
		t.Errorf("%d events", len(list))
	}
	if !ev.log.has("too many rules in a row") {
		t.Error(ev.log)
	}
}

// While no rule is ordered, nothing is done, not even now and then.
func TestIdle(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var looked atomic.Int64
	l.start(l.content("rules:\n  - name: r\n    on: com.example.a\n    run: {playbook: site.yml}\n"), func(ev *Evaluator) {
		ev.now = func() time.Time {
			looked.Add(1)
			return time.Now()
		}
	})
	l.until("the evaluator to begin", func() bool { return looked.Load() > 0 })
	time.Sleep(500 * time.Millisecond) // for something to happen, of which there is nothing to wait for
	if n := looked.Load(); n > 20 {
		t.Errorf("it looked at the clock %d times in half a second", n)
	}
}
