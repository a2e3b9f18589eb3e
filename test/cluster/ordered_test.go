package cluster

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// remembering has a window of every kind for each subject. Some end while nobody
// judges, some later.
const remembering = `rules:
  - name: join
    all: {within: 1h, key: event.subject, clauses: {built: {on: built}, approved: {on: approved}}}
    run: &run {playbook: playbooks/tenth.yml, limit: h1, vars: {n: 1}}
  - name: absent
    absent: {on: heartbeat, key: event.subject, within: 5s}
    run: *run
  - name: after
    absent: {on: done, key: event.subject, within: 15s, after: {on: began, key: event.subject}}
    run: *run
  - name: incomplete
    absent: {within: 5s, key: event.subject, clauses: {one: {on: one}, two: {on: two}}}
    run: *run
  - name: first
    on: alarm
    throttle: {key: event.subject, every: 1h, take: first}
    run: *run
  - name: last
    on: alarm
    throttle: {key: event.subject, every: 1m, take: last}
    run: *run
  - name: count
    on: alarm
    throttle: {key: event.subject, every: 1h, count: 3}
    run: *run
  - name: fact
    on: mode
    set: {mode: "${{ event.data.mode }}"}
  - name: reads
    on: approved
    condition: kv.mode == "loud"
    run: *run
  - name: chain
    on: approved
    publish: {type: deployed, subject: "${{ event.subject }}"}
  - name: end
    on: deployed
    run: *run
`

// TestOrdered opens windows of every kind and then kills and freezes the jet-bus that
// judges them, and kills the leader of the events. There are no runners: each job has
// the one record that it was made with.
func TestOrdered(t *testing.T) {
	needed(t)
	s := newSite(t)
	must(t, os.WriteFile(filepath.Join(s.content, "rules", "remembering.yml"), []byte(remembering), 0o600))
	s.startBus(t, "bus1")
	s.startBus(t, "bus2")
	s.admin = s.connect(t, "admin")
	within(t, 3*time.Minute, "both jet-bus", func(context.Context) bool { return s.http("bus1") != "" && s.http("bus2") != "" })
	s.whole(t)
	publisher := s.connect(t, "publisher")
	began := time.Now()
	step := func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	send := func(subject string, kinds ...string) {
		for _, kind := range kinds {
			s.insist(t, publisher, kind, subject)
		}
	}
	s.insist(t, publisher, "mode", "")

	begin := func(subject string) {
		step(subject + ": windows open")
		send(subject, "built", "heartbeat", "began", "one", "alarm")
	}
	finish := func(subject string) {
		step(subject + ": windows end")
		send(subject, "approved", "alarm.2", "alarm.3")
	}
	begin("killed")
	judge := s.judge(t)
	judge.kill(t)
	s.another(t, judge)
	judge.again(t)
	finish("killed")

	begin("frozen")
	judge = s.judge(t)
	judge.signal(t, syscall.SIGSTOP)
	s.another(t, judge)
	finish("frozen")
	judge.signal(t, syscall.SIGCONT)

	begin("leader")
	leader := s.leader(t, bus.StreamEvents)
	leader.kill(t)
	finish("leader")
	leader.again(t)

	subjects := []string{"killed", "frozen", "leader"}
	want := map[string]int{"fact": 1}
	for _, rule := range []string{"join", "absent", "after", "incomplete", "first", "last", "count", "reads", "chain"} {
		want[rule] = len(subjects)
	}
	var got map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("firings (-want +got):\n%s", cmp.Diff(want, got))
		}
	}()
	within(t, 2*time.Minute, "each window to fire", func(context.Context) bool {
		got = s.firings(t)
		return !slices.ContainsFunc([]string{"join", "absent", "after", "incomplete", "first", "last", "count", "reads", "chain"},
			func(rule string) bool { return got[rule] < want[rule] })
	})
	step("all have fired")
	// Whatever comes again has come when the jet-bus that judges has moved once more.
	judge = s.judge(t)
	judge.stop(t)
	s.another(t, judge)
	send("after", "alarm")
	want["first"]++
	eventually(t, "the last firing", func(context.Context) bool {
		got = s.firings(t)
		return got["first"] == want["first"]
	})
	s.whole(t)
	s.once(t, want, subjects)
	for _, p := range s.buses {
		if p != judge && !p.running() {
			t.Errorf("%s has ended by itself:\n%s", p.name, p.tail(t))
		}
	}
}

