package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// breach is what a violation breaks.
type breach string

const (
	lost     breach = "lost"    // an event, a job or a result is not there
	doubled  breach = "doubled" // one is there twice
	stray    breach = "stray"   // a job, a result or an effect that nothing has caused
	disorder breach = "disorder"
	unended  breach = "unended" // a job has not ended in time
	locking  breach = "lock"
	overlap  breach = "overlap" // two jobs on a host at a time
	trouble  breach = "trouble"
)

// violation is something that must not be.
type violation struct {
	Breach breach `json:"breach"`
	Text   string `json:"text"`
}

// checker judges evidence.
type checker struct {
	*evidence
	found []violation

	jobs    map[string]*jobHistory
	order   []string          // of the jobs' first appearance
	causes  map[string]string // of job ids: event and rule
	runners map[string]string // by address
	again   int               // events stored once more, where nothing promises otherwise
	fired   int               // firings of rules that remember
}

// jobHistory is what RUNS tells of one job.
type jobHistory struct {
	id      string
	states  []queue.Record
	results []storedResult
}

func (j *jobHistory) last() queue.Record { return j.states[len(j.states)-1] }

// endSeq is the sequence of the state in which the job has ended, 0 if it has not.
func (j *jobHistory) endSeq() uint64 {
	if j.last().State.Terminal() {
		return j.last().Rev
	}
	return 0
}

func check(e *evidence) []violation { return newChecker(e).all() }

func newChecker(e *evidence) *checker {
	c := &checker{evidence: e, jobs: map[string]*jobHistory{}, causes: map[string]string{}, runners: map[string]string{}}
	for i := range e.Settings.Runners {
		c.runners[runnerAddress(i)] = runnerName(i)
	}
	for _, r := range e.States {
		if c.jobs[r.ID] == nil {
			c.jobs[r.ID] = &jobHistory{id: r.ID}
			c.order = append(c.order, r.ID)
		}
		c.jobs[r.ID].states = append(c.jobs[r.ID].states, r)
	}
	return c
}

func (c *checker) all() []violation {
	for _, t := range c.Trouble {
		c.report(trouble, "%s", t)
	}
	c.checkClock()
	c.checkEvents()
	c.checkOrdered()
	c.checkCauses()
	for _, id := range c.order {
		c.checkStates(c.jobs[id])
	}
	c.checkResults()
	c.checkLocks()
	c.checkMarks()
	return c.found
}

func (c *checker) report(b breach, format string, args ...any) {
	c.found = append(c.found, violation{b, fmt.Sprintf(format, args...)})
}

// checkClock checks the run itself: the store saw the clock that jet-bus was given.
func (c *checker) checkClock() {
	stored := map[uint64]time.Time{}
	for _, e := range c.Events {
		stored[e.Seq] = e.Time
	}
	const near = 20 * time.Second
	for _, s := range c.Sent {
		if len(s.Answers) == 0 {
			continue
		}
		at, offset, constant := s.Answers[0].At, time.Duration(0), true
		for _, d := range c.Faults {
			switch {
			case d.Fault.Kind != jumpBus || d.From > at:
			case d.To >= s.First:
				constant = false
			default:
				offset = d.Fault.Jump
			}
		}
		when, ok := stored[s.Answers[0].Seq]
		if off := when.Sub(c.Boot.Add(at)); ok && constant && (off-offset).Abs() > near {
			c.report(trouble, "event %s was stored with a clock that is %s off, and jet-bus was given one of %s", s.ID, off, offset)
		}
	}
}

// checkEvents: what was answered for is there, where the answer says, once.
func (c *checker) checkEvents() {
	type identity struct{ source, id string }
	copies := map[identity][]uint64{}
	for _, e := range c.Events {
		if !strings.HasPrefix(e.Source, sources) {
			continue
		}
		copies[identity{e.Source, e.ID}] = append(copies[identity{e.Source, e.ID}], e.Seq)
	}
	for _, s := range c.Sent {
		key := identity{s.Source, s.ID}
		seqs := copies[key]
		delete(copies, key)
		for _, a := range s.Answers {
			if !slices.Contains(seqs, a.Seq) {
				c.report(lost, "event %s of %s was accepted at %s as %d and is not there; it is at %v", s.ID, s.Source, a.At, a.Seq, seqs)
			}
		}
		switch {
		case len(seqs) < 2:
		case c.told(s):
			c.report(doubled, "event %s of %s is stored %d times, at %v; it was offered from %s to %s", s.ID, s.Source, len(seqs), seqs, s.First, s.Last)
		default:
			c.again += len(seqs) - 1
		}
		if len(seqs) == 0 {
			continue
		}
		for _, rule := range s.rules() {
			c.causes[queue.ID(s.Source, s.ID, rule, "")] = "event " + s.ID + " of " + s.Source + ", rule " + rule
		}
	}
	for key, seqs := range copies {
		c.report(stray, "event %s of %s at %v was never sent", key.id, key.source, seqs)
	}
}

// window is how long EVENTS promises to know an event again, with a margin.
const window = 110 * time.Second

// told reports whether EVENTS has to know all offers of an event for the same: they came within its
// window, and the clock by which it measures that was not changed meanwhile.
func (c *checker) told(s *sent) bool {
	if s.Last-s.First > window {
		return false
	}
	return !slices.ContainsFunc(c.Faults, func(d done) bool {
		return d.Fault.Kind == jumpBus && d.From <= s.Last && d.To >= s.First
	})
}

