package queue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// model is RUNS as the plan's tests know it: subjects by sequence.
type model struct {
	msgs map[uint64]string
	jobs []keptJob
	// held are the sequences of the locks that open jobs hold.
	held []uint64
}

// drawModel makes a stream by letting jobs live in any order.
func drawModel(t *rapid.T) model {
	m := model{msgs: map[uint64]string{}}
	seq := uint64(rapid.IntRange(0, 5).Draw(t, "gone"))
	put := func(subject string) uint64 {
		seq++
		m.msgs[seq] = subject
		return seq
	}
	state := func(i int, s State) {
		j := &m.jobs[i]
		j.last, j.state = put(bus.StateSubject(j.id)), s
		j.revisions++
	}
	locks := map[int][]uint64{}
	for range rapid.IntRange(0, 120).Draw(t, "moves") {
		i := rapid.IntRange(0, len(m.jobs)).Draw(t, "job")
		if i == len(m.jobs) {
			first := rapid.SampledFrom([]State{Pending, Pending, Unapproved}).Draw(t, "begins")
			m.jobs = append(m.jobs, keptJob{id: fmt.Sprint("j", i), first: seq + 1, event: uint64(rapid.IntRange(0, 60).Draw(t, "event"))})
			state(i, first)
			continue
		}
		j := &m.jobs[i]
		switch j.state {
		case Unapproved:
			state(i, rapid.SampledFrom([]State{Pending, Cancelled}).Draw(t, "decided"))
		case Pending:
			// A claim may take the lock and not get the record.
			locks[i] = append(locks[i], put(bus.HostLockSubject(fmt.Sprint("h", rapid.IntRange(0, 3).Draw(t, "host")))))
			if rapid.Bool().Draw(t, "claimed") {
				j.tried = true
				state(i, Running)
			}
		case Running:
			switch rapid.IntRange(0, 4).Draw(t, "does") {
			case 0:
				put(bus.HeartbeatSubject(j.id))
			case 1, 2:
				put(bus.ResultSubject(j.id))
			case 3:
				state(i, Pending)
			case 4:
				state(i, rapid.SampledFrom([]State{Succeeded, Failed, Cancelled, Dead}).Draw(t, "ends"))
			}
		}
	}
	for i, j := range m.jobs {
		if !j.state.Terminal() {
			m.held = append(m.held, locks[i]...)
		}
	}
	return m
}

// purge does to the model what the server does to the stream.
func (m model) purge(p purge) {
	maps.DeleteFunc(m.msgs, func(seq uint64, subject string) bool {
		return (p.before == 0 || seq < p.before) && slices.ContainsFunc(p.filters, func(f string) bool { return matches(f, subject) })
	})
}

// matches tells whether a subject matches a filter.
func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, part := range f {
		if part == ">" {
			return len(s) > i
		}
		if i >= len(s) || part != "*" && part != s[i] {
			return false
		}
	}
	return len(f) == len(s)
}

// However far a sweep gets, what has to stay is there; when it got through, nothing
// else is.
func TestPlanKeepsWhatMustStay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		oldest := uint64(rapid.IntRange(0, 61).Draw(t, "oldest event"))
		must := map[uint64]string{}
		for seq, subject := range m.msgs {
			for _, j := range m.jobs {
				open := !j.state.Terminal() && strings.HasPrefix(subject, "run."+j.id+".")
				kept := j.event >= oldest && seq == j.last
				if open || kept || slices.Contains(m.held, seq) {
					must[seq] = subject
				}
			}
		}
		for _, p := range planSweep(m.jobs, oldest) {
			m.purge(p)
			for seq, subject := range must {
				if m.msgs[seq] != subject {
					t.Fatalf("%+v removed %s at %d; jobs %+v", p, subject, seq, m.jobs)
				}
			}
			left := slices.Collect(maps.Values(m.msgs))
			for _, j := range m.jobs {
				if slices.Contains(left, bus.ResultSubject(j.id)) && !slices.Contains(left, bus.StateSubject(j.id)) {
					t.Fatalf("%+v left results of %s without a state", p, j.id)
				}
			}
		}
		for seq, subject := range m.msgs {
			if _, ok := must[seq]; !ok && !strings.HasPrefix(subject, "lock.") {
				t.Fatalf("%s at %d is left, and could go; jobs %+v, oldest event %d", subject, seq, m.jobs, oldest)
			}
		}
	})
}

// What is older goes first, and results before jobs.
func TestJanitorOrder(t *testing.T) {
	t.Parallel()
	var jobs []keptJob
	for i := range uint64(100) {
		jobs = append(jobs, keptJob{
			id: fmt.Sprint("j", i), first: 10*i + 1, last: 10*i + 9, revisions: 3, state: Succeeded, tried: true, event: i + 1,
		})
	}
	var got []string
	var last purge
	for _, p := range planSweep(jobs, 51) {
		if p.what != last.what {
			got = append(got, p.what)
		} else if p.before <= last.before {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}
	want := []string{removedLocks, removedResults, removedJobs, removedResults, removedStates}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if n := len(planSweep(jobs, 51)); n != 1+3*steps+50 {
		t.Errorf("%d purges", n)
	}
}
