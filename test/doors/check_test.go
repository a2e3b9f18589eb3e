package doors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// check looks at everything that is stored, and at what the sink has.
func (w *world) check(t *testing.T) {
	t.Helper()
	all := w.events(t)
	byType := map[string][]stored{}
	times := map[string]int{}
	for _, e := range all {
		byType[e.Type()] = append(byType[e.Type()], e)
		if times[e.Source()+" "+e.ID()]++; times[e.Source()+" "+e.ID()] == 2 {
			t.Errorf("event %s of %s is stored twice", e.ID(), e.Source())
		}
	}
	w.checkTaken(t, byType)
	checkProgram(t, byType["com.example.line"], byType["com.example.raw"])
	checkSchedules(t, all)
	w.checkJobs(t, byType)
	w.checkSink(t, all)
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	t.Logf("%d events; %d files and %d removed, %d messages of the stream, %d of %d on the subject, %d releases, %d deliveries; %d moods of the sink",
		len(all), len(byType[events.TypeFileCreated]), len(byType[events.TypeFileRemoved]), len(byType["com.example.order"]),
		len(byType["com.example.plain"]), w.other.published, len(byType["com.github.release.published"]), len(byType["com.github.push"]), w.sink.moods)
}

// once compares what was sent with the events that it became, each of which says what
// it is of.
func once(t *testing.T, what string, sent []string, got []stored, of func(stored) string) {
	t.Helper()
	times := map[string]int{}
	for _, e := range got {
		times[of(e)]++
	}
	for _, s := range sent {
		if times[s] != 1 {
			t.Errorf("%s %s is there %d times", what, s, times[s])
		}
		delete(times, s)
	}
	for s := range times {
		t.Errorf("%s %s was never sent", what, s)
	}
}

// checkTaken looks at what others sent and were told is taken.
func (w *world) checkTaken(t *testing.T, byType map[string][]stored) {
	t.Helper()
	subject := func(e stored) string { return e.Subject() }
	once(t, "file", w.drop.dropped, byType[events.TypeFileCreated], subject)
	var removed, acked, taken []string
	for name := range w.drop.removed {
		removed = append(removed, name)
	}
	once(t, "removed file", removed, byType[events.TypeFileRemoved], subject)
	for _, seq := range w.other.acked {
		acked = append(acked, strconv.FormatUint(seq, 10))
	}
	once(t, "message of the stream", acked, byType["com.example.order"], func(e stored) string {
		_, rest, _ := strings.Cut(e.ID(), ":") // STREAM:sequence:time
		seq, _, _ := strings.Cut(rest, ":")
		return seq
	})
	for id := range w.host.taken {
		taken = append(taken, id)
	}
	once(t, "delivery", taken, byType["com.github.push"], func(e stored) string { return e.ID() })
	once(t, "release", w.publisher.tags(), byType["com.github.release.published"], func(e stored) string {
		var d struct {
			Release struct {
				Tag string `json:"tag_name"`
			}
		}
		must(t, e.DataAs(&d))
		return d.Release.Tag
	})
	// A plain subject keeps nothing for who is away: some are lost, none is doubled.
	plain := map[int]bool{}
	for _, e := range byType["com.example.plain"] {
		n := number(t, e)
		if plain[n] || n > w.other.published {
			t.Errorf("message %d of the subject is there twice, or was never sent", n)
		}
		plain[n] = true
	}
	if len(plain) < w.other.published/4 {
		t.Errorf("of %d messages on the subject %d are there", w.other.published, len(plain))
	}
}

func number(t *testing.T, e stored) int {
	t.Helper()
	var d struct{ N int }
	must(t, e.DataAs(&d))
	return d.N
}

// checkProgram looks at the lines of programs: of one that goes on where it was, each is
// there once, in order. Of the other, each life has its lines from the first on.
func checkProgram(t *testing.T, lines, raw []stored) {
	t.Helper()
	for i, e := range lines {
		if want := fmt.Sprintf("line-%d", i+1); e.ID() != want {
			t.Errorf("line %d is %s", i+1, e.ID())
			break
		}
	}
	next := map[string]int{}
	for _, e := range raw {
		var d struct {
			Run string
			N   int
		}
		must(t, e.DataAs(&d))
		if next[d.Run]++; d.N != next[d.Run] {
			t.Errorf("line %d of run %s comes as the %dth", d.N, d.Run, next[d.Run])
		}
	}
	if len(lines) < 10 || len(next) <= kills {
		t.Errorf("there are %d lines of the one program, and %d lives of the other", len(lines), len(next))
	}
}

