package rulebook

import "gopkg.in/yaml.v3"

// cross is a clause of a condition about several events.
type cross struct {
	part *part
	node node
}

// end is one side of an equality between two events.
type end struct {
	part int
	path string
}

// keys finds the equalities that can be the key that the clauses share: when each
// clause has one path, and all hang together. It returns what is left.
func (r *rule) keys(parts []*part) (left []cross) {
	group := make([]int, len(parts)) // clauses that hang together have one number
	for i := range group {
		group[i] = i
	}
	var tied []cross
	for i, p := range parts {
		for _, x := range p.cross {
			a, b, ok := r.equality(parts, i, x)
			if !ok || !r.fits(parts, a) || !r.fits(parts, b) {
				left = append(left, cross{p, x})
				continue
			}
			parts[a.part].key, parts[b.part].key = a.path, b.path
			from, to := group[b.part], group[a.part]
			for j := range group {
				if group[j] == from {
					group[j] = to
				}
			}
			tied = append(tied, cross{p, x})
		}
	}
	for _, g := range group {
		if g == group[0] {
			continue
		}
		for _, p := range parts {
			p.key = ""
		}
		return append(tied, left...)
	}
	for _, x := range tied {
		r.find(x.part.node, nil, Converted, "clause %s: events belong together by the key %s", x.part.name, x.part.key)
	}
	return left
}

func (r *rule) fits(parts []*part, e end) bool {
	return parts[e.part].key == "" || parts[e.part].key == e.path
}

// equality takes an equality between two events apart.
func (r *rule) equality(parts []*part, self int, n node) (a, b end, ok bool) {
	eq, is := n.(*binary)
	if !is || eq.op != "==" {
		return a, b, false
	}
	if a, ok = r.end(parts, self, eq.l); !ok {
		return a, b, false
	}
	b, ok = r.end(parts, self, eq.r)
	return a, b, ok && a.part != b.part
}

func (r *rule) end(parts []*part, self int, n node) (end, bool) {
	p, ok := n.(*path)
	if !ok || len(p.steps) == 0 || p.root != "event" && p.root != "events" {
		return end{}, false
	}
	e, steps := end{part: self}, p.steps
	if p.root == "events" {
		e.part = -1
		for i, x := range parts {
			if r.alias[steps[0].name] == "events."+x.name {
				e.part = i
			}
		}
		steps = steps[1:]
	}
	if e.part < 0 || len(steps) == 0 {
		return end{}, false
	}
	base, below, err := r.event(parts[self].node, nil, "event", steps)
	e.path = base + spellSteps(below)
	return e, err == nil
}

// keyed makes the clauses with their keys: one for all if it is the same.
func (r *rule) keyed(parts []*part, form *yaml.Node) *yaml.Node {
	m := r.clauses(parts)
	if parts[0].key == "" || r.broken {
		return m
	}
	same := true
	for _, p := range parts {
		same = same && p.key == parts[0].key
	}
	if same {
		put(form, "key", text(parts[0].key))
		return m
	}
	for i, p := range parts {
		put(m.Content[2*i+1], "key", text(p.key))
	}
	return m
}
