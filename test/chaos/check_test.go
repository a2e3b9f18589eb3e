package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// Two events of a recorded run: one with a job on a host, which lost a runner, and one with two jobs.
const (
	source  = "/chaos/http"
	started = 100 * time.Second
)

var (
	one  = queue.ID(source, "e1", "one", "")
	twoA = queue.ID(source, "e2", "two-a", "")
	twoB = queue.ID(source, "e2", "two-b", "")
)

// recorded is the evidence of a run in which nothing is broken.
func recorded() *evidence {
	boot := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e := &evidence{
		Settings: settings{Runners: 2, Hosts: 2},
		Boot:     boot,
		Sent: []*sent{
			{ID: "e1", Source: source, Type: typeOne, First: started, Last: started, Answers: []answer{{At: started, Seq: 1}}},
			{ID: "e2", Source: source, Type: typeTwo, First: started, Last: started + time.Second, Answers: []answer{
				{At: started, Seq: 2}, {At: started + time.Second, Seq: 2, Duplicate: true},
			}},
			{ID: "e3", Source: source, Type: typeNone, First: started, Last: started, Answers: []answer{{At: started, Seq: 3}}},
		},
		Faults: []done{{Fault: fault{Kind: killRunner, Target: "r1"}, From: started + time.Second, To: started + time.Second}},
	}
	for i := range 3 {
		e.Events = append(e.Events, storedEvent{Seq: uint64(i + 1), Source: source, ID: fmt.Sprintf("e%d", i+1), Time: boot.Add(started)})
	}
	r := recorder{evidence: e, at: started}
	for _, id := range []string{one, twoA, twoB} {
		r.state(id, queue.Pending, 0, "")
	}
	// The first loses its runner in the middle of its second task, and is done by the other.
	r.claim(one, 1, "r1")
	r.task(one, 1, 1, "r1", "e1", "one")
	r.mark("begin", "r1", "e1", "one", "second")
	r.state(one, queue.Pending, 1, "")
	r.run(one, 2, "r2", "e1", "one")
	r.run(twoB, 1, "r1", "e2", "two-b")
	r.run(twoA, 1, "r2", "e2", "two-a")
	return e
}

// recorder adds what happens to evidence.
type recorder struct {
	*evidence
	seq uint64
	at  time.Duration
	pid int
}

func (r *recorder) next() uint64 { r.seq++; return r.seq }

func (r *recorder) state(id string, s queue.State, attempt int, runner string) {
	j := queue.Job{ID: id, State: s, Attempt: attempt, Runner: runner, Created: r.Boot}
	if s != queue.Pending {
		j.Hosts = []string{"host1"}
	}
	if s.Terminal() {
		j.Results = len(tasks())
	}
	r.States = append(r.States, queue.Record{Job: j, Rev: r.next()})
}

func (r *recorder) claim(id string, attempt int, runner string) {
	if n := len(r.Locks); n == 0 || r.Locks[n-1].Job != id {
		r.Locks = append(r.Locks, storedLock{r.next(), "host1", id})
	}
	r.state(id, queue.Running, attempt, runner)
}

func (r *recorder) mark(what, runner, event, rule, task string) {
	if what == "begin" {
		r.pid++
	}
	r.at += 100 * time.Millisecond
	from := runnerAddress(int(runner[1] - '1'))
	r.Marks = append(r.Marks, mark{"host1", r.at, what, r.pid, from, event, rule, task})
}

func (r *recorder) task(id string, attempt, n int, runner, event, rule string) {
	name := tasks()[n-1]
	r.mark("begin", runner, event, rule, name)
	r.mark("end", runner, event, rule, name)
	r.Results = append(r.Results, storedResult{r.next(), id, attempt, n, name, "host1", true})
}

func (r *recorder) run(id string, attempt int, runner, event, rule string) {
	r.claim(id, attempt, runner)
	for i := range tasks() {
		r.task(id, attempt, i+1, runner, event, rule)
	}
	r.state(id, queue.Succeeded, attempt, runner)
}

func TestCheckFindsNothing(t *testing.T) {
	t.Parallel()
	e := recorded()
	for _, v := range check(e) {
		t.Errorf("%s: %s", v.Breach, v.Text)
	}
	r := newReport(e)
	if r.Events != 3 || r.Jobs[queue.Succeeded] != 3 || r.Attempts != 4 || r.Results != 10 || r.Commands != 11 || r.Kills != 1 {
		t.Errorf("the report counts %+v", r)
	}
}

// lastMark returns the index of the last mark for which is holds.
func lastMark(e *evidence, is func(mark) bool) int {
	for i, m := range slices.Backward(e.Marks) {
		if is(m) {
			return i
		}
	}
	panic("no such mark")
}

