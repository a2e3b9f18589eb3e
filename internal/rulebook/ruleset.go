package rulebook

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// ruleSet is a rule set of a rulebook: what its rules share.
type ruleSet struct {
	node  *yaml.Node
	name  string
	slug  string // part of the types of its events
	on    []string
	rules *yaml.Node
	// prefix begins the names of its facts.
	prefix string
	// every is true if every rule sees an event, not only the first that it meets.
	every    bool
	parallel bool
	within   timespan
	limit    *yaml.Node // nil for all hosts
	head     *yaml.Node // takes the comments that are not of one rule
}

// readSets finds the rule sets, before any is converted: rules name others.
func (c *converter) readSets() error {
	var errs []error
	slugs := map[string]bool{}
	for i, n := range c.file.Root.Content {
		n = deref(n)
		if n.Kind != yaml.MappingNode || member(n, "rules") == nil {
			errs = append(errs, c.file.Errorf(n, "this is no rule set: a mapping with name, hosts, sources and rules"))
			continue
		}
		s := &ruleSet{node: n, rules: member(n, "rules"), head: newMap()}
		if s.rules.Kind != yaml.SequenceNode {
			errs = append(errs, c.file.Errorf(s.rules, "rules: must be a list"))
			continue
		}
		if name := member(n, "name"); name != nil && name.Kind == yaml.ScalarNode {
			s.name = name.Value
		}
		s.slug = unused(cmp.Or(slug(s.name, "-"), fmt.Sprintf("set-%d", i+1)), "-", slugs)
		if len(c.file.Root.Content) > 1 {
			s.prefix = s.slug + "."
		}
		c.sets = append(c.sets, s)
	}
	return errors.Join(errs...)
}

// unused returns name, or name with a number, and notes that it is in use.
func unused(name, joint string, used map[string]bool) string {
	out := name
	for i := 2; used[out]; i++ {
		out = fmt.Sprintf("%s%s%d", name, joint, i)
	}
	used[out] = true
	return out
}

// eventType returns a type of the rule set's own events.
func (s *ruleSet) eventType(what string) string { return "rulebook." + s.slug + "." + what }

// set converts a rule set and adds its rules to out.
func (c *converter) set(s *ruleSet, out *yaml.Node) {
	s.within = timespan{hours: 2}
	s.on = c.options.On
	if len(s.on) == 0 {
		s.on = []string{s.eventType("*")}
	} else if c.isPostedTo(s) {
		s.on = append(slices.Clone(s.on), s.eventType("posted"))
	}
	for i := 0; i+1 < len(s.node.Content); i += 2 {
		k, v := s.node.Content[i], deref(s.node.Content[i+1])
		switch k.Value {
		case "name", "rules":
		case "sources":
			c.sources(s, k, v)
		case "hosts":
			c.hosts(s, v)
		case "gather_facts":
			if scalar(v) == true {
				c.setFind(s, k, NotConverted, "gather_facts: hosts are not asked beforehand; a playbook finds out what it needs")
			}
		case "default_events_ttl":
			c.ttl(s, k, v)
		case "execution_strategy":
			s.parallel = v.Value == "parallel"
		case "match_multiple_rules":
			s.every = scalar(v) == true
		default:
			c.setFind(s, k, NotConverted, "the key %s of a rule set is not known", k.Value)
		}
	}
	if !s.every && len(s.rules.Content) > 1 {
		for _, other := range c.sets {
			if other != s && len(c.options.On) > 0 {
				c.setFind(s, s.node, Differs, "the first rule of the set that an event meets stops it, also for rules of other sets on the same event types")
				break
			}
		}
	}
	first := len(out.Content)
	for i, n := range s.rules.Content {
		c.rule(s, deref(n), i == len(s.rules.Content)-1, out)
	}
	title := "# Rule set " + printable(cmp.Or(s.name, s.slug)) + ", line " + fmt.Sprint(s.node.Line)
	if s.head.HeadComment != "" {
		title += "\n" + s.head.HeadComment
	}
	if len(out.Content) > first {
		r := out.Content[first]
		r.HeadComment = strings.TrimSuffix(title+"\n"+r.HeadComment, "\n")
	}
}

func (c *converter) setFind(s *ruleSet, at *yaml.Node, k Kind, format string, args ...any) {
	c.find(Finding{Pos: c.file.Pos(at), Kind: k, Text: fmt.Sprintf(format, args...)}, s.head)
}

// isPostedTo tells whether an action somewhere in the rulebook posts events to s.
func (c *converter) isPostedTo(s *ruleSet) bool {
	for _, from := range c.sets {
		for _, r := range from.rules.Content {
			for _, a := range actionsOf(r) {
				if p := member(a, "post_event"); p != nil && c.target(from, p) == s {
					return true
				}
			}
		}
	}
	return false
}

