package queue

import (
	"cmp"
	"slices"
)

// entry is an open job as the plan sees it. What the lines sort by must not change
// while the entry stands in one.
type entry struct {
	id       string
	first    uint64 // jobs take their turns in this order
	priority int
	rule     string
	queue    string
	key      string   // concurrency key, empty for none
	policy   Policy   // what becomes of the job when its key is taken
	hosts    []string // those it would have to itself, as far as known

	state   State
	delayed bool // it waits for a repetition
	// keeps means that it was interrupted and still has its locks: whoever went
	// before it would wait for ever.
	keeps bool
	// released means that a runner has been woken, or is about to be.
	released bool
}

// holds reports whether the entry has its turn.
func (e *entry) holds() bool { return e.released || e.works() }

func (e *entry) works() bool { return e.state == Running || e.state == Cancelling }

// before orders entries that wait for the same thing: those who have it, those who
// had it when they were interrupted, those who have been told to take it, then by
// priority, then by age. One order for all lines is what makes a deadlock
// impossible: of those who wait, the first is first everywhere.
func before(a, b *entry) int {
	return cmp.Or(yesFirst(a.works(), b.works()), yesFirst(a.keeps, b.keeps), yesFirst(a.released, b.released),
		cmp.Compare(b.priority, a.priority), cmp.Compare(a.first, b.first), cmp.Compare(a.id, b.id))
}

func yesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// line is who stands in line for one thing, in order.
type line struct{ members []*entry }

func (l *line) head() *entry {
	if l == nil || len(l.members) == 0 {
		return nil
	}
	return l.members[0]
}

func (l *line) enter(e *entry) {
	if i, ok := slices.BinarySearchFunc(l.members, e, before); !ok {
		l.members = slices.Insert(l.members, i, e)
	}
}

func (l *line) leave(e *entry) {
	if i, ok := slices.BinarySearchFunc(l.members, e, before); ok {
		l.members = slices.Delete(l.members, i, i+1)
	}
}

// plan decides whose turn it is. It holds the open jobs, knows no clock and does
// nothing itself; it is not safe for concurrent use.
//
// A job stands in the line of its concurrency key, and, once it is first there, in
// the lines of its hosts; when it is first in all of them it is ready. Of the ready
// jobs of a queue those of higher priority go first, and among equals those of the
// rule that has the fewest at work.
type plan struct {
	window int // how many released jobs of a queue may wait for a runner

	jobs   map[string]*entry
	byKey  map[string]map[string]*entry // all open jobs with a key
	keys   map[string]*line
	hosts  map[string]*line
	queues map[string]*ready
	check  map[*entry]bool // whose readiness may have changed

	pausedRules, pausedQueues map[string]bool
}

// ready is what one queue could hand out, and has.
type ready struct {
	rules  map[string]*line
	out    int            // released, and not claimed yet
	active map[string]int // by rule: released, or at work
}

func newPlan(window int) *plan {
	return &plan{
		window: window, jobs: make(map[string]*entry), byKey: make(map[string]map[string]*entry),
		keys: make(map[string]*line), hosts: make(map[string]*line), queues: make(map[string]*ready),
		check: make(map[*entry]bool),
	}
}

func at[V any](m map[string]*V, key string) *V {
	v := m[key]
	if v == nil {
		v = new(V)
		m[key] = v
	}
	return v
}

func (p *plan) queue(name string) *ready {
	q := at(p.queues, name)
	if q.rules == nil {
		q.rules, q.active = make(map[string]*line), make(map[string]int)
	}
	return q
}

// set puts a job into the plan, or changes it.
func (p *plan) set(e entry) {
	p.remove(e.id)
	n := &e
	p.jobs[n.id] = n
	if n.key != "" {
		if p.byKey[n.key] == nil {
			p.byKey[n.key] = make(map[string]*entry)
		}
		p.byKey[n.key][n.id] = n
	}
	p.count(n, 1)
	p.enter(n)
	p.settle()
}

// remove takes a job out of the plan.
func (p *plan) remove(id string) {
	e := p.jobs[id]
	if e == nil {
		return
	}
	p.leave(e)
	p.count(e, -1)
	delete(p.jobs, id)
	if e.key != "" {
		if delete(p.byKey[e.key], id); len(p.byKey[e.key]) == 0 {
			delete(p.byKey, e.key)
		}
	}
	p.settle()
}

// count adds n to what the queue of e has handed out.
func (p *plan) count(e *entry, n int) {
	if !e.holds() {
		return
	}
	q := p.queue(e.queue)
	if q.active[e.rule] += n; q.active[e.rule] == 0 {
		delete(q.active, e.rule)
	}
	if e.state == Pending {
		q.out += n
	}
}

// release marks a ready job as handed out, unrelease takes that back.
func (p *plan) release(e *entry, yes bool) {
	p.leave(e)
	p.count(e, -1)
	e.released = yes
	p.count(e, 1)
	p.enter(e)
	p.settle()
}