// Every kind of breach, planted in the recorded run, is found, and nothing else is.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	remove := func(e *evidence, job string, n int) {
		e.Results = slices.DeleteFunc(e.Results, func(r storedResult) bool { return r.Job == job && r.Number == n })
	}
	stateOf := func(e *evidence, job string, s queue.State) int {
		return slices.IndexFunc(e.States, func(r queue.Record) bool { return r.ID == job && r.State == s })
	}
	for _, tc := range []struct {
		name  string
		plant func(e *evidence)
		want  []string // breach: beginning of the text
	}{
		{"an event is gone", func(e *evidence) { e.Events = e.Events[:2] }, []string{"lost: event e3"}},
		{"an event is gone with its jobs", func(e *evidence) {
			e.Events = e.Events[1:]
		}, []string{"lost: event e1", "stray: job " + one}},
		{"an event is elsewhere", func(e *evidence) { e.Events[2].Seq = 9 }, []string{"lost: event e3"}},
		{"an event is there twice", func(e *evidence) {
			e.Events = append(e.Events, storedEvent{Seq: 4, Source: source, ID: "e2", Time: e.Boot.Add(started)})
		}, []string{"doubled: event e2"}},
		{"an event was not sent", func(e *evidence) {
			e.Events = append(e.Events, storedEvent{Seq: 4, Source: source, ID: "e9", Time: e.Boot.Add(started)})
		}, []string{"stray: event e9"}},
		{"a clock was not set off", func(e *evidence) {
			e.Faults = append(e.Faults, done{Fault: fault{Kind: jumpBus, Target: busName, Jump: time.Hour}, From: started - 2, To: started - 1})
			e.Events[0].Time, e.Events[1].Time = e.Events[0].Time.Add(time.Hour), e.Events[1].Time.Add(time.Hour)
		}, []string{"trouble: event e3"}},
		{"a job was never made", func(e *evidence) {
			e.Sent = append(e.Sent, &sent{ID: "e4", Source: source, Type: typeOne, Answers: []answer{{Seq: 4, At: started}}})
			e.Events = append(e.Events, storedEvent{Seq: 4, Source: source, ID: "e4", Time: e.Boot.Add(started)})
		}, []string{"lost: job " + queue.ID(source, "e4", "one", "")}},
		{"a job that no rule asks for", func(e *evidence) {
			e.Sent[1].Type = typeOne
		}, []string{"lost: job", "stray: job " + twoA, "stray: job " + twoB}},
		{"a job was made twice", func(e *evidence) {
			e.States[stateOf(e, twoA, queue.Running)].Created = e.Boot.Add(time.Second)
		}, []string{"doubled: job " + twoA}},
		{"a job goes on after its end", func(e *evidence) {
			last := e.States[stateOf(e, twoB, queue.Succeeded)]
			last.Rev = 99
			e.States = append(e.States, last)
			// Which also means that it had not ended when its lock was taken.
		}, []string{"disorder: job " + twoB, "lock: job " + twoA}},
		{"a job has not ended", func(e *evidence) {
			e.States = e.States[:len(e.States)-1]
		}, []string{"unended: job " + twoA, "lock: the lock of host1 is held by job " + twoA}},
		{"an attempt is not counted", func(e *evidence) {
			for i := range e.States {
				if e.States[i].ID == twoA && e.States[i].Attempt == 1 {
					e.States[i].Attempt = 2
				}
			}
			for i := range e.Results {
				if e.Results[i].Job == twoA {
					e.Results[i].Attempt = 2
				}
			}
		}, []string{"disorder: job " + twoA}},
		{"a result is missing", func(e *evidence) { remove(e, twoA, 2) }, []string{"lost: job " + twoA + ", attempt 1: result 3"}},
		{"the last result is missing", func(e *evidence) {
			remove(e, twoA, 3)
		}, []string{"lost: job " + twoA + " succeeded with 3 results, and 2", "lost: job " + twoA + " succeeded with 2 results of 3"}},
		{"a result is there twice", func(e *evidence) {
			r := e.Results[1] // of the second attempt of the first job
			r.Seq++
			e.Results = slices.Insert(e.Results, 2, r)
			// Which also tells of a command that was not.
		}, []string{"doubled: job " + one, "lost: task first of job " + one}},
		{"a result of a job that is another's by now", func(e *evidence) {
			e.Results[0].Seq = e.Results[2].Seq
		}, []string{"disorder: job " + one + ": result 1 of attempt 1"}},
		{"a lock was taken too early", func(e *evidence) {
			last := &e.Locks[len(e.Locks)-1]
			last.Seq = e.Locks[1].Seq + 2
		}, []string{"lock: job " + twoA + " took the lock"}},
		{"a claim without a lock", func(e *evidence) {
			e.Locks = e.Locks[:len(e.Locks)-1]
		}, []string{"lock: job " + twoA + " was claimed"}},
		{"two jobs on a host", func(e *evidence) {
			// The last command of the one before ends in the next one's first.
			i := lastMark(e, func(m mark) bool { return m.Rule == "two-b" })
			e.Marks[i].At += 250 * time.Millisecond
		}, []string{"overlap: on host1, task third of job " + twoB}},
		{"a command of a runner that lost the job", func(e *evidence) {
			i := lastMark(e, func(m mark) bool { return m.Rule == "one" && m.From == runnerAddress(0) })
			m := e.Marks[i]
			m.What, m.At = "end", m.At+450*time.Millisecond
			e.Marks = slices.Insert(e.Marks, i+4, m)
		}, []string{"overlap: on host1, task second of job " + one}},
		{"a runner begins when another has had the job already", func(e *evidence) {
			var late []mark
			e.Marks = slices.DeleteFunc(e.Marks, func(m mark) bool {
				of := m.Rule == "one" && m.From == runnerAddress(0)
				if of {
					m.At += time.Minute
					late = append(late, m)
				}
				return of
			})
			e.Marks = append(e.Marks, late...)
		}, []string{
			"overlap: on host1, task first of job " + one + " by r1", "overlap: on host1, task second of job " + one + " by r1",
		}},
		{"a command without a job", func(e *evidence) {
			e.Marks[0].Event, e.Marks[1].Event = "e3", "e3"
		}, []string{"stray: there is no job for", "lost: task first of job " + one}},
		{"a command too many", func(e *evidence) {
			m := e.Marks[len(e.Marks)-2]
			m.At += time.Second
			end := e.Marks[len(e.Marks)-1]
			end.At += time.Second
			m.PID, end.PID = 99, 99
			e.Marks = append(e.Marks, m, end)
		}, []string{"stray: task third of job " + twoA + " was begun 2 times"}},
		{"a result of a command that was not", func(e *evidence) {
			e.Marks = e.Marks[:len(e.Marks)-1]
		}, []string{"lost: task third of job " + twoA}},
		{"trouble of the run", func(e *evidence) { e.Trouble = []string{"it burns"} }, []string{"trouble: it burns"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := recorded()
			tc.plant(e)
			var got []string
			for _, v := range check(e) {
				got = append(got, string(v.Breach)+": "+v.Text)
			}
			missing := slices.Clone(tc.want)
			for _, g := range got {
				i := slices.IndexFunc(missing, func(w string) bool { return strings.HasPrefix(g, w) })
				if i < 0 {
					t.Errorf("found besides: %s", g)
					continue
				}
				missing = slices.Delete(missing, i, i+1)
			}
			if len(missing) > 0 {
				t.Errorf("not found: %q", missing)
			}
		})
	}
}

