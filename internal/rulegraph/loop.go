package rulegraph

import (
	"slices"
	"strings"
)

// leads reports whether an edge passes on what happens: facts start no rule, and
// rules that are off do nothing. What leads on from jobs is told by [jobs].
func (e *Edge) leads() bool {
	return e.From.Off == "" && e.To.Off == "" && (e.Verb == Triggers || e.Verb == Runs || e.Verb == Publishes)
}

// findLoops marks the edges that are part of a circle, and notes for each group of
// rules that lead to each other a circle that is as short as can be.
func (g *Graph) findLoops() {
	next, before := map[*Node][]*Node{}, map[*Node][]*Node{}
	lead := func(from, to *Node) {
		next[from] = append(next[from], to)
		before[to] = append(before[to], from)
	}
	for _, e := range g.Edges {
		if e.leads() {
			lead(e.From, e.To)
		}
	}
	told := make([]*Node, len(g.jobs)) // the events about the jobs of one rule
	for i, j := range g.jobs {
		if j.rule.Off != "" {
			continue
		}
		run := &Node{Kind: KindPlaybook, Name: j.playbook.Name}
		told[i] = &Node{Kind: KindEvent, Name: j.event.Name}
		lead(j.rule, run)
		lead(run, told[i])
		for _, other := range j.heard {
			if other.Off == "" {
				lead(told[i], other)
			}
		}
	}
	// Every circle has a rule.
	starts := slices.DeleteFunc(slices.Clone(g.Nodes), func(n *Node) bool { return n.Kind != KindRule })
	slices.SortFunc(starts, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	group := map[*Node]*Node{} // by the rule that comes first
	for _, s := range starts {
		if group[s] != nil {
			continue
		}
		on := reach(next, s)
		if _, again := on[s]; !again {
			continue
		}
		back := reach(before, s)
		for n := range on {
			if _, ok := back[n]; ok {
				group[n] = s
			}
		}
		g.Loops = append(g.Loops, circle(on, s))
	}
	for _, e := range g.Edges {
		e.Loop = e.leads() && group[e.From] != nil && group[e.From] == group[e.To]
		for i, j := range g.jobs {
			loop := group[told[i]]
			e.Loop = e.Loop || loop != nil && (e.From == j.rule && e.To == j.playbook || e.From == j.playbook && e.To == j.event ||
				e.From == j.event && slices.Contains(j.heard, e.To) && group[e.To] == loop)
		}
	}
}

// reach returns the nodes that start leads to, each with the one before it on a
// shortest way; start itself is among them if it is on a circle.
func reach(next map[*Node][]*Node, start *Node) map[*Node]*Node {
	from := map[*Node]*Node{}
	queue := []*Node{start}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, m := range next[n] {
			if _, seen := from[m]; !seen {
				from[m] = n
				queue = append(queue, m)
			}
		}
	}
	return from
}

// circle returns the way from start to start.
func circle(from map[*Node]*Node, start *Node) Loop {
	loop := Loop{}
	for n := from[start]; n != start; n = from[n] {
		loop = append(loop, n)
	}
	loop = append(loop, start)
	slices.Reverse(loop)
	return loop
}