// checkSchedules looks whether each due time was told, or told to be missed, once.
func checkSchedules(t *testing.T, all []stored) {
	t.Helper()
	due, missed := map[string][]time.Time{}, map[string]int{}
	for _, e := range all {
		name := strings.TrimPrefix(e.Source(), "/sources/")
		switch e.Type() {
		case events.TypeScheduleDue, "com.example.beat":
			at, err := time.Parse(time.RFC3339, strings.TrimPrefix(e.ID(), name+":"))
			must(t, err)
			due[name] = append(due[name], at)
		case events.TypeScheduleMissed:
			var d events.ScheduleMissed
			must(t, e.DataAs(&d))
			n := 0
			for at := d.First; !at.After(d.Last); at = at.Add(2 * time.Second) {
				due[name] = append(due[name], at)
				n++
			}
			if n != d.Count || name != "last" {
				t.Errorf("schedule %s has missed %d times from %s to %s", name, d.Count, d.First, d.Last)
			}
			missed[name] += n
		}
	}
	for name, step := range map[string]time.Duration{"all": time.Second, "last": 2 * time.Second, "typed": 3 * time.Second} {
		slices.SortFunc(due[name], time.Time.Compare)
		for i, at := range due[name] {
			if i > 0 && at.Sub(due[name][i-1]) != step {
				t.Errorf("schedule %s: after %s comes %s", name, due[name][i-1], at)
			}
		}
		t.Logf("schedule %s: %d times, %d of them missed", name, len(due[name]), missed[name])
		if len(due[name]) < kills {
			t.Errorf("schedule %s has only %d times", name, len(due[name]))
		}
	}
}

// jobs returns the last state of all jobs, by rule and the id of the event.
func (w *world) jobs(t *testing.T) map[string]map[string][]queue.Job {
	t.Helper()
	last := map[string]queue.Job{}
	for m, err := range w.admin.Tail(t.Context(), bus.StreamRuns, bus.AllStates, bus.TailOptions{}) {
		must(t, err)
		r, err := queue.Decode(m)
		must(t, err)
		last[r.ID] = r.Job
	}
	out := map[string]map[string][]queue.Job{"push": {}, "after": {}}
	for _, j := range last {
		out[j.Rule][j.Event.ID] = append(out[j.Rule][j.Event.ID], j)
	}
	return out
}

// jobsMissing says which job, or which event about one, is not there yet.
func (w *world) jobsMissing(t *testing.T, all []stored) string {
	t.Helper()
	jobs := w.jobs(t)
	told := map[string]string{} // ids of events by their jobs
	for _, e := range all {
		if e.Type() == events.TypeJobSucceeded {
			told[e.Subject()] = e.ID()
		}
	}
	for id := range w.host.taken {
		for _, rule := range []string{"push", "after"} {
			of := jobs[rule][id]
			if len(of) == 0 || !of[0].State.Terminal() {
				return fmt.Sprintf("the job of %s for %s has not ended", rule, id)
			}
			if id = told[of[0].ID]; id == "" {
				return fmt.Sprintf("nobody has told that job %s of %s has ended", of[0].ID, rule)
			}
		}
	}
	return ""
}

// checkJobs looks whether each delivery made one job, whose success is one event, which
// made one job.
func (w *world) checkJobs(t *testing.T, byType map[string][]stored) {
	t.Helper()
	jobs := w.jobs(t)
	succeeded := map[string][]string{}
	for _, e := range byType[events.TypeJobSucceeded] {
		succeeded[e.Subject()] = append(succeeded[e.Subject()], e.ID())
	}
	for _, delivery := range byType["com.github.push"] {
		id := delivery.ID()
		for _, rule := range []string{"push", "after"} {
			of := jobs[rule][id]
			if len(of) != 1 || of[0].State != queue.Succeeded {
				t.Errorf("rule %s has made %d jobs of %s: %+v", rule, len(of), id, of)
				break
			}
			told := succeeded[of[0].ID]
			if len(told) != 1 {
				t.Errorf("that job %s of %s has succeeded was told %d times", of[0].ID, rule, len(told))
				break
			}
			delete(jobs[rule], id)
			id = told[0]
		}
	}
	for rule, more := range jobs {
		for id := range more {
			t.Errorf("rule %s has made a job of %s, which is no event for it", rule, id)
		}
	}
}

// checkSink looks whether the sink has everything, and what is ordered in its order.
func (w *world) checkSink(t *testing.T, all []stored) {
	t.Helper()
	for path, of := range map[string][]stored{"/all": old(all), "/ordered": old(ordered(all))} {
		if n, missing := w.sink.has(path, of); missing != "" {
			t.Errorf("of %d events %d have come to %s, and not %s", len(of), n, path, missing)
		}
	}
	for i, id := range w.sink.came("/ordered", "/lines") {
		if want := fmt.Sprintf("line-%d", i+1); id != want {
			t.Errorf("the sink has %s where %s should be", id, want)
			break
		}
	}
}
