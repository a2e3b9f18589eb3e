package rulebook

import (
	"errors"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// throttle converts the throttle of a rule and adds it to m.
func (r *rule) throttle(n, m *yaml.Node) {
	if r.broken {
		return
	}
	at := text("throttle")
	out := newMap()
	kind, every, count := "", timespan{}, int64(0)
	var group *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		switch k.Value {
		case "once_within", "once_after", "accumulate_within":
			s, note, err := parseSpan(v.Value)
			if err != nil || kind != "" {
				r.find(k, nil, NotConverted, "throttle: %s is not one time such as 5 minutes", k.Value)
				r.broken = true
				return
			}
			if note != "" {
				r.find(k, at, Differs, "throttle: %s", note)
			}
			kind, every = k.Value, s
		case "threshold":
			count, _ = scalar(v).(int64)
		case "group_by_attributes":
			group = v
		default:
			r.find(k, nil, NotConverted, "the key %s of a throttle is not known", k.Value)
		}
	}
	key, ok := r.group(group, at)
	if !ok {
		return
	}
	add := func(name, value string) {
		if value != "" {
			put(out, name, text(value))
		}
	}
	switch kind {
	case "once_within":
		add("key", key)
		add("every", every.String())
		add("take", "first")
		r.find(n, at, Converted, "throttle: fires for the first event of a group, then not for %s", every)
	case "once_after":
		add("every", every.String())
		add("take", "last")
		add("unique", key)
		r.collect()
		r.find(n, at, Converted, "throttle: fires %s after the first event, with one event of each group in matches", every)
	case "accumulate_within":
		if count < 2 || count > 1000 {
			r.find(n, nil, NotConverted, "throttle: the threshold must be from 2 to 1000")
			r.broken = true
			return
		}
		add("key", key)
		add("every", every.String())
		put(out, "count", plain(count))
		r.collect()
		r.find(n, at, Differs, "throttle: any %d events of a group within %s count, not only those within %s of the first", count, every, every)
	default:
		r.find(n, nil, NotConverted, "throttle: has none of once_within, once_after and accumulate_within")
		r.broken = true
		return
	}
	m.Content = append(m.Content, at, out)
}

// collect is for a throttle whose firing knows several events, called m_0, m_1 and so on.
func (r *rule) collect() {
	if r.shape != single {
		return
	}
	r.shape = collected
	r.alias["m"] = "matches[0]"
	for i := range 100 {
		r.alias["m_"+strconv.Itoa(i)] = "matches[" + strconv.Itoa(i) + "]"
	}
}

// group makes one expression of the attributes that events are grouped by.
func (r *rule) group(n, at *yaml.Node) (string, bool) {
	if n == nil {
		return "", true
	}
	if n.Kind != yaml.SequenceNode {
		r.find(n, nil, NotConverted, "throttle: group_by_attributes is not a list")
		r.broken = true
		return "", false
	}
	var parts []string
	for _, a := range n.Content {
		a = deref(a)
		x, err := parseExpression(a.Value)
		p, ok := x.(*path)
		if err == nil && (!ok || p.root != "event" || len(p.steps) == 0) {
			err = errors.New("an attribute is written as event.x")
		}
		if err != nil {
			r.fault(a, nil, "throttle: "+a.Value, err)
			r.broken = true
			return "", false
		}
		s := &speller{resolve: func(p *path) (string, []step, error) { return r.resolve(a, at, p) }}
		spelt, err := s.path(p)
		if err != nil {
			r.fault(a, nil, "throttle: "+a.Value, err)
			r.broken = true
			return "", false
		}
		parts = append(parts, spelt)
	}
	if len(parts) <= 1 {
		return strings.Join(parts, ""), true
	}
	return "toJSON([" + strings.Join(parts, ", ") + "])", true
}
