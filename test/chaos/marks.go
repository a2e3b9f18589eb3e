package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// mark is a line of a host's journal.
type mark struct {
	Host string        `json:"host"`
	At   time.Duration `json:"at"`
	What string        `json:"what"` // begin, end, killed
	PID  int           `json:"pid"`
	From string        `json:"from"` // address of the runner
	// Event is the id of the event, Rule and Task are names.
	Event string `json:"event"`
	Rule  string `json:"rule"`
	Task  string `json:"task"`
}

// parseMark reads a line of a journal: see markScript.
func parseMark(host, line string) (mark, error) {
	f := strings.Fields(line)
	if len(f) != 7 {
		return mark{}, fmt.Errorf("journal of %s: %q is no mark", host, line)
	}
	seconds, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return mark{}, fmt.Errorf("journal of %s: %q is no mark", host, line)
	}
	pid, err := strconv.Atoi(f[2])
	if err != nil {
		return mark{}, fmt.Errorf("journal of %s: %q is no mark", host, line)
	}
	at := time.Duration(seconds*100+0.5) * 10 * time.Millisecond
	return mark{host, at, f[1], pid, f[3], f[4], f[5], f[6]}, nil
}

// command is one command on a host, as its marks tell of it.
type command struct {
	mark     // of its begin
	job      string
	runner   string
	end      time.Duration // the begin's time if nothing tells of the end
	finished bool          // it came to its end by itself
	reported bool          // as one that overlaps
}

func (c command) String() string {
	how := "not finished"
	if c.finished {
		how = "finished"
	}
	return fmt.Sprintf("task %s of job %s by %s on %s from %s to %s (%s)", c.Task, c.job, c.runner, c.Host, c.At, c.end, how)
}

// commands pairs the marks.
func (c *checker) commands() []*command {
	ids := map[string]string{}
	for _, s := range c.Sent {
		for _, rule := range rules() {
			ids[s.ID+" "+rule] = queue.ID(s.Source, s.ID, rule, "")
		}
	}
	for _, f := range expected(c.Sent, c.Events) {
		ids[f.event+" "+f.rule] = f.job
	}
	var all []*command
	type key struct {
		host string
		pid  int
	}
	open := map[key]*command{}
	for _, m := range c.Marks {
		k := key{m.Host, m.PID}
		if m.What == "begin" {
			open[k] = &command{mark: m, job: ids[m.Event+" "+m.Rule], runner: c.runners[m.From], end: m.At}
			all = append(all, open[k])
			continue
		}
		if o := open[k]; o != nil && o.Event == m.Event && o.Rule == m.Rule && o.Task == m.Task {
			o.end, o.finished = m.At, m.What == "end"
		} else {
			c.report(stray, "a mark without a begin: %+v", m)
		}
		delete(open, k)
	}
	return all
}

// checkMarks compares what happened on the hosts with the records.
func (c *checker) checkMarks() {
	all := c.commands()
	byHost := map[string][]*command{}
	for _, m := range all {
		if c.jobs[m.job] == nil || m.runner == "" {
			c.report(stray, "there is no job for %s: event %s, rule %s, from %s", m, m.Event, m.Rule, m.From)
			continue
		}
		byHost[m.Host] = append(byHost[m.Host], m)
	}
	c.checkEffects(slices.Concat(slices.Collect(maps.Values(byHost))...))
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		c.checkOverlaps(host, byHost[host])
	}
}

// checkEffects: a task was begun by a runner no more often than that runner had the job, and finished at
// least as often as there are results that say so.
func (c *checker) checkEffects(all []*command) {
	type work struct{ job, task, host string }
	type by struct {
		work
		runner string
	}
	begun, finished := map[by]int{}, map[work]int{}
	for _, m := range all {
		w := work{m.job, m.Task, m.Host}
		begun[by{w, m.runner}]++
		if m.finished {
			finished[w]++
		}
	}
	for b, n := range begun {
		if most, _, _ := c.claims(b.job, b.runner); n > most {
			c.report(stray, "task %s of job %s was begun %d times by %s on %s, and it had the job %d times", b.task, b.job, n, b.runner, b.host, most)
		}
	}
	told := map[work]int{}
	for _, r := range c.Results {
		if r.Changed {
			told[work{r.Job, r.Task, r.Host}]++
		}
	}
	for w, n := range told {
		if finished[w] < n {
			c.report(lost, "task %s of job %s was finished %d times on %s, and %d results say that it was", w.task, w.job, finished[w], w.host, n)
		}
	}
}

