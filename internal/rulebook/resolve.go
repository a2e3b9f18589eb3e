package rulebook

import (
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// resolve says what a name of a rulebook is in our rules. Where the two are not
// the same it notes so, with n as the place and at as the key for the comment.
func (r *rule) resolve(n, at *yaml.Node, p *path) (string, []step, error) {
	switch p.root {
	case "event":
		base := "event"
		switch {
		case r.where:
			base = "events." + r.clause
		case r.acting && r.shape == notAllOf:
			return "", nil, errors.New("there are several events, or fewer; name one, such as events.m_0")
		case r.acting && r.shape == allOf:
			r.find(n, at, Differs, "event: is the event that came last of those that the rule waits for")
		}
		return r.event(n, at, base, p.steps)
	case "events":
		if len(p.steps) == 0 || p.steps[0].name == "" {
			return "", nil, errors.New("events has a name after it, such as events.m_0")
		}
		base, ok := r.alias[p.steps[0].name]
		if !ok {
			return "", nil, fmt.Errorf("no condition of the rule is called events.%s", p.steps[0].name)
		}
		return r.event(n, at, base, p.steps[1:])
	case "fact":
		return r.fact(p.steps)
	case "facts":
		if len(p.steps) == 0 || !r.facts[p.steps[0].name] {
			return "", nil, errors.New("no condition of the rule has this name for a fact")
		}
		return r.fact(p.steps[1:])
	case "vars":
		if len(p.steps) == 0 {
			return "", nil, errors.New("name one of vars, such as vars.x; there is nothing to compare all of them with")
		}
		r.needVar(n, p.steps)
		return "vars", p.steps, nil
	default: // in a template
		steps := append([]step{{name: p.root}}, p.steps...)
		r.needVar(n, steps)
		return "vars", steps, nil
	}
}

// event resolves a path below an event.
func (r *rule) event(n, at *yaml.Node, base string, steps []step) (string, []step, error) {
	if len(steps) > 0 && steps[0].name == "meta" {
		return r.meta(n, at, base, steps)
	}
	if r.options.Root == "" || len(steps) == 0 {
		return base + ".data", steps, nil
	}
	if steps[0].name != r.options.Root {
		return "", nil, fmt.Errorf("event.%s is not below event.%s, which is all that our event has", steps[0].name, r.options.Root)
	}
	return base + ".data", steps[1:], nil
}

var extension = lazyregexp.New(`^[a-z0-9]{1,20}$`)

// meta resolves what ansible-rulebook and its sources add to an event.
func (r *rule) meta(n, at *yaml.Node, base string, steps []step) (string, []step, error) {
	name := ""
	if len(steps) > 1 {
		name = steps[1].name
	}
	third := ""
	if len(steps) > 2 {
		third = steps[2].name
	}
	differs := func(text string) { r.find(n, at, Differs, "event.meta.%s: %s", name, text) }
	switch {
	case name == "uuid" && third == "":
		return base + ".id", nil, nil
	case name == "received_at" && third == "":
		differs("becomes event.time, which is what the sender says")
		return base + ".time", nil, nil
	case name == "source":
		differs("becomes event.source, a URI reference that the sender chooses")
		return base + ".source", nil, nil
	case name == "headers" && third != "" && len(steps) == 3:
		ext := slug(third, "")
		if !extension().MatchString(ext) {
			return "", nil, fmt.Errorf("event.meta.headers: there is no extension for the header %q", third)
		}
		differs("an event has no headers; the sender gives it the extension " + ext)
		return base + ".ext", []step{{name: ext}}, nil
	default:
		differs("events get no meta here; the sender puts it into the data")
		return base + ".data", steps, nil
	}
}

var factName = lazyregexp.New(`^[A-Za-z0-9_./:-]{1,100}$`)

func (r *rule) fact(steps []step) (string, []step, error) {
	switch {
	case len(steps) == 0:
		return "", nil, errors.New("name what is below the fact")
	case steps[0].name == "meta":
		return "", nil, errors.New("there are no facts of hosts here; limit the run to them")
	case !factName().MatchString(steps[0].name):
		return "", nil, fmt.Errorf("%q cannot be the name of a fact", steps[0].name)
	}
	return "kv", append([]step{{name: r.set.prefix + steps[0].name}}, steps[1:]...), nil
}

// needVar sees to it that the file has a variable.
func (r *rule) needVar(n *yaml.Node, steps []step) {
	name := steps[0].name
	if i := slices.IndexFunc(r.vars.Content, func(k *yaml.Node) bool { return k.Value == name }); i < 0 || i%2 == 1 {
		if v, ok := r.options.Vars[name]; ok {
			put(r.vars, name, plain(v))
			return
		}
	} else if _, ok := r.options.Vars[name]; ok {
		return
	}
	r.placeholder(n, r.vars, r.vars, steps)
}

// placeholder puts a null where a variable is missing, and says so at its top.
func (r *rule) placeholder(n, m, at *yaml.Node, steps []step) {
	key := steps[0].name
	if key == "" {
		return
	}
	var k, v *yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			k, v = m.Content[i], m.Content[i+1]
		}
	}
	deeper := len(steps) > 1 && steps[1].name != ""
	if k == nil {
		v = plain(nil)
		k = put(m, key, v)
	}
	if deeper && v.Kind != yaml.MappingNode {
		*v = *newMap()
	}
	if m == at {
		at = k
		r.find(n, k, NotConverted, "vars.%s is not in the rulebook but given to ansible-rulebook; write its value here, or convert with --vars FILE", key)
	}
	if deeper {
		r.placeholder(n, v, at, steps[1:])
	}
}
