package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// oracle decides by looking at all jobs, slowly and plainly, what the plan may hand
// out next in a queue, nil if nothing.
func oracle(p *plan, queue string) *entry {
	paused := func(e *entry) bool { return p.pausedRules[e.rule] || p.pausedQueues[e.queue] }
	// A job stands at its hosts when nobody is before it in the line of its key.
	stands := func(e *entry) bool {
		if e.holds() {
			return true
		}
		if e.state != Pending || e.delayed || paused(e) {
			return false
		}
		for _, o := range p.jobs {
			inLine := o.holds() || o.state == Pending && !paused(o)
			if e.key != "" && o != e && o.key == e.key && inLine && before(o, e) < 0 {
				return false
			}
		}
		return true
	}
	first := func(e *entry) bool {
		for _, o := range p.jobs {
			shared := slices.ContainsFunc(e.hosts, func(h string) bool { return slices.Contains(o.hosts, h) })
			if o != e && shared && stands(o) && before(o, e) < 0 {
				return false
			}
		}
		return true
	}
	out := 0
	active := map[string]int{}
	var can []*entry
	for _, e := range p.jobs {
		if e.queue != queue {
			continue
		}
		if e.holds() {
			active[e.rule]++
			if e.state == Pending {
				out++
			}
		} else if stands(e) && first(e) {
			can = append(can, e)
		}
	}
	if len(can) == 0 {
		return nil
	}
	e := slices.MinFunc(can, func(a, b *entry) int {
		return cmp.Or(yesFirst(a.keeps, b.keeps), cmp.Compare(b.priority, a.priority), cmp.Compare(active[a.rule], active[b.rule]),
			cmp.Compare(a.first, b.first), cmp.Compare(a.id, b.id))
	})
	if out >= p.window && !e.keeps {
		return nil
	}
	return e
}

// TestPlan compares the plan with the oracle through random lives of jobs, and
// checks what must hold whatever their order: no two jobs have one host or one key,
// and as long as somebody waits, somebody has a turn.
func TestPlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPlan(rapid.IntRange(1, 4).Draw(t, "window"))
		var last uint64
		pick := func(t *rapid.T, of func(*entry) bool) *entry {
			var all []*entry
			for _, e := range p.jobs {
				if of(e) {
					all = append(all, e)
				}
			}
			if len(all) == 0 {
				t.Skip("no such job")
			}
			slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.first, b.first) })
			return rapid.SampledFrom(all).Draw(t, "job")
		}
		turn := func(state State, change func(*entry)) func(*rapid.T) {
			return func(t *rapid.T) {
				e := *pick(t, func(e *entry) bool { return e.state == state && (state != Pending || e.released) })
				e.released = false
				change(&e)
				p.set(e)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { invariants(t, p) },
			"come": func(t *rapid.T) {
				last++
				p.set(entry{
					id: fmt.Sprint("j", last), first: last, state: rapid.SampledFrom([]State{Pending, Pending, Unapproved}).Draw(t, "state"),
					priority: rapid.SampledFrom([]int{0, 0, 0, 5}).Draw(t, "priority"),
					rule:     rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rule"),
					queue:    rapid.SampledFrom([]string{"q", "r"}).Draw(t, "queue"),
					key:      rapid.SampledFrom([]string{"", "", "k", "l"}).Draw(t, "key"),
					hosts:    rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3"}), 0, 3, rapid.ID[string]).Draw(t, "hosts"),
				})
			},
			"release": func(t *rapid.T) {
				want := map[string]*entry{"q": oracle(p, "q"), "r": oracle(p, "r")}
				for name, q := range p.queues {
					e := q.pick()
					if e != nil && q.out >= p.window && !e.keeps {
						e = nil
					}
					if e != want[name] {
						t.Fatalf("queue %s hands out %+v, want %+v", name, e, want[name])
					}
				}
				for _, e := range p.next() {
					if !e.released {
						t.Fatalf("%s is handed out and not released", e.id)
					}
				}
			},
			"unrelease": func(t *rapid.T) { p.release(pick(t, func(e *entry) bool { return e.released }), false) },
			"claim":     turn(Pending, func(e *entry) { e.state, e.keeps = Running, false }),
			"fail":      turn(Running, func(e *entry) { e.state, e.delayed = Pending, true }),
			"lose":      turn(Running, func(e *entry) { e.state, e.keeps = Pending, true }),
			"cancel":    turn(Running, func(e *entry) { e.state = Cancelling }),
			"approve":   turn(Unapproved, func(e *entry) { e.state = Pending }),
			"due": func(t *rapid.T) {
				e := *pick(t, func(e *entry) bool { return e.delayed })
				e.delayed = false
				p.set(e)
			},
			"end": func(t *rapid.T) { p.remove(pick(t, func(*entry) bool { return true }).id) },
			"pause": func(t *rapid.T) {
				flip := func(name string) map[string]bool {
					return map[string]bool{name: rapid.Bool().Draw(t, name)}
				}
				p.pause(flip("a"), flip("r"))
			},
		})
		// When nothing is paused or waits for people or time, everything gets its turn.
		p.pause(nil, nil)
		for range 10 * len(p.jobs) {
			p.next()
			for _, id := range slices.Sorted(maps.Keys(p.jobs)) {
				switch e := *p.jobs[id]; {
				case e.holds(), e.state == Unapproved:
					p.remove(id)
				case e.delayed:
					e.delayed = false
					p.set(e)
				}
			}
		}
		if len(p.jobs) > 0 {
			t.Fatalf("%d jobs never got a turn", len(p.jobs))
		}
		if n := len(p.keys) + len(p.hosts) + len(p.byKey) + len(p.check); n > 0 {
			t.Errorf("%d lines are left of nothing", n)
		}
	})
}

