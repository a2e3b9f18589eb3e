package rulegraph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/rules"
)

// unless says what could keep the rule from firing on an event that it is for.
func unless(set *rules.Set, r *rules.Rule) []string {
	var out []string
	if !r.Enabled {
		out = append(out, "at all: it is disabled")
	}
	if paths := readPaths(r); len(paths) > 0 {
		out = append(out, "if the event lacks a field that decides: "+strings.Join(paths, ", "))
	}
	if facts := readFacts(r); len(facts) > 0 {
		list := strings.Replace(strings.Join(facts, ", "), anyFact, "one whose key is worked out", 1)
		out = append(out, "if a fact that decides is not set: "+list)
	}
	if before := stoppers(set, r); len(before) > 0 {
		out = append(out, "if a rule judged before ends the judging (stop): "+strings.Join(before, ", "))
	}
	if r.Otherwise {
		out = append(out, "if the event met another rule (otherwise)")
	}
	if r.Form == rules.All {
		out = append(out, "if a window ends before all clauses are met: it expires, and jet why says what was missing")
	}
	if keyed(r) {
		out = append(out, "if its key cannot be worked out from an event")
	}
	if remembers(r) {
		out = append(out, fmt.Sprintf("if %d windows are open and an event needs one more: it is full, which is told", r.MaxWindows))
	}
	out = append(out, fmt.Sprintf("if more than %d rules in a row caused the event, or if the rule is paused", rules.MaxDepth))
	if slices.ContainsFunc(actions(r), func(text string) bool { return strings.Contains(text, "${{") }) {
		out = append(out, "if a value of what it does cannot be worked out: then it fails, and jet why says where")
	}
	return out
}

func keyed(r *rules.Rule) bool {
	return r.Window != nil && (r.Window.Key != "" || slices.ContainsFunc(r.Clauses, func(c *rules.Clause) bool { return c.Key != "" })) ||
		r.Throttle != nil && r.Throttle.Key != ""
}

// stoppers returns the rules judged before that may end the judging of an event
// that r is for.
func stoppers(set *rules.Set, r *rules.Rule) []string {
	var out []string
	before := true
	for _, o := range set.Rules() {
		if o == r {
			before = false
			continue
		}
		first := o.Priority > r.Priority || o.Priority == r.Priority && before
		if o.Otherwise != r.Otherwise {
			first = r.Otherwise // otherwise rules are judged last
		}
		if first && o.Stop && o.Enabled && !o.Shadow && overlaps(o.On, r.On) {
			out = append(out, o.Name)
		}
	}
	return out
}

// overlaps reports whether there may be an event that both are for.
func overlaps(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if covers(x, y) || covers(y, x) {
				return true
			}
		}
	}
	return false
}

// covers reports whether on, a type or all below one, is for every event that typ,
// the same, is for.
func covers(on, typ string) bool {
	prefix, wide := strings.CutSuffix(on, "*")
	if !wide {
		return on == typ
	}
	return strings.HasPrefix(typ, prefix) && len(typ) > len(prefix)
}