// target returns the rule set that an action is for, nil if there is none.
func (c *converter) target(from *ruleSet, action *yaml.Node) *ruleSet {
	n := member(action, "ruleset")
	if n == nil || scalar(n) == nil {
		return from
	}
	i := slices.IndexFunc(c.sets, func(s *ruleSet) bool { return s.name == n.Value })
	if i < 0 {
		return nil
	}
	return c.sets[i]
}

func (c *converter) sources(s *ruleSet, key, list *yaml.Node) {
	if list.Kind != yaml.SequenceNode {
		c.setFind(s, key, NotConverted, "sources: is not a list")
		return
	}
	for _, n := range list.Content {
		n = deref(n)
		plugin, name := "", ""
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			switch k, v := n.Content[i], deref(n.Content[i+1]); k.Value {
			case "name":
				name = v.Value
			case "filters":
				c.sourceFilters(s, v)
			default:
				plugin = k.Value
			}
		}
		short := plugin[strings.LastIndexByte(plugin, '.')+1:]
		name = slug(cmp.Or(name, short, "source"), "-")
		if len(c.options.On) > 0 {
			c.setFind(s, n, Converted, "the source %s: its events are those of type %s", cmp.Or(plugin, name), strings.Join(c.options.On, ", "))
			continue
		}
		c.setFind(s, n, NotConverted, "the source %s is not started by rules: let its events come in with the type %s, or say with --on which type they have%s",
			cmp.Or(plugin, name), s.eventType(name), sourceHint(short))
	}
}

// sourceHint says how the events of a kind of source get here.
func sourceHint(plugin string) string {
	switch plugin {
	case "webhook", "alertmanager", "generic", "pg_listener":
		return "; a hook of kind cloudevents in hooks.yml takes events in over HTTP, one of a git host's kind its deliveries as they are"
	case "range", "tick":
		return "; jet publish sends single events"
	default:
		return "; whatever speaks to it can send them to a hook of kind cloudevents in hooks.yml, or with jet publish"
	}
}

func (c *converter) sourceFilters(s *ruleSet, list *yaml.Node) {
	for _, n := range list.Content {
		n = deref(n)
		if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
			continue
		}
		name := n.Content[0].Value
		hint := "let the sender of the events do it"
		switch name[strings.LastIndexByte(name, '.')+1:] {
		case "insert_hosts_to_meta":
			hint = "name the host by limit: ${{ event.data.… }} in the run of a rule"
		case "json_filter":
			hint = "an event is judged whole; only what rules name is looked at"
		case "dashes_to_underscores", "normalize_keys":
			hint = `conditions can name any key: event.data["x-y"]; the rules below name keys as the filter makes them`
		}
		c.setFind(s, n, NotConverted, "the filter %s of a source: %s", name, hint)
	}
}

// hosts makes the limit of the set's runs of its pattern.
func (c *converter) hosts(s *ruleSet, n *yaml.Node) {
	pattern := n.Value
	if n.Kind != yaml.ScalarNode || strings.ContainsAny(pattern, "!&*?~[{") {
		c.setFind(s, n, NotConverted, "the pattern of hosts %q: write the groups and hosts as limit in the run of the rules", pattern)
		return
	}
	names := strings.FieldsFunc(pattern, func(r rune) bool { return r == ',' || r == ':' || r == ' ' })
	switch {
	case len(names) == 0 || slices.Contains(names, "all"):
	case len(names) == 1:
		s.limit = text(names[0])
	default:
		s.limit = flow()
		for _, name := range names {
			s.limit.Content = append(s.limit.Content, text(name))
		}
	}
}

func (c *converter) ttl(s *ruleSet, key, n *yaml.Node) {
	within, note, err := parseSpan(n.Value)
	if err != nil {
		c.setFind(s, key, NotConverted, "default_events_ttl: %s; two hours are taken", err)
		return
	}
	s.within = within
	if note != "" {
		c.setFind(s, key, Differs, "default_events_ttl: %s", note)
	}
}

// at returns the place of a rune in the text of a scalar.
func (c *converter) at(n *yaml.Node, runes int) strictyaml.Pos {
	p := c.file.TextPos(n)
	if p.Column == 0 {
		return strictyaml.Pos{File: p.File, Line: max(p.Line, 1), Column: 0}
	}
	before := string([]rune(n.Value)[:min(runes, len([]rune(n.Value)))])
	if lines := strings.Count(before, "\n"); lines > 0 {
		return strictyaml.Pos{File: p.File, Line: p.Line + lines}
	}
	p.Column += runes
	return p
}