// claims is how often a runner had a job, and the sequences of its first and its last claim.
func (c *checker) claims(job, runner string) (n int, first, last uint64) {
	if j := c.jobs[job]; j != nil {
		for _, s := range j.states {
			if s.State == queue.Running && s.Runner == runner {
				n++
				first, last = cmp.Or(first, s.Rev), s.Rev
			}
		}
	}
	return n, first, last
}

// hold is what one runner did for one job on one host.
type hold struct {
	job, runner string
	from        time.Duration // its first command
	commands    []*command
	// first and last are the sequences of the runner's claims of the job.
	first, last uint64
}

// checkOverlaps: what was begun for another job, or by another runner, is over when something begins.
func (c *checker) checkOverlaps(host string, all []*command) {
	type key struct{ job, runner string }
	by := map[key]*hold{}
	for _, m := range all {
		k := key{m.job, m.runner}
		h := by[k]
		if h == nil {
			h = &hold{job: m.job, runner: m.runner, from: m.At}
			_, h.first, h.last = c.claims(m.job, m.runner)
			by[k] = h
		}
		h.from = min(h.from, m.At)
		h.commands = append(h.commands, m)
	}
	var holds []*hold
	for _, h := range by {
		holds = append(holds, h)
	}
	slices.SortFunc(holds, func(a, b *hold) int { return cmp.Compare(a.first, b.first) })
	for i, first := range holds {
		for _, then := range holds[i+1:] {
			// Who had a job twice may well be before and after another.
			if first.last < then.first {
				c.checkPair(host, first, then)
			}
		}
	}
}

// checkPair looks at the commands of a hold that are not over when the first one of a later hold begins.
func (c *checker) checkPair(host string, first, then *hold) {
	for _, m := range first.commands {
		late, begun := m.end-then.from, m.At-then.from
		if m.reported || late <= resolution || late <= c.allowance(m) && begun <= c.allowedStart(m) {
			continue
		}
		what := "ended"
		if begun > c.allowedStart(m) {
			what, late = "began", begun
		}
		m.reported = true
		c.report(overlap, "on %s, %s %s %s after job %s was begun by %s", host, m, what, late, then.job, then.runner)
	}
}

const (
	// A host's server asks a client that says nothing every so many seconds, and gives up after so many
	// questions; silence is how long its sessions last at the most when the other end is gone.
	aliveInterval = 1
	aliveCount    = 2
	silence       = (aliveInterval*aliveCount + 1) * time.Second
	// resolution is that of the journals' clock, and what a process may take to write its mark.
	resolution = 50 * time.Millisecond
	// lifeline is how long a command may live on when its connection is gone, and is noticed to be.
	lifeline = 2500 * time.Millisecond
)

// allowance is how late a command may end, when another has the host: at all only where fencing does not
// reach. A connection that breaks in the middle ends its command by its lifeline; one whose other end
// falls silent, frozen or cut off, is first waited for by the host's server.
func (c *checker) allowance(m *command) time.Duration {
	allowed := resolution
	for _, d := range c.Faults {
		switch {
		case d.From > m.end || d.To+silence+lifeline < m.At:
		case d.Fault.Kind == killAll, d.Fault.Kind == killSSHD && d.Fault.Target == m.Host:
			allowed = max(allowed, lifeline)
		case (d.Fault.Kind == stopRunner || d.Fault.Kind == cutRunner) && d.Fault.Target == m.runner:
			allowed = max(allowed, silence+lifeline)
		}
	}
	return allowed
}

// allowedStart is how late a command may begin: only one whose request was on the way when the network
// was cut, and that the network has delivered later, begins late.
func (c *checker) allowedStart(m *command) time.Duration {
	for _, d := range c.Faults {
		if d.Fault.Kind == cutRunner && d.Fault.Target == m.runner && d.From <= m.At && m.At <= d.To+silence {
			return silence
		}
	}
	return resolution
}
