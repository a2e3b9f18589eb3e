package rulebook

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// actionsOf returns the actions of a rule: mappings with one key each.
func actionsOf(n *yaml.Node) []*yaml.Node {
	if a := member(n, "action"); a != nil {
		return []*yaml.Node{a}
	}
	var list []*yaml.Node
	if as := member(n, "actions"); as != nil && as.Kind == yaml.SequenceNode {
		for _, a := range as.Content {
			list = append(list, deref(a))
		}
	}
	return list
}

// effects are what the actions of a rule become.
type effects struct {
	runs    []runEffect
	publish []*yaml.Node
	set     *yaml.Node
	// publishAt and setAt are the keys, for comments.
	publishAt, setAt *yaml.Node
}

// runEffect is a "run" with its key, which has the comments, and the action it is
// made from.
type runEffect struct{ from, key, value *yaml.Node }

// actions converts the actions of the rule: the keys of one rule, and those of a
// further one for every playbook after the first.
func (r *rule) actions() []*yaml.Node {
	e := &effects{set: newMap(), publishAt: text("publish"), setAt: text("set")}
	for _, a := range actionsOf(r.node) {
		if a.Kind != yaml.MappingNode || len(a.Content) < 2 {
			r.find(a, nil, NotConverted, "this is no action")
			continue
		}
		r.action(e, a.Content[0], deref(a.Content[1]))
	}
	if len(e.runs) == 0 && len(e.publish) == 0 && len(e.set.Content) == 0 {
		// A rule does something; this one says that it fired.
		p := newMap()
		put(p, "type", text(r.firedType()))
		e.publish = append(e.publish, p)
	}
	if len(e.publish) > 16 {
		r.find(r.node, e.publishAt, NotConverted, "a rule publishes 16 events at the most; %d are left out", len(e.publish)-16)
		e.publish = e.publish[:16]
	}
	out := []*yaml.Node{newMap()}
	for i, run := range e.runs {
		if i > 0 {
			r.find(run.from, run.key, Differs, "a rule has one run: this is a rule of its own, whose playbook runs also if the one before fails; one playbook could do both")
			out = append(out, newMap())
		}
		out[i].Content = append(out[i].Content, run.key, run.value)
	}
	switch len(e.publish) {
	case 0:
	case 1:
		out[0].Content = append(out[0].Content, e.publishAt, e.publish[0])
	default:
		out[0].Content = append(out[0].Content, e.publishAt, &yaml.Node{Kind: yaml.SequenceNode, Content: e.publish})
	}
	if len(e.set.Content) > 0 {
		out[0].Content = append(out[0].Content, e.setAt, e.set)
	}
	return out
}

// firedType is the type of the event that says that the rule fired. It is not one
// of the rule set's own, so that no rule takes it for one.
func (r *rule) firedType() string {
	name := slug(r.name, "-")
	if name == "" {
		name = "rule"
	}
	return "rulebook-fired." + r.set.slug + "." + name
}

func (r *rule) action(e *effects, key, n *yaml.Node) {
	switch key.Value {
	case "run_playbook", "run_module", "run_job_template", "run_workflow_template":
		r.run(e, key, n)
	case "post_event":
		r.postEvent(e, key, n)
	case "set_fact":
		r.setFacts(e, key, n, false)
	case "retract_fact":
		r.setFacts(e, key, n, true)
	case "print_event", "debug", "echo":
		p := newMap()
		put(p, "type", text(r.firedType()))
		if data := r.shown(key, n, e.publishAt); data != nil {
			put(p, "data", data)
		}
		e.publish = append(e.publish, p)
		r.find(key, e.publishAt, Differs, "%s: nothing is printed; an event says that the rule fired, which jet events shows (notify would tell people)", key.Value)
	case "none":
		if len(actionsOf(r.node)) > 1 {
			r.find(key, nil, Converted, "none: nothing to do")
			return
		}
		r.find(key, e.publishAt, Differs, "none: a rule does something here; an event says that it fired")
	case "shutdown":
		r.find(key, nil, NotConverted, "shutdown: rules cannot end jet-bus; jet rules pause pauses a rule, and a breaker pauses one that fires too often")
	default:
		r.find(key, nil, NotConverted, "the action %s is not known", key.Value)
	}
}