// checkCauses: every job that the rules say is there, and no other.
func (c *checker) checkCauses() {
	for id, cause := range c.causes {
		if c.jobs[id] == nil {
			c.report(lost, "job %s of %s was never made", id, cause)
		}
	}
	for _, id := range c.order {
		if c.causes[id] == "" {
			c.report(stray, "job %s was made by no event that is stored: rule %q, event %+v", id, c.jobs[id].last().Rule, c.jobs[id].last().Event)
		}
	}
}

// checkStates: a job is made once, its attempts are counted, and nothing follows its end.
func (c *checker) checkStates(j *jobHistory) {
	first := j.states[0]
	if first.State != queue.Pending || first.Attempt != 0 {
		c.report(disorder, "job %s begins as %s, attempt %d, at %d", j.id, first.State, first.Attempt, first.Rev)
	}
	for i := 1; i < len(j.states); i++ {
		before, after := j.states[i-1], j.states[i]
		switch {
		case !after.Created.Equal(first.Created):
			c.report(doubled, "job %s was made again at %d", j.id, after.Rev)
		case before.State.Terminal():
			c.report(disorder, "job %s is %s at %d after it has ended as %s at %d", j.id, after.State, after.Rev, before.State, before.Rev)
		case after.State == queue.Running && after.Attempt != before.Attempt+1,
			after.State != queue.Running && after.Attempt != before.Attempt:
			c.report(disorder, "job %s goes from %s, attempt %d, to %s, attempt %d, at %d",
				j.id, before.State, before.Attempt, after.State, after.Attempt, after.Rev)
		}
	}
	if l := j.last(); !l.State.Terminal() {
		c.report(unended, "job %s is %s since %d, attempt %d on runner %q with wake-up %d, hosts %v: %s",
			j.id, l.State, l.Rev, l.Attempt, l.Runner, l.Wake, l.Hosts, l.Reason)
	}
}

// checkResults: each attempt's results are numbered from 1, each once and in order, stored while the
// attempt was under way, and as many as the job says.
func (c *checker) checkResults() {
	for _, r := range c.Results {
		j := c.jobs[r.Job]
		if j == nil {
			c.report(stray, "result %d of attempt %d of job %s at %d: there is no such job", r.Number, r.Attempt, r.Job, r.Seq)
			continue
		}
		j.results = append(j.results, r)
	}
	for _, id := range c.order {
		j := c.jobs[id]
		numbers := map[int]int{}
		for _, r := range j.results {
			numbers[r.Attempt]++
			switch want := numbers[r.Attempt]; {
			case r.Number < want:
				c.report(doubled, "job %s, attempt %d: result %d comes after %d, at %d", id, r.Attempt, r.Number, want-1, r.Seq)
			case r.Number > want:
				c.report(lost, "job %s, attempt %d: result %d is at %d, and %d is missing", id, r.Attempt, r.Number, r.Seq, want)
			}
			numbers[r.Attempt] = r.Number
			if from, to := j.attempt(r.Attempt); r.Seq < from || from == 0 || to != 0 && r.Seq > to {
				c.report(disorder, "job %s: result %d of attempt %d is at %d, and the attempt lasted from %d to %d", id, r.Number, r.Attempt, r.Seq, from, to)
			}
		}
		l := j.last()
		if l.Results != numbers[l.Attempt] && (l.State == queue.Succeeded || l.State == queue.Failed) {
			c.report(lost, "job %s %s with %d results, and %d are there", id, l.State, l.Results, numbers[l.Attempt])
		}
		if all := len(tasks()) * len(l.Hosts); l.State == queue.Succeeded && numbers[l.Attempt] != all {
			c.report(lost, "job %s succeeded with %d results of %d", id, numbers[l.Attempt], all)
		}
	}
}

// attempt returns the sequences at which attempt n began and ended, 0 where it did not.
func (j *jobHistory) attempt(n int) (from, to uint64) {
	for _, s := range j.states {
		switch {
		case s.Attempt == n && s.State == queue.Running && from == 0:
			from = s.Rev
		case from != 0 && to == 0 && s.State != queue.Cancelling:
			to = s.Rev
		}
	}
	return from, to
}

// checkLocks: a host's lock is taken only from a job that has ended, and a job has the locks of all its
// hosts when it is claimed.
func (c *checker) checkLocks() {
	holder := map[string]string{}
	locks := c.Locks
	take := func(until uint64) {
		for ; len(locks) > 0 && locks[0].Seq < until; locks = locks[1:] {
			l := locks[0]
			if before := c.jobs[holder[l.Host]]; before != nil && before.id != l.Job && (before.endSeq() == 0 || before.endSeq() > l.Seq) {
				c.report(locking, "job %s took the lock of %s at %d from job %s, which ended at %d", l.Job, l.Host, l.Seq, before.id, before.endSeq())
			}
			holder[l.Host] = l.Job
		}
	}
	for _, s := range c.States {
		take(s.Rev)
		if s.State != queue.Running {
			continue
		}
		for _, host := range s.Hosts {
			if holder[host] != s.ID {
				c.report(locking, "job %s was claimed at %d without the lock of %s, which job %s had", s.ID, s.Rev, host, holder[host])
			}
		}
	}
	take(^uint64(0))
	for host, id := range holder {
		if j := c.jobs[id]; j == nil || j.endSeq() == 0 {
			c.report(locking, "the lock of %s is held by job %s, which has not ended", host, id)
		}
	}
}