func invariants(t *rapid.T, p *plan) {
	hosts, keys := map[string]string{}, map[string]string{}
	for id, e := range p.jobs {
		if !e.holds() || e.keeps { // one that keeps its host has the lock, whoever was told to take it
			continue
		}
		if other := keys[e.key]; e.key != "" && other != "" {
			t.Fatalf("%s and %s both have key %s", id, other, e.key)
		}
		keys[e.key] = id
		for _, h := range e.hosts {
			if other := hosts[h]; other != "" {
				t.Fatalf("%s and %s are both on host %s", id, other, h)
			}
			hosts[h] = id
		}
	}
	for name, l := range p.hosts {
		if !slices.IsSortedFunc(l.members, before) {
			t.Fatalf("line of host %s is out of order", name)
		}
		for _, e := range l.members {
			if p.jobs[e.id] != e {
				t.Fatalf("%s stands at host %s and is gone", e.id, name)
			}
		}
	}
}

// TestPlanOrder shows the order in which waiting jobs have their turns.
func TestPlanOrder(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		jobs []entry
		want []string
	}{
		"one host, by age":  {[]entry{{id: "b", first: 2, hosts: []string{"h"}}, {id: "a", first: 1, hosts: []string{"h"}}}, []string{"a", "b"}},
		"one host, by rank": {[]entry{{id: "a", first: 1, hosts: []string{"h"}}, {id: "b", first: 2, priority: 1, hosts: []string{"h"}}}, []string{"b", "a"}},
		"one key on two hosts": {[]entry{
			{id: "a", first: 1, key: "k", hosts: []string{"h"}}, {id: "b", first: 2, key: "k", hosts: []string{"i"}},
		}, []string{"a", "b"}},
		"behind a key, others pass at the host": {[]entry{
			{id: "a", first: 1, key: "k", hosts: []string{"h"}},
			{id: "b", first: 2, key: "k", hosts: []string{"i"}},
			{id: "c", first: 3, hosts: []string{"i"}},
		}, []string{"a", "c", "b"}},
		"several hosts are not overtaken at one": {[]entry{
			{id: "a", first: 1, hosts: []string{"h"}}, {id: "b", first: 2, hosts: []string{"h", "i"}}, {id: "c", first: 3, hosts: []string{"i"}},
		}, []string{"a", "b", "c"}},
		"rules share": {[]entry{
			{id: "a", first: 1, rule: "x"}, {id: "b", first: 2, rule: "x"}, {id: "c", first: 3, rule: "x"}, {id: "d", first: 4, rule: "y"},
		}, []string{"a", "d", "b", "c"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlan(100)
			for _, e := range tt.jobs {
				e.state = Pending
				p.set(e)
			}
			var got []string
			for len(p.jobs) > 0 {
				out := p.next()
				if len(out) == 0 {
					t.Fatalf("stuck after %v", got)
				}
				for _, e := range out {
					got = append(got, e.id)
				}
				for _, e := range out {
					p.remove(e.id)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("order %v, want %v", got, tt.want)
			}
		})
	}
}
