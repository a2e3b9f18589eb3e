package rulebook

import (
	"errors"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// part is one of several conditions of a rule.
type part struct {
	node  *yaml.Node
	cond  *condition
	name  string // of our clause
	own   []node // what is about its event alone
	cross []node // what is about other events too
	key   string // a path below event
}

// several converts all, any and not_all.
func (r *rule) several(n, m *yaml.Node) {
	r.inAll = true
	form, list, timeout := "", (*yaml.Node)(nil), (*yaml.Node)(nil)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		switch {
		case k.Value == "timeout":
			timeout = v
		case (k.Value == "all" || k.Value == "any" || k.Value == "not_all") && form == "" && v.Kind == yaml.SequenceNode:
			form, list = k.Value, v
		default:
			r.find(k, nil, NotConverted, "condition: %s does not belong here", k.Value)
			r.broken = true
		}
	}
	if r.broken || form == "" || len(list.Content) == 0 {
		if !r.broken {
			r.find(n, nil, NotConverted, "condition: has none of all, any and not_all")
		}
		r.broken = true
		return
	}
	events, facts := r.parts(list)
	if r.broken {
		return
	}
	switch {
	case len(events) == 0:
		r.find(n, nil, NotConverted, "condition: a fact that is set makes no rule fire; publish an event where it is set")
		r.broken = true
	case len(events) > 16:
		r.find(n, nil, NotConverted, "condition: there are at most 16 clauses in a rule")
		r.broken = true
	case form == "any":
		r.any(m, events, facts, timeout)
	case form == "not_all":
		r.notAll(n, m, events, facts, timeout)
	default:
		r.all(m, events, facts, timeout)
	}
}

var clauseName = lazyregexp.New(`^[a-z][a-z0-9_]*$`)

// parts reads the conditions and names them, and tells those about facts from those
// about events.
func (r *rule) parts(list *yaml.Node) (events, facts []*part) {
	used := map[string]bool{}
	for i, n := range list.Content {
		n = deref(n)
		c := r.parse(n)
		if c == nil {
			continue
		}
		p := &part{node: n, cond: c}
		u := usesOf(c.root)
		if c.fact && (u.event || u.others) {
			r.fault(n, nil, "condition "+n.Value, errors.New("facts.NAME stands before a condition on facts"))
			r.broken = true
			continue
		}
		if u.facts && !u.event && !u.others || c.fact {
			r.facts[c.alias] = true
			facts = append(facts, p)
			continue
		}
		p.name = c.alias
		if p.name == "" {
			p.name = "m_" + strconv.Itoa(i)
		}
		theirs := p.name
		if !clauseName().MatchString(p.name) {
			p.name = "c_" + slug(p.name, "_")
		}
		p.name = unused(p.name, "_", used)
		r.alias[theirs] = "events." + p.name
		r.alias["m_"+strconv.Itoa(i)] = "events." + p.name
		if i == 0 {
			r.alias["m"] = "events." + p.name
		}
		for _, x := range conjuncts(c.root) {
			if usesOf(x).others {
				p.cross = append(p.cross, x)
			} else {
				p.own = append(p.own, x)
			}
		}
		events = append(events, p)
	}
	return events, facts
}

// conjuncts takes a condition apart at its outermost ands.
func conjuncts(n node) []node {
	if b, ok := n.(*binary); ok && b.op == "and" {
		return append(conjuncts(b.l), conjuncts(b.r)...)
	}
	return []node{n}
}

func conjunction(list []node) node {
	out := list[0]
	for _, n := range list[1:] {
		out = &binary{op: "and", l: out, r: n, at: out.pos()}
	}
	return out
}

// clauses makes the mapping of the named clauses.
func (r *rule) clauses(parts []*part) *yaml.Node {
	m := newMap()
	for _, p := range parts {
		body := newMap()
		at := put(m, p.name, body)
		put(body, "on", r.on())
		if l, ok := p.cond.root.(*literal); len(p.own) == 0 || ok && l.value == true {
			continue
		}
		spelt, ok := r.spell(p.node, at, conjunction(p.own))
		if !ok {
			return m
		}
		put(body, "condition", text(spelt))
		r.find(p.node, at, Converted, "clause %s: %s", p.name, spelt)
		if usesOf(conjunction(p.own)).facts {
			r.find(p.node, at, Differs, "clause %s: a fact has one value for each name here, and is looked at when the event comes", p.name)
		}
	}
	return m
}

