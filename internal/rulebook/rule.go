package rulebook

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// rule is a rule on its way.
type rule struct {
	*converter

	set    *ruleSet
	node   *yaml.Node
	name   string     // as the rulebook has it
	head   *yaml.Node // takes the comments that have no better place
	shape  shape
	alias  map[string]string // names after "events.", and what they are in our actions
	facts  map[string]bool   // names after "facts."
	inAll  bool              // in a condition of several events
	clause string            // the clause whose condition is spelled; empty for the only one
	acting bool              // an action is converted
	where  bool              // what is spelled is over several events
	broken bool              // a part that decides could not be converted
}

// shape is what a rule's firing knows.
type shape int

const (
	single    shape = iota // one event
	anyOf                  // one event of several clauses
	allOf                  // one event for each clause
	notAllOf               // those that came
	collected              // the matches of a throttle
)

var plainRuleName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// rule converts one rule and adds what it becomes to out: one rule, or several if it
// runs several playbooks.
func (c *converter) rule(s *ruleSet, n *yaml.Node, last bool, out *yaml.Node) {
	r := &rule{converter: c, set: s, node: n, head: newMap(), alias: map[string]string{}, facts: map[string]bool{}}
	if n.Kind != yaml.MappingNode {
		c.setFind(s, n, NotConverted, "this is no rule: a mapping with name, condition and action")
		return
	}
	r.name = "rule"
	if name := member(n, "name"); name != nil && name.Kind == yaml.ScalarNode && name.Value != "" {
		r.name = name.Value
	}
	ours := r.name
	if !plainRuleName().MatchString(ours) {
		ours = cmp.Or(slug(ours, "-"), "rule")
	}
	ours = ours[:min(len(ours), 60)] // it may get a number
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch k := n.Content[i]; k.Value {
		case "name", "condition", "throttle", "action", "actions", "enabled":
		default:
			r.find(k, nil, NotConverted, "the key %s of a rule is not known", k.Value)
		}
	}
	trigger, found := newMap(), len(c.findings)
	r.trigger(trigger)
	if t := member(n, "throttle"); t != nil && t.Kind == yaml.MappingNode {
		r.throttle(t, trigger)
	}
	if r.broken {
		r.disable(trigger, found)
	}
	r.acting = true
	acts := r.actions()
	for i, act := range acts {
		m := newMap()
		name := unused(ours, "-", c.names)
		put(m, "name", text(name))
		if r.name != name {
			put(m, "description", text(printable(r.name)))
		}
		if e := member(n, "enabled"); r.broken || e != nil && scalar(e) == false {
			put(m, "enabled", plain(false))
		}
		if !last && !s.every && i == len(acts)-1 {
			r.stop(m)
		}
		t := clone(trigger)
		m.Content = append(append(m.Content, t.Content...), act.Content...)
		if i == 0 {
			m.HeadComment = r.head.HeadComment
		}
		out.Content = append(out.Content, m)
	}
}

// stop keeps an event from the rules after, as a rule set does by itself.
func (r *rule) stop(m *yaml.Node) {
	switch {
	case r.broken:
	case r.shape == allOf || r.shape == notAllOf:
		r.find(r.node, nil, Differs, "an event that this rule takes in is seen by the rules below too")
	default:
		put(m, "stop", plain(true))
	}
}

// find notes what became of a part of the rule; at is the key in what is made that
// takes the comment, nil for the rule itself.
func (r *rule) find(n, at *yaml.Node, k Kind, format string, args ...any) {
	r.findAt(r.file.Pos(n), at, k, fmt.Sprintf(format, args...))
}

func (r *rule) findAt(pos strictyaml.Pos, at *yaml.Node, k Kind, text string) {
	if at == nil {
		at = r.head
	}
	r.converter.find(Finding{Pos: pos, Kind: k, Rule: r.name, Text: text}, at)
}

// fault notes that the expression in n could not be converted.
func (r *rule) fault(n, at *yaml.Node, what string, err error) {
	pos := r.file.Pos(n)
	if s, ok := errors.AsType[*syntaxError](err); ok {
		pos = r.at(n, s.at)
	}
	r.findAt(pos, at, NotConverted, what+": "+err.Error())
}

// trigger converts the condition.
func (r *rule) trigger(m *yaml.Node) {
	n := member(r.node, "condition")
	switch {
	case n == nil:
		r.find(r.node, nil, NotConverted, "the rule has no condition")
		r.broken = true
	case n.Kind == yaml.ScalarNode:
		r.single(n, m)
	case n.Kind == yaml.MappingNode:
		r.several(n, m)
	default:
		r.find(n, nil, NotConverted, "condition: is neither text nor one of all, any and not_all")
		r.broken = true
	}
}

// disable is for a rule of which a part that decides could not be converted: it
// stays where it was, and does nothing until somebody mends it.
// What was found since then to be converted is not.
func (r *rule) disable(m *yaml.Node, found int) {
	old := r.findings[found:]
	r.findings = r.findings[:found:found]
	for _, f := range old {
		if f.Kind != Converted {
			r.findings = append(r.findings, f)
		}
	}
	m.Content = nil
	r.shape = single
	put(m, "on", r.on())
	put(m, "condition", text("false"))
}

// on returns the event types of the rule set.
func (r *rule) on() *yaml.Node {
	if len(r.set.on) == 1 {
		return text(r.set.on[0])
	}
	list := flow()
	for _, t := range r.set.on {
		list.Content = append(list.Content, text(t))
	}
	return list
}

func (r *rule) single(n, m *yaml.Node) {
	put(m, "on", r.on())
	c := r.parse(n)
	if c == nil {
		return
	}
	if l, ok := c.root.(*literal); ok && l.value == true {
		r.find(n, nil, Converted, "the condition true: every event of the types")
		return
	}
	at := text("condition")
	spelt, ok := r.spell(n, at, c.root)
	if !ok {
		return
	}
	if c.alias != "" {
		r.alias[c.alias] = "event"
	}
	if u := usesOf(c.root); u.facts && !u.event {
		r.find(n, nil, NotConverted, "condition: a fact that is set makes no rule fire; publish an event where it is set, or say which events this is for")
		r.broken = true
		return
	} else if u.facts {
		r.find(n, at, Differs, "condition: a fact has one value for each name here, and the rule is judged when an event comes, not when a fact changes")
	}
	m.Content = append(m.Content, at, text(spelt))
	r.find(n, at, Converted, "condition: %s", spelt)
}

// parse reads a condition; nil if it is none, which is noted.
func (r *rule) parse(n *yaml.Node) *condition {
	src := n.Value
	if v, ok := scalar(n).(bool); ok && n.Kind == yaml.ScalarNode { // true, yes, on
		src = fmt.Sprint(v)
	}
	c, err := parseCondition(src)
	if n.Kind != yaml.ScalarNode {
		err = errors.New("is not text")
	}
	if err != nil {
		r.fault(n, nil, "condition "+strings.TrimSpace(n.Value), err)
		r.broken = true
		return nil
	}
	if c.mixed {
		r.find(n, nil, Differs, "and and or beside each other are read from left to right; see whether the parentheses are where you want them")
	}
	return c
}

// spell writes a condition; what it cannot is noted and breaks the rule.
func (r *rule) spell(n, at *yaml.Node, root node) (string, bool) {
	s := &speller{resolve: func(p *path) (string, []step, error) { return r.resolve(n, at, p) }}
	out, err := s.condition(root)
	if err != nil {
		r.fault(n, nil, "condition "+strings.TrimSpace(n.Value), err)
		r.broken = true
		return "", false
	}
	return out, true
}
