package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// stored reads all messages of a stream that match, as they are now.
func stored(t *testing.T, b *bus.Bus, stream, filter string) []bus.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []bus.Msg
	for m, err := range b.Tail(ctx, stream, filter, bus.TailOptions{}) {
		must(t, err)
		all = append(all, m)
	}
	return all
}

// settled waits until no job is open, and the wake-ups are gone.
func (s *site) settled(t *testing.T, l *load) {
	t.Helper()
	q := queue.New(s.admin, nil)
	var open, missing int
	start := time.Now()
	defer func() {
		if t.Failed() {
			t.Logf("%d jobs open, %d missing", open, missing)
		}
	}()
	eventually(t, "all jobs to end", func(ctx context.Context) bool {
		all, err := q.List(ctx, queue.ListOptions{})
		if err != nil {
			return false
		}
		open, missing = 0, 0
		made := map[string]bool{}
		for _, r := range all {
			made[r.ID] = true
			if !r.State.Terminal() {
				open++
			}
		}
		for id, n := range l.accepted {
			for _, rule := range fires(n) {
				if !made[queue.ID(source, id, rule, "")] {
					missing++
				}
			}
		}
		return open == 0 && missing == 0
	})
	t.Logf("all jobs had ended %s after the last event", time.Since(start).Round(100*time.Millisecond))
}

// fires names the rules that fire on event n.
func fires(n int) []string {
	if n%10 == 0 {
		return []string{"note", "tenth"}
	}
	return []string{"note"}
}

// check looks at everything that is stored.
func (s *site) check(t *testing.T, l *load) {
	t.Helper()
	known := map[string]int{} // of all that were offered: a refused one may be stored
	for _, m := range stored(t, s.admin, bus.StreamEvents, bus.AllEvents) {
		e, err := bus.DecodeEvent(m.Header, m.Data)
		must(t, err)
		if e.Source() == source {
			known[e.ID()]++
		}
	}
	for id := range l.accepted {
		if known[id] == 0 {
			t.Errorf("event %s was accepted and is not there", id)
		}
	}
	jobs := map[string]string{} // id to be of each job: what it is for
	for id := range known {
		n := l.accepted[id]
		if n == 0 {
			n = l.refused[id]
		}
		for _, rule := range fires(n) {
			jobs[queue.ID(source, id, rule, "")] = rule + " of " + id
		}
	}
	last := s.checkStates(t, jobs)
	attempts := 0
	for id, what := range jobs {
		j, ok := last[id]
		switch {
		case !ok:
			t.Errorf("there is no job for %s", what)
		case j.State != queue.Succeeded:
			t.Errorf("job for %s is %s: %s", what, j.State, j.Reason)
		}
		attempts += j.Attempt
	}
	s.checkResults(t, last)
	checkNotes(t, l, last)
	t.Logf("%d events accepted, %d refused, %d stored more than once; %d jobs, %d attempts",
		len(l.accepted), len(l.refused), twice(known), len(jobs), attempts)
}

func twice(known map[string]int) (n int) {
	for _, times := range known {
		if times > 1 {
			n++
		}
	}
	return n
}

// checkStates follows every job through its states and returns the last ones.
func (s *site) checkStates(t *testing.T, jobs map[string]string) map[string]queue.Job {
	t.Helper()
	last := map[string]queue.Job{}
	for _, m := range stored(t, s.admin, bus.StreamRuns, bus.AllStates) {
		var j queue.Job
		must(t, json.Unmarshal(m.Data, &j))
		was, ok := last[j.ID]
		switch {
		case jobs[j.ID] == "":
			t.Errorf("job %s of rule %s and event %v should not be", j.ID, j.Rule, j.Event)
		case !ok && j.State != queue.Pending:
			t.Errorf("job %s begins as %s", j.ID, j.State)
		case ok && was.State.Terminal():
			t.Errorf("job %s is %s after it was %s", j.ID, j.State, was.State)
		case j.Attempt < was.Attempt || j.Attempt > was.Attempt+1:
			t.Errorf("job %s is in attempt %d after %d", j.ID, j.Attempt, was.Attempt)
		}
		last[j.ID] = j
	}
	return last
}

// checkResults looks whether each attempt's results are there once, in order, and
// the last attempt's all.
func (s *site) checkResults(t *testing.T, last map[string]queue.Job) {
	t.Helper()
	seen := map[string]int{}
	for _, m := range stored(t, s.admin, bus.StreamRuns, "run.*.t") {
		e, err := bus.DecodeEvent(m.Header, m.Data)
		must(t, err)
		var r events.TaskFinished
		must(t, e.DataAs(&r))
		key := fmt.Sprintf("%s.%d", r.Job, r.Attempt)
		seen[key]++
		if r.Seq != seen[key] {
			t.Errorf("result %d of job %s, attempt %d, is numbered %d", seen[key], r.Job, r.Attempt, r.Seq)
		}
	}
	for id, j := range last {
		if got := seen[fmt.Sprintf("%s.%d", id, j.Attempt)]; got != j.Results || got == 0 {
			t.Errorf("job %s has %d results of its last attempt, and counts %d", id, got, j.Results)
		}
	}
}

// checkNotes looks at what the jobs did: once for an attempt at the most, and each
// at least once.
func checkNotes(t *testing.T, l *load, last map[string]queue.Job) {
	t.Helper()
	text, err := os.ReadFile(l.notes)
	must(t, err)
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		times["e"+strings.TrimSpace(line)]++
	}
	for _, j := range last {
		if j.Rule != "note" || j.Event == nil {
			continue
		}
		if n := times[j.Event.ID]; n < 1 || n > j.Attempt {
			t.Errorf("job %s for %s ran %d times in %d attempts", j.ID, j.Event.ID, n, j.Attempt)
		}
	}
}
