package rulegraph

import (
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/rules"
)

// Explanation is a rule in plain words: sentences without an end, for lists.
type Explanation struct {
	Rule        string `json:"rule"`
	Place       string `json:"place"`
	Description string `json:"description,omitempty"`
	// Waits says what the rule waits for, Does what happens then.
	Waits []string `json:"waits_for"`
	Does  []string `json:"does"`
	// Bounds says what bounds it: throttle, windows, breaker, the terms of its jobs.
	Bounds []string `json:"bounds,omitempty"`
	// Unless says what could keep it from firing.
	Unless []string `json:"unless"`
}

// String returns the explanation as text of several lines, the last with its end.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule %s, %s\n", e.Rule, e.Place)
	if e.Description != "" {
		fmt.Fprintf(&b, "  %s\n", strings.Join(strings.Fields(e.Description), " "))
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"waits for", e.Waits}, {"does", e.Does}, {"is bounded", e.Bounds}, {"is kept from firing", e.Unless}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s\n", part.title)
		for _, line := range part.lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}

// Explain says what a rule is about. Its set tells which other rules come before it.
func Explain(set *rules.Set, r *rules.Rule) Explanation {
	return Explanation{
		Rule: r.Name, Place: r.Pos.String(), Description: r.Description,
		Waits: waits(r), Does: does(r), Bounds: bounds(r), Unless: unless(set, r),
	}
}

// waits says what the rule waits for.
func waits(r *rules.Rule) []string {
	switch r.Form {
	case rules.Any:
		out := []string{"one event that meets any of these clauses:"}
		for _, c := range r.Clauses {
			out = append(out, clause(c, "")...)
		}
		return out
	case rules.All:
		return waitsAll(r)
	case rules.Absent:
		return waitsAbsent(r)
	case rules.Incomplete:
		return waitsIncomplete(r)
	default:
		out := []string{"an event " + ofTypes(r.On)}
		if r.Condition != "" {
			out = append(out, "for which this holds: "+oneLine(r.Condition))
		}
		if r.Otherwise {
			out = append(out, "that met no other rule: no condition, and no clause, of a rule that is enabled and no shadow")
		}
		return out
	}
}

func waitsAll(r *rules.Rule) []string {
	w := r.Window
	out := []string{fmt.Sprintf("each of these %d clauses to be met, by different events%s, in any order, within %s of the first of them:",
		len(r.Clauses), sameKey(w.Key), span(w.Within))}
	for _, c := range r.Clauses {
		out = append(out, clause(c, w.Key)...)
	}
	out = append(out, "of several events that meet the same clause, the last counts")
	if w.Where != "" {
		out = append(out, "and for these events together this has to hold: "+oneLine(w.Where))
	}
	return out
}

func waitsIncomplete(r *rules.Rule) []string {
	w := r.Window
	out := []string{fmt.Sprintf("%s to pass after an event that met one of these %d clauses, without all of them met by events%s:",
		span(w.Within), len(r.Clauses), sameKey(w.Key))}
	for _, c := range r.Clauses {
		out = append(out, clause(c, w.Key)...)
	}
	return append(out, "once all are met in time, the window is closed and nothing happens")
}

func waitsAbsent(r *rules.Rule) []string {
	w := r.Window
	var missing, after *rules.Clause
	for _, c := range r.Clauses {
		if c.Name == "" {
			missing = c
		} else {
			after = c
		}
	}
	if missing == nil {
		missing = r.Clauses[0]
	}
	if after != nil {
		out := []string{"first, an event that begins the waiting:"}
		out = append(out, clause(after, w.Key)...)
		out = append(out, fmt.Sprintf("then %s to pass without%s:", span(w.Within), anEvent(missing.Key)))
		out = append(out, clause(missing, w.Key)...)
		return append(out, "a second event that begins the waiting, with the same key, begins it anew")
	}
	out := []string{fmt.Sprintf("%s to pass without%s:", span(w.Within), anEvent(missing.Key))}
	out = append(out, clause(missing, w.Key)...)
	out = append(out, "each such event begins the waiting anew")
	switch {
	case len(w.Expect) > 0:
		out = append(out, "the waiting begins by itself when the rules come into force for "+strings.Join(w.Expect, ", ")+", and for others with their first event")
	case missing.Key == "":
		out = append(out, "the waiting begins by itself when the rules come into force")
	default:
		out = append(out, "the waiting begins with the first such event")
	}
	return append(out, "once it has fired, it waits again after the next such event")
}

// clause describes a clause: its types, condition, and its key if it has one of its
// own.
func clause(c *rules.Clause, key string) []string {
	line := "an event " + ofTypes(c.On)
	if c.Name != "" && c.Name != "after" {
		line = c.Name + ": " + line
	}
	out := []string{"  " + line}
	if c.Condition != "" {
		out = append(out, "    for which this holds: "+oneLine(c.Condition))
	}
	if c.Key != key {
		out = append(out, "    its key is "+oneLine(c.Key))
	}
	return out
}

func sameKey(key string) string {
	if key == "" {
		return ""
	}
	return " with the same " + oneLine(key)
}

func anEvent(key string) string {
	if key == "" {
		return " this event"
	}
	return " this event, for each " + oneLine(key) + " by itself"
}
