package cli

import (
	"fmt"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/rules"
)

// simulated prints the difference.
func (a *app) simulated(before, after *rules.Set, r *simulate.Report) error {
	if a.json {
		for _, rule := range r.Rules {
			if err := a.line(rule); err != nil {
				return err
			}
		}
		return a.line(map[string]any{
			"events": r.Events, "first": r.First, "last": r.Last, "old": before.Digest(), "new": after.Digest(), "differs": r.Differs(),
		})
	}
	a.printf("%s", count(r.Events, "event"))
	if r.Events > 0 {
		a.printf(" from %s to %s", stamp(r.First), stamp(r.Last))
	}
	a.printf("; rule sets %s and %s\n", before.Digest()[:shortID], after.Digest()[:shortID])
	alike, firings := 0, 0
	for _, rule := range r.Rules {
		if rule.Differs() || rule.Old.Missing != rule.New.Missing {
			a.simulatedRule(rule)
		} else {
			alike++
			firings += rule.New.Fired
		}
	}
	if alike > 0 {
		a.printf("%s as before: %s\n", count(alike, "rule"), count(firings, "firing"))
	}
	if !r.Differs() {
		a.printf("no difference in firings\n")
	}
	return nil
}

func (a *app) simulatedRule(r *simulate.Rule) {
	a.printf("%s: ", proc.Printable(r.Name))
	switch {
	case r.Old.Missing:
		a.printf("a new rule, %s", count(r.New.Fired, "firing"))
	case r.New.Missing:
		a.printf("is gone, with %s", count(r.Old.Fired, "firing"))
	default:
		a.printf("%s before, %d now: %d added, %d removed, %d changed", count(r.Old.Fired, "firing"), r.New.Fired, r.Added, r.Removed, r.Changed)
	}
	if r.Old.Failed != r.New.Failed {
		a.printf("; failed %s before, %d now", count(r.Old.Failed, "time"), r.New.Failed)
	}
	if r.Old.Refused != r.New.Refused {
		a.printf("; full or looped %s before, %d now", count(r.Old.Refused, "time"), r.New.Refused)
	}
	a.printf("\n")
	if r.Fault != "" {
		a.printf("  fails: %s\n", proc.Printable(r.Fault))
	}
	signs := map[simulate.Kind]string{simulate.Added: "+", simulate.Removed: "-", simulate.Changed: "~"}
	for _, ex := range r.Examples {
		what := "at the end of a window"
		if ex.ID != "" {
			what = fmt.Sprintf("event %s (sequence %d), %s from %s", ex.ID, ex.Seq, ex.Type, ex.Source)
		}
		if ex.Key != "" {
			what += fmt.Sprintf(", key %q", ex.Key)
		}
		a.printf("  %s %s %s\n", signs[ex.Kind], stamp(ex.At), proc.Printable(what))
		lines := ex.Differences
		switch ex.Kind {
		case simulate.Added:
			lines = effectLines(ex.After)
		case simulate.Removed:
			lines = effectLines(ex.Before)
		}
		for _, line := range lines {
			a.printf("      %s\n", proc.Printable(line))
		}
	}
}

// effectLines says in short what a firing does, a line for each part.
func effectLines(effects map[string]any) []string {
	var out []string
	if run, ok := effects["run"].(map[string]any); ok {
		line := fmt.Sprintf("runs %v", run["playbook"])
		if limit, ok := run["limit"]; ok {
			line += " on " + rules.Spell(limit)
		}
		if vars, ok := run["vars"]; ok {
			line += " with " + rules.Spell(vars)
		}
		out = append(out, line)
	}
	for _, part := range []struct{ name, word string }{{"publish", "publishes"}, {"set", "sets"}, {"notify", "tells"}} {
		if v, ok := effects[part.name]; ok {
			out = append(out, part.word+" "+rules.Spell(v))
		}
	}
	return out
}
