package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// came is what is stored, by type and what tells one from another.
type came map[string]map[string]int

// old are the events that have been there for a while, list are all.
func (s *site) came(t *testing.T) (all came, list, old []events.Event) {
	t.Helper()
	all = came{}
	for _, m := range stored(t, s.admin, bus.StreamEvents, bus.AllEvents) {
		e, err := bus.DecodeEvent(m.Header, m.Data)
		must(t, err)
		what := e.ID()
		switch e.Type() {
		case events.TypeFileCreated, events.TypeJobSucceeded:
			what = e.Subject()
		case "com.example.order":
			what = strings.Split(e.ID(), ":")[1]
		}
		if all[e.Type()] == nil {
			all[e.Type()] = map[string]int{}
		}
		all[e.Type()][what]++
		list = append(list, e)
		if time.Since(m.Time) > 10*time.Second {
			old = append(old, e)
		}
	}
	return all, list, old
}

// checkSources waits until all is through and looks at what is stored.
func (s *site) checkSources(t *testing.T, l *load, o *neighbours) {
	t.Helper()
	var all came
	var list []events.Event
	var missing string
	defer func() {
		if t.Failed() {
			t.Logf("missing: %s", missing)
		}
	}()
	within(t, 3*time.Minute, "everything to come through", func(context.Context) bool {
		var old []events.Event
		all, list, old = s.came(t)
		missing = s.missing(t, all, old, l, o)
		return missing == ""
	})
	for typ, ids := range all {
		if typ == l.kind {
			continue // who posts again may be told twice that it is stored
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s %s is there %d times", typ, id, n)
			}
		}
	}
	if got := len(all[events.TypeFileCreated]); got != len(o.dropped) {
		t.Errorf("%d files were dropped, %d were told", len(o.dropped), got)
	}
	s.checkSuccessors(t, all)
	line := 0
	for _, e := range list {
		if e.Type() != "com.example.line" {
			continue
		}
		if line++; e.ID() != fmt.Sprintf("line-%d", line) {
			t.Errorf("line %d is %s", line, e.ID())
			break
		}
	}
	if failed := all[events.TypeSourceFailed]; len(failed) > 0 {
		t.Logf("sources have failed: %v", failed)
	}
	checkTimes(t, all[events.TypeScheduleDue], "ticks:", time.Second)
	checkTimes(t, all["com.example.beat"], "beat:", 2*time.Second)
	t.Logf("%d events, %d files, %d messages, %d lines, %d deliveries", len(list), len(o.dropped), len(o.acked), line, len(l.accepted))
}

// missing says what is not there yet.
func (s *site) missing(t *testing.T, all came, old []events.Event, l *load, o *neighbours) string {
	t.Helper()
	for id := range l.accepted {
		if all[l.kind][id] == 0 {
			return "delivery " + id
		}
	}
	for _, name := range o.dropped {
		if all[events.TypeFileCreated][name] == 0 {
			return "file " + name
		}
	}
	for _, seq := range o.acked {
		if all["com.example.order"][seq] == 0 {
			return "message " + seq
		}
	}
	jobs := s.lastStates(t)
	for id, j := range jobs {
		if !j.State.Terminal() || j.State == queue.Succeeded && all[events.TypeJobSucceeded][id] == 0 {
			return "the end of job " + id
		}
	}
	for id, n := range l.accepted {
		if n%10 != 0 {
			continue
		}
		if _, ok := jobs[queue.ID(source, id, "tenth", "")]; !ok {
			return "the job of " + id
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range old {
		if !o.came[e.Source()+" "+e.ID()] {
			return fmt.Sprintf("event %s of %s at the sink", e.ID(), e.Source())
		}
	}
	return ""
}

// lastStates are those of all jobs.
func (s *site) lastStates(t *testing.T) map[string]queue.Job {
	t.Helper()
	last := map[string]queue.Job{}
	for _, m := range stored(t, s.admin, bus.StreamRuns, bus.AllStates) {
		r, err := queue.Decode(m)
		must(t, err)
		last[r.ID] = r.Job
	}
	return last
}

// checkSuccessors looks whether each job that was to have a successor has one.
func (s *site) checkSuccessors(t *testing.T, all came) {
	t.Helper()
	tenths, after := 0, map[string]int{}
	for _, j := range s.lastStates(t) {
		switch j.Rule {
		case "tenth":
			tenths++
		case "after":
			after[j.Event.ID]++
		}
		if j.State != queue.Succeeded {
			t.Errorf("job %s of %s is %s: %s", j.ID, j.Rule, j.State, j.Reason)
		}
	}
	for id, n := range after {
		if n != 1 {
			t.Errorf("%s has %d successors", id, n)
		}
	}
	if len(after) != tenths || tenths == 0 {
		t.Errorf("%d jobs have %d successors", tenths, len(after))
	}
}

// checkTimes looks whether due times follow each other without a gap.
func checkTimes(t *testing.T, ids map[string]int, prefix string, step time.Duration) {
	t.Helper()
	var due []time.Time
	for id := range ids {
		at, err := time.Parse(time.RFC3339, strings.TrimPrefix(id, prefix))
		must(t, err)
		due = append(due, at)
	}
	slices.SortFunc(due, time.Time.Compare)
	for i := 1; i < len(due); i++ {
		if due[i].Sub(due[i-1]) != step {
			t.Errorf("%s after %s comes %s", prefix, due[i-1], due[i])
		}
	}
	if len(due) < 20 {
		t.Errorf("%s only %d times", prefix, len(due))
	}
}