// What nothing promises to prevent is no breach, and only that.
func TestCheckAllows(t *testing.T) {
	t.Parallel()
	late := func(by time.Duration) *evidence {
		e := recorded()
		i := lastMark(e, func(m mark) bool { return m.Rule == "two-b" })
		e.Marks[i].At += by
		return e
	}
	end := func(e *evidence) time.Duration {
		return e.Marks[lastMark(e, func(m mark) bool { return m.Rule == "two-b" })].At
	}
	for _, tc := range []struct {
		name  string
		by    time.Duration
		fault fault
		want  int
	}{
		{"frozen", silence, fault{Kind: stopRunner, Target: "r1"}, 0},
		{"cut off", silence, fault{Kind: cutRunner, Target: "r1"}, 0},
		{"server killed", lifeline, fault{Kind: killSSHD, Target: "host1"}, 0},
		{"too late", silence + lifeline + time.Second, fault{Kind: stopRunner, Target: "r1"}, 1},
		{"server killed, too late", silence + lifeline, fault{Kind: killSSHD, Target: "host1"}, 1},
		{"another runner frozen", silence, fault{Kind: stopRunner, Target: "r2"}, 1},
		{"another server killed", lifeline, fault{Kind: killSSHD, Target: "host2"}, 1},
		{"killed", silence, fault{Kind: killRunner, Target: "r1"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := late(tc.by)
			e.Faults = append(e.Faults, done{Fault: tc.fault, From: end(e) - tc.by - 50*time.Millisecond, To: end(e) - tc.by})
			if got := check(e); len(got) != tc.want {
				t.Errorf("found %+v, want %d", got, tc.want)
			}
		})
	}
	t.Run("an event that came again later than the window", func(t *testing.T) {
		t.Parallel()
		e := recorded()
		e.Sent[1].Last = e.Sent[1].First + window + time.Second
		e.Events = append(e.Events, storedEvent{Seq: 4, Source: source, ID: "e2", Time: e.Boot.Add(started)})
		c := newChecker(e)
		if got := c.all(); len(got) > 0 || c.again != 1 {
			t.Errorf("found %+v, and %d events stored again", got, c.again)
		}
	})
}

func TestParseMark(t *testing.T) {
	t.Parallel()
	got, err := parseMark("host1", "12.34 begin 77 10.77.1.2 e00001 one first\n")
	want := mark{"host1", 12340 * time.Millisecond, "begin", 77, "10.77.1.2", "e00001", "one", "first"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, line := range []string{"", "x begin 77 a b c d", "1 begin x a b c d", "1 begin 77 a b c"} {
		if got, err := parseMark("host1", line); err == nil {
			t.Errorf("%q is read as %+v", line, got)
		}
	}
}