func (r *rule) any(m *yaml.Node, events, facts []*part, timeout *yaml.Node) {
	r.shape = anyOf
	for _, p := range facts {
		r.find(p.node, nil, NotConverted, "condition %s: a fact that is set makes no rule fire", p.node.Value)
	}
	if timeout != nil {
		r.find(timeout, nil, NotConverted, "timeout: any waits for one event, so nothing runs out")
	}
	for _, p := range events {
		if len(p.cross) > 0 {
			r.find(p.node, nil, NotConverted, "condition %s: there is no other event where any of them is enough", p.node.Value)
			r.broken = true
		}
	}
	for name := range r.alias {
		r.alias[name] = "event"
	}
	r.alias["match"] = "event"
	form := newMap()
	put(m, "any", form)
	put(form, "clauses", r.clauses(events))
}

func (r *rule) notAll(n, m *yaml.Node, events, facts []*part, timeout *yaml.Node) {
	r.shape = notAllOf
	form := newMap()
	at := put(m, "absent", form)
	for _, p := range facts {
		r.find(p.node, nil, NotConverted, "condition %s: not_all takes no facts; put them into the conditions of events", p.node.Value)
		r.broken = true
	}
	if timeout == nil {
		r.find(n, nil, NotConverted, "condition: not_all needs a timeout")
		r.broken = true
	}
	within, _ := r.within(timeout, at)
	put(form, "within", text(within.String()))
	left := r.keys(events)
	for _, x := range left {
		r.find(x.part.node, nil, NotConverted, "condition %s: what ties events together here must be one equality for every clause, as a key", x.part.node.Value)
		r.broken = true
	}
	put(form, "clauses", r.keyed(events, form))
}

func (r *rule) all(m *yaml.Node, events, facts []*part, timeout *yaml.Node) {
	if len(events) == 1 {
		r.allOfOne(m, events[0], facts)
		return
	}
	r.shape = allOf
	form := newMap()
	at := put(m, "all", form)
	within, given := r.within(timeout, at)
	put(form, "within", text(within.String()))
	if !given {
		r.find(r.node, at, Converted, "condition: all: events are kept for %s, as long as the rule set keeps them", within)
	}
	left := r.keys(events)
	for _, p := range facts {
		for _, x := range conjuncts(p.cond.root) {
			left = append(left, cross{part: p, node: x})
		}
		r.find(p.node, at, Differs, "condition %s: a fact has one value for each name here, and is looked at when an event comes, not when it is set", p.node.Value)
	}
	var where []string
	for _, x := range left {
		r.where, r.clause = true, x.part.name
		if spelt, ok := r.spell(x.part.node, at, x.node); ok {
			if b, is := x.node.(*binary); is && b.op == "or" && len(left) > 1 {
				spelt = "(" + spelt + ")"
			}
			where = append(where, spelt)
		}
		if x.part.name != "" {
			r.find(x.part.node, at, Differs, "condition %s: of several events for one clause only the newest is compared", x.part.node.Value)
		}
		r.where, r.clause = false, ""
	}
	if len(where) > 0 {
		put(form, "where", text(strings.Join(where, " && ")))
	}
	put(form, "clauses", r.keyed(events, form))
}

// allOfOne converts an all with one event, beside facts: a single condition.
func (r *rule) allOfOne(m *yaml.Node, p *part, facts []*part) {
	for name := range r.alias {
		r.alias[name] = "event"
	}
	put(m, "on", r.on())
	at := text("condition")
	var texts []string
	add := func(p *part, list []node) {
		spelt, ok := r.spell(p.node, at, conjunction(list))
		if ok {
			if b, is := p.cond.root.(*binary); is && b.op == "or" && len(list) == 1 {
				spelt = "(" + spelt + ")"
			}
			texts = append(texts, spelt)
		}
	}
	for _, f := range facts {
		r.find(f.node, at, Differs, "condition %s: a fact has one value for each name here, and is looked at when the event comes, not when it is set", f.node.Value)
		add(f, conjuncts(f.cond.root))
	}
	if l, ok := p.cond.root.(*literal); !ok || l.value != true {
		add(p, conjuncts(p.cond.root))
	}
	if len(texts) > 0 && !r.broken {
		spelt := strings.Join(texts, " && ")
		m.Content = append(m.Content, at, text(spelt))
		r.find(p.node, at, Converted, "condition: %s", spelt)
	}
}

// within returns how long events are kept, and whether the rule says so.
func (r *rule) within(timeout, at *yaml.Node) (timespan, bool) {
	if timeout == nil {
		return r.set.within, false
	}
	s, note, err := parseSpan(timeout.Value)
	if err != nil {
		r.find(timeout, nil, NotConverted, "timeout: %s", err)
		r.broken = true
		return r.set.within, false
	}
	if note != "" {
		r.find(timeout, at, Differs, "timeout: %s", note)
	}
	return s, true
}