// insist publishes an event of a kind and a subject until it is stored. What is
// behind a dot in the kind only tells events apart.
func (s *site) insist(t *testing.T, b *bus.Bus, kind, subject string) {
	t.Helper()
	typ := kind
	if i := slices.Index([]byte(kind), '.'); i > 0 {
		typ = kind[:i]
	}
	e, err := events.New(source, typ, map[string]any{"mode": "loud"})
	must(t, err)
	e.SetID(kind + "-" + subject)
	if subject != "" {
		e.SetSubject(subject)
	}
	eventually(t, "event "+e.ID()+" to be stored", func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, bounded)
		defer cancel()
		_, err := b.PublishEvent(ctx, bus.ClassExternal, e)
		return err == nil
	})
}

// judge returns the jet-bus that judges the ordered rules.
func (s *site) judge(t *testing.T) *process {
	t.Helper()
	var judge *process
	eventually(t, "somebody to judge", func(context.Context) bool {
		name := s.holder(t, "rules")
		i := slices.IndexFunc(s.buses, func(p *process) bool { return p.name == name })
		if i >= 0 {
			judge = s.buses[i]
		}
		return i >= 0
	})
	return judge
}

// another waits until it is another jet-bus that judges.
func (s *site) another(t *testing.T, than *process) {
	t.Helper()
	eventually(t, "another jet-bus to judge than "+than.name, func(context.Context) bool {
		name := s.holder(t, "rules")
		return name != "" && name != than.name
	})
}

// firings counts what is recorded as fired, by rule. Servers may be down.
func (s *site) firings(t *testing.T) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	fired := map[string]int{}
	for r, err := range ordered.Records(ctx, s.admin, "", bus.TailOptions{}) {
		if err != nil {
			return nil
		}
		if r.Outcome == "fired" {
			fired[r.Rule]++
		}
	}
	return fired
}

// once looks whether each firing, each job and each published event is there once.
func (s *site) once(t *testing.T, want map[string]int, subjects []string) {
	t.Helper()
	fired, keyed := map[string]int{}, map[string]int{}
	for _, m := range stored(t, s.admin, bus.StreamDecisions, bus.AllDecisions) {
		var r ordered.Record
		must(t, json.Unmarshal(m.Data, &r))
		if r.Outcome != "fired" {
			t.Errorf("rule %s: %s: %s", r.Rule, r.Outcome, r.Error)
		}
		fired[r.Rule]++
		keyed[r.Rule+" "+r.Key]++
	}
	if diff := cmp.Diff(want, fired); diff != "" {
		t.Errorf("firings (-want +got):\n%s", diff)
	}
	for _, rule := range []string{"join", "absent", "after", "incomplete", "first", "last", "count"} {
		for _, subject := range subjects {
			if n := keyed[rule+" "+subject]; n != 1 {
				t.Errorf("rule %s has fired %d times for %s", rule, n, subject)
			}
		}
	}
	published := map[string]int{}
	for _, m := range stored(t, s.admin, bus.StreamEvents, bus.AllOfClass(bus.ClassRule, "")) {
		e, err := bus.DecodeEvent(m.Header, m.Data)
		must(t, err)
		published[e.Type()+" "+e.Subject()]++
	}
	jobs := map[string]int{}
	for rule, n := range want {
		if rule != "fact" && rule != "chain" {
			jobs[rule] = n
		}
	}
	links := map[string]int{}
	for _, subject := range subjects {
		links["deployed "+subject] = 1
	}
	jobs["end"] = len(subjects)
	if diff := cmp.Diff(links, published); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	made := map[string]int{}
	for _, m := range stored(t, s.admin, bus.StreamRuns, bus.AllStates) {
		var j queue.Job
		must(t, json.Unmarshal(m.Data, &j))
		made[j.Rule]++
	}
	if diff := cmp.Diff(jobs, made); diff != "" {
		t.Errorf("records of jobs (-want +got):\n%s", diff)
	}
}
