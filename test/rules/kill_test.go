package rules

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/test/process"
)

// Windows of every kind, open while jet-bus is killed. Those that end by time do so
// after the kill.
const windows = `
rules:
  - name: all
    all: {within: 1h, key: event.subject, clauses: {built: {on: built}, approved: {on: approved}}}
    run: {playbook: p.yml, vars: {by: "${{ events.built.data.by }}"}}
  - name: absent
    absent: {on: heartbeat, key: event.subject, within: 25s}
    run: {playbook: p.yml, vars: {key: "${{ key }}"}}
  - name: after
    absent: {on: done, within: 25s, after: {on: began}}
    run: {playbook: p.yml}
  - name: incomplete
    absent: {within: 25s, clauses: {one: {on: one}, two: {on: two}}}
    run: {playbook: p.yml}
  - name: first
    on: alarm
    throttle: {every: 1h, take: first}
    run: {playbook: p.yml}
  - name: last
    on: alarm
    throttle: {every: 25s, take: last}
    run: {playbook: p.yml}
  - name: count
    on: alarm
    throttle: {every: 1h, count: 3}
    run: {playbook: p.yml}
  - name: fact
    on: mode
    set: {mode: "${{ event.data.mode }}"}
  - name: reads
    on: alarm
    condition: kv.mode == "loud"
    run: {playbook: p.yml}
  - name: chain
    on: approved
    publish: {type: deployed, subject: "${{ event.subject }}"}
  - name: end
    on: deployed
    run: {playbook: p.yml}
  - name: plain
    on: last.one
    run: {playbook: p.yml}
`

// A kill in the middle of every kind of window loses nothing and doubles nothing.
func TestKilledInEveryWindow(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{
		"rules/windows.yml": windows,
		"p.yml":             "- name: Nothing\n  groups: [web]\n  tasks:\n    - !echo {msg: hello}\n",
	})
	s.start(t)
	s.publish(t, "built", "b1", "x", `{"by": "ann"}`)
	s.publish(t, "heartbeat", "h1", "db1", `{}`)
	s.publish(t, "began", "s1", "", `{}`)
	s.publish(t, "one", "o1", "", `{}`)
	s.publish(t, "mode", "m1", "", `{"mode": "quiet"}`)
	s.publish(t, "alarm", "a1", "", `{}`)
	s.publish(t, "mode", "m2", "", `{"mode": "loud"}`)
	s.bus.Kill(t) // perhaps before it has judged any of them

	s.start(t)
	s.publish(t, "alarm", "a2", "", `{}`)
	process.Eventually(t, "the alarm to be judged", func() bool { return s.jobs(t)["reads"] == 1 })
	s.bus.Kill(t)

	s.start(t)
	s.publish(t, "approved", "p1", "x", `{}`)
	s.publish(t, "alarm", "a3", "", `{}`)
	want := map[string]int{
		"all": 1, "absent": 1, "after": 1, "incomplete": 1, "first": 1, "last": 1, "count": 1, "reads": 2, "end": 1,
	}
	var got map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("jobs (-want +got):\n%s", cmp.Diff(want, got))
		}
	}()
	process.Eventually(t, "each window's job", func() bool {
		got = s.jobs(t)
		return cmp.Equal(want, got)
	})
	s.bus.Kill(t)

	// Whatever the next life does again, it has done when it comes to this one.
	s.start(t)
	s.publish(t, "last.one", "z1", "", `{}`)
	s.publish(t, "built", "b2", "y", `{"by": "bob"}`)
	s.publish(t, "approved", "p2", "y", `{}`)
	want["plain"], want["all"], want["end"] = 1, 2, 2
	process.Eventually(t, "the jobs of the last events", func() bool {
		got = s.jobs(t)
		return got["plain"] == 1 && got["end"] == 2 && got["all"] == 2
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	s.bus.Stop(t)
}