// inHostLines reports whether e stands in the lines of its hosts.
func (p *plan) inHostLines(e *entry) bool {
	return e.holds() || p.inKeyLine(e) && !e.delayed && (e.key == "" || p.keys[e.key].head() == e)
}

// inKeyLine reports whether e keeps its place before others with its key. A job
// that waits for a repetition does: those after it must not overtake it.
func (p *plan) inKeyLine(e *entry) bool {
	return e.holds() || e.state == Pending && !p.pausedRules[e.rule] && !p.pausedQueues[e.queue]
}

func (p *plan) enter(e *entry) {
	if e.key != "" && p.inKeyLine(e) {
		p.moveKey(e.key, func(l *line) { l.enter(e) })
	}
	p.enterHosts(e)
	p.check[e] = true
}

func (p *plan) leave(e *entry) {
	delete(p.check, e)
	p.unready(e)
	p.leaveHosts(e)
	if e.key != "" {
		p.moveKey(e.key, func(l *line) { l.leave(e) })
	}
}

// moveKey changes the line of a key. Whoever becomes or ceases to be its head
// enters or leaves the lines of its hosts.
func (p *plan) moveKey(key string, change func(*line)) {
	l := at(p.keys, key)
	was := l.head()
	change(l)
	is := l.head()
	if len(l.members) == 0 {
		delete(p.keys, key)
	}
	if was == is {
		return
	}
	if was != nil && !was.holds() {
		p.unready(was)
		p.leaveHosts(was)
	}
	if is != nil {
		p.enterHosts(is)
		p.check[is] = true
	}
}

func (p *plan) enterHosts(e *entry) {
	if !p.inHostLines(e) {
		return
	}
	for _, h := range e.hosts {
		l := at(p.hosts, h)
		was := l.head()
		if l.enter(e); was != nil && was != l.head() {
			p.check[was] = true
		}
	}
}

func (p *plan) leaveHosts(e *entry) {
	for _, h := range e.hosts {
		l := p.hosts[h]
		if l == nil {
			continue
		}
		l.leave(e)
		if next := l.head(); next != nil {
			p.check[next] = true
		} else {
			delete(p.hosts, h)
		}
	}
}

// settle brings what is ready up to date.
func (p *plan) settle() {
	for e := range p.check {
		delete(p.check, e)
		if p.jobs[e.id] != e {
			continue
		}
		if p.isReady(e) {
			at(p.queue(e.queue).rules, e.rule).enter(e)
		} else {
			p.unready(e)
		}
	}
}

func (p *plan) isReady(e *entry) bool {
	if e.holds() || !p.inHostLines(e) {
		return false
	}
	for _, h := range e.hosts {
		if p.hosts[h].head() != e {
			return false
		}
	}
	return true
}

func (p *plan) unready(e *entry) {
	q := p.queue(e.queue)
	l := q.rules[e.rule]
	if l == nil {
		return
	}
	if l.leave(e); len(l.members) == 0 {
		delete(q.rules, e.rule)
	}
}

// next hands out what can be: the entries are released when it returns.
func (p *plan) next() []*entry {
	var out []*entry
	for _, q := range p.queues {
		for {
			// One that keeps its hosts is what others may be waiting for.
			e := q.pick()
			if e == nil || q.out >= p.window && !e.keeps {
				break
			}
			p.release(e, true)
			out = append(out, e)
		}
	}
	return out
}

// pick returns the ready job whose turn it is.
func (q *ready) pick() *entry {
	var best *entry
	for _, l := range q.rules {
		e := l.head()
		if best == nil || cmp.Or(
			yesFirst(e.keeps, best.keeps),
			cmp.Compare(best.priority, e.priority),
			cmp.Compare(q.active[e.rule], q.active[best.rule]),
			cmp.Compare(e.first, best.first),
			cmp.Compare(e.id, best.id),
		) < 0 {
			best = e
		}
	}
	return best
}

// pause says which rules and queues hand out nothing.
func (p *plan) pause(rules, queues map[string]bool) {
	all := make([]*entry, 0, len(p.jobs))
	for _, e := range p.jobs {
		if e.holds() || e.state != Pending {
			continue
		}
		was := p.pausedRules[e.rule] || p.pausedQueues[e.queue]
		if is := rules[e.rule] || queues[e.queue]; was != is {
			all = append(all, e)
		}
	}
	for _, e := range all {
		p.leave(e)
	}
	p.pausedRules, p.pausedQueues = rules, queues
	for _, e := range all {
		p.enter(e)
	}
	p.settle()
}

// older returns the open jobs with the concurrency key of e that came before it.
func (p *plan) older(e *entry) []*entry {
	if e.key == "" {
		return nil
	}
	var out []*entry
	for _, o := range p.byKey[e.key] {
		if o.first < e.first {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return cmp.Compare(a.first, b.first) })
	return out
}
