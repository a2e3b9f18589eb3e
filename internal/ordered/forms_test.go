package ordered

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

const formsRules = `
rules:
  - name: all
    all:
      within: 1h
      key: event.data.k
      clauses:
        a: {on: com.example.a}
        b: {on: com.example.b}
    run: {playbook: p.yml}
    publish: {type: com.example.both, subject: "${{ key }}", data: {a: "${{ events.a.data.n }}"}}
  - name: absent
    absent: {on: com.example.beat, key: event.data.k, within: 1s}
    run: {playbook: p.yml}
    notify: {to: ops, text: "${{ key }} is silent"}
  - name: half
    absent: {within: 1s, key: event.data.k, clauses: {c: {on: com.example.c}, d: {on: com.example.d}}}
    run: {playbook: p.yml}
  - name: first
    on: com.example.t
    throttle: {every: 1h, take: first}
    run: {playbook: p.yml}
  - name: last
    on: com.example.t
    throttle: {every: 1s, take: last}
    run: {playbook: p.yml}
  - name: count
    on: com.example.t
    throttle: {every: 1h, count: 2}
    run: {playbook: p.yml}
  - name: chain
    on: com.example.both
    set: {"seen.${{ event.subject }}": "${{ event.ext.jetdepth }}"}
    publish: {type: com.example.done}
  - name: reads
    on: com.example.q
    condition: kv["seen.x"] == 1
    run: {playbook: p.yml}
  - name: shadow
    on: com.example.q
    shadow: true
    publish: {type: com.example.never}
  - name: plain
    on: com.example.a
    run: {playbook: p.yml}
`

// Each form makes its jobs, by events and by time, and records it.
func TestForms(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := l.start(l.content(formsRules))
	l.publish("com.example.a", "a1", map[string]any{"k": "x", "n": 7})
	l.publish("com.example.beat", "beat1", map[string]any{"k": "web1"})
	l.publish("com.example.beat", "beat2", map[string]any{"k": "web1"})
	l.publish("com.example.c", "c1", map[string]any{"k": 1})
	l.publish("com.example.b", "b1", map[string]any{"k": "x"})
	for _, id := range []string{"t1", "t2", "t3"} {
		l.publish("com.example.t", id, nil)
	}
	_, done := l.published(bus.EventSubject(bus.ClassRule, "com.example.done"))
	l.until("the chain", func() bool {
		_, done = l.published(bus.EventSubject(bus.ClassRule, "com.example.done"))
		return len(done) > 0
	})
	l.publish("com.example.q", "q1", nil)
	want := map[string]int{
		"all b1": 1, "absent beat2": 1, "half c1": 1, "first t1": 1, "last t3": 1, "count t2": 1, "reads q1": 1,
	}
	l.until("all jobs", func() bool { return len(l.jobs()) >= len(want) && l.outcomes()["shadow shadowed"] == 1 })
	l.same("jobs", want, l.jobs())
	l.same("decisions", map[string]int{
		"all fired x": 1, "absent fired web1": 1, "half fired 1": 1, "first fired": 1, "last fired": 1, "count fired": 1,
		"chain fired": 1, "reads fired": 1, "shadow shadowed": 1,
	}, l.outcomes())
	if len(done) != 1 || done[0].Source() != "/rules/chain" || events.Extension(done[0], events.ExtDepth) != "2" ||
		events.Extension(done[0], events.ExtCorrelation) != "b1" {
		t.Errorf("published %v", done)
	}
	_, both := l.published(bus.EventSubject(bus.ClassRule, "com.example.both"))
	if len(both) != 1 || both[0].Subject() != "x" || string(both[0].Data()) != `{"a":7}` || events.Extension(both[0], events.ExtCausation) != "b1" {
		t.Errorf("published %v", both)
	}
	l.same("messages", map[string]int{"ops: web1 is silent": 1}, l.told)
	r.stop()
	if r.log.has("level=ERROR") {
		t.Error(r.log)
	}
	jobs, published, _ := l.truth()
	l.same("jobs by another fold", l.jobs(), jobs)
	is, _ := l.published(ofRules)
	l.same("events by another fold", is, published)
}

// What can never be carried out is said, and holds up nothing.
func TestNever(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := l.start(l.content(`
rules:
  - name: number
    on: com.example.a
    set: {n: 1}
    run: {playbook: p.yml, vars: {n: "${{ event.data.n / 0 }}"}}
  - name: large
    on: com.example.a
    publish: {type: com.example.large, data: ["${{ event.data.t }}", "${{ event.data.t }}", "${{ event.data.t }}"]}
  - name: message
    on: com.example.a
    notify: {to: nobody, text: hello}
  - name: good
    on: com.example.a
    notify: {to: ops, text: hello}
`), func(ev *Evaluator) {
		ev.Notify = func(ctx context.Context, n Notification) func() error {
			if n.To == "nobody" {
				return func() error { return errors.New("no such target") }
			}
			return l.notify(ctx, n)
		}
	})
	l.publish("com.example.a", "a1", map[string]any{"n": 1, "t": strings.Repeat("x", 100<<10)})
	l.until("all decisions", func() bool { return len(l.records()) == 4 })
	r.stop()
	l.same("decisions", map[string]int{"number failed": 1, "large failed": 1, "message failed": 1, "good fired": 1}, l.outcomes())
	for _, d := range l.records() {
		if d.Outcome == "failed" && d.Error == "" {
			t.Errorf("%+v", d)
		}
	}
}