// shown is what print_event and debug show, as the data of an event.
func (r *rule) shown(key, n, at *yaml.Node) *yaml.Node {
	if msg := member(n, "msg"); msg != nil {
		m := newMap()
		put(m, "msg", r.value(msg, at, "debug: msg"))
		return m
	}
	if msg := member(n, "message"); msg != nil {
		m := newMap()
		put(m, "msg", r.value(msg, at, "echo: message"))
		return m
	}
	if v := member(n, "var"); v != nil && v.Kind == yaml.ScalarNode {
		x := *v
		if !strings.Contains(x.Value, "{{") {
			x.Value = "{{ " + x.Value + " }}"
		}
		m := newMap()
		put(m, v.Value, r.value(&x, at, "debug: var"))
		return m
	}
	if root := member(n, "var_root"); root != nil {
		return r.varRoot(root, at)
	}
	switch r.shape {
	case allOf, notAllOf, collected:
		m := newMap()
		put(m, "events", r.matched(key))
		return m
	default:
		return text("${{ event.data }}")
	}
}

// matched is what a playbook gets of several events: their data, by name.
func (r *rule) matched(key *yaml.Node) *yaml.Node {
	if r.shape == collected {
		r.find(key, nil, Differs, "the events are a list, in place of m_0, m_1 …")
		return text("${{ map(matches, #.data) }}")
	}
	m := newMap()
	seen := map[string]bool{}
	list := member(member(r.node, "condition"), "all")
	if list == nil {
		list = member(member(r.node, "condition"), "not_all")
	}
	for i := range list.Content {
		names := []string{fmt.Sprintf("m_%d", i)}
		base, ok := r.alias[names[0]]
		if !ok || seen[base] {
			continue
		}
		seen[base] = true
		for name, b := range r.alias {
			if b == base && name != "m" && !strings.HasPrefix(name, "m_") {
				names[0] = name
			}
		}
		value := "${{ " + base + ".data }}"
		if r.shape == notAllOf {
			value = "${{ " + base + "?.data ?? nil }}"
		}
		put(m, names[0], text(value))
	}
	return m
}

// varRoot is the part of the event that takes its place.
func (r *rule) varRoot(n, at *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode || r.shape != single && r.shape != anyOf {
		r.find(n, at, NotConverted, "var_root: name the parts of several events in the vars of the run")
		return plain(nil)
	}
	x := *n
	x.Value = "{{ event." + n.Value + " }}"
	return r.value(&x, at, "var_root")
}

func (r *rule) postEvent(e *effects, key, n *yaml.Node) {
	to := r.target(r.set, n)
	event := member(n, "event")
	switch {
	case to == nil:
		r.find(key, nil, NotConverted, "post_event: there is no rule set %q in this file; publish an event of a type that it waits for", member(n, "ruleset").Value)
		return
	case event == nil || event.Kind != yaml.MappingNode:
		r.find(key, nil, NotConverted, "post_event: has no event")
		return
	case len(e.publish) == 16:
		r.find(key, nil, NotConverted, "post_event: a rule publishes 16 events at the most")
		return
	}
	if root := r.options.Root; root != "" {
		inner := member(event, root)
		if inner == nil || len(event.Content) != 2 {
			r.find(key, e.publishAt, NotConverted, "post_event: the event has more, or less, than %s", root)
			return
		}
		event = inner
	}
	p := newMap()
	put(p, "type", text(to.eventType("posted")))
	put(p, "data", r.value(event, e.publishAt, "post_event"))
	e.publish = append(e.publish, p)
	r.find(key, e.publishAt, Converted, "post_event: publishes %s", to.eventType("posted"))
}

func (r *rule) setFacts(e *effects, key, n *yaml.Node, retract bool) {
	to := r.target(r.set, n)
	fact := member(n, "fact")
	if to == nil || fact == nil || fact.Kind != yaml.MappingNode {
		r.find(key, nil, NotConverted, "%s: has no fact, or is for a rule set that is not in this file", key.Value)
		return
	}
	for i := 0; i+1 < len(fact.Content); i += 2 {
		k, v := fact.Content[i], fact.Content[i+1]
		name := to.prefix + k.Value
		if !factName().MatchString(k.Value) || len(e.set.Content) >= 32 && member(e.set, name) == nil {
			r.find(k, e.setAt, NotConverted, "%s: %q cannot be a fact: a rule sets 16 at the most, named with letters, digits and _ - . / :", key.Value, k.Value)
			continue
		}
		value := plain(nil)
		if retract {
			r.find(k, e.setAt, Differs, "retract_fact: takes the fact %s away, whatever its value", name)
		} else {
			value = r.value(v, e.setAt, "set_fact."+k.Value)
			r.find(k, e.setAt, Converted, "set_fact: sets %s, in the place of what it was", name)
		}
		if old := member(e.set, name); old != nil {
			*old = *value
			continue
		}
		put(e.set, name, value)
	}
}
