package rulegraph

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/rules"
)

// does says what a firing does.
func does(r *rules.Rule) []string {
	var out []string
	if run := r.Run; run != nil {
		line := "runs " + run.Playbook
		if run.Check {
			line = "checks, without changing anything, what this would do: " + run.Playbook
		}
		if limit := run.LimitText(); limit != "" {
			line += " on " + oneLine(limit)
		} else {
			line += " on the hosts that it names"
		}
		out = append(out, line+" (inventory: "+run.Inventory+")")
		if vars := run.VarsText(); vars != "" {
			out = append(out, "  with the variables "+oneLine(vars))
		}
	}
	for _, p := range r.Publish {
		line := "publishes an event of type " + p.Type
		if s := p.SubjectText(); s != "" {
			line += ", about " + oneLine(s)
		}
		out = append(out, line)
		if data := p.DataText(); data != "" {
			out = append(out, "  with the data "+oneLine(data))
		}
	}
	for _, s := range r.Set {
		if s.ValueText() == "null" {
			out = append(out, "takes away the fact "+oneLine(s.KeyText()))
		} else {
			out = append(out, "sets the fact "+oneLine(s.KeyText())+" to "+oneLine(s.ValueText()))
		}
	}
	for _, n := range r.Notify {
		line := "tells " + n.To
		if s := n.SubjectText(); s != "" {
			line += ", with the subject " + oneLine(s)
		}
		out = append(out, line+": "+oneLine(n.BodyText()))
	}
	if r.Shadow {
		out = append(out, "but it is a shadow: it does none of that, and only says that it would have")
	}
	if r.Stop && !r.Shadow {
		out = append(out, "rules judged after it do not see an event that it matched")
	}
	return out
}

// bounds says what bounds a rule.
func bounds(r *rules.Rule) []string {
	var out []string
	if t := r.Throttle; t != nil {
		out = append(out, throttle(t)...)
	}
	if b := r.Breaker; b != nil {
		out = append(out, "is paused by itself above "+b.String())
	}
	if remembers(r) {
		out = append(out, fmt.Sprintf("at most %d windows open at a time (max_windows)", r.MaxWindows))
	}
	if ends(r) {
		if r.Missed == rules.MissedReport {
			out = append(out, "a window that ended while no jet-bus ran is only reported (missed: report)")
		} else {
			out = append(out, "what the end of a window does is done late if no jet-bus ran then (missed: fire)")
		}
	}
	if run := r.Run; run != nil {
		out = append(out, "a job may take "+span(run.Timeout)+"; "+loss(run.OnRunnerLoss))
		for _, term := range r.Terms() {
			if r.Breaker == nil || !strings.HasPrefix(term, "paused above") {
				out = append(out, "jobs: "+term)
			}
		}
		if len(run.Needs) > 0 {
			var needs []string
			for k, v := range run.Needs {
				needs = append(needs, k+"="+v)
			}
			slices.Sort(needs)
			out = append(out, "jobs: only on runners with "+strings.Join(needs, ", "))
		}
	}
	return out
}

func loss(p rules.LossPolicy) string {
	if p == rules.LossFail {
		return "one whose runner is lost fails"
	}
	return "one whose runner is lost is run again"
}

func throttle(t *rules.Throttle) []string {
	each := ""
	if t.Key != "" {
		each = ", for each " + oneLine(t.Key) + " by itself"
	}
	var out []string
	switch t.Take {
	case rules.TakeLast:
		out = append(out, fmt.Sprintf("fires once, %s after the first match, for all matches until then%s", span(t.Every), each))
		if t.Unique != "" {
			out = append(out, "  of matches with the same "+oneLine(t.Unique)+", the last counts")
		}
	case rules.TakeCount:
		out = append(out, fmt.Sprintf("fires once %d matches came within %s%s; then it counts anew", t.Count, span(t.Every), each))
		if t.Unique != "" {
			out = append(out, "  matches with the same "+oneLine(t.Unique)+" count as one")
		}
	default:
		out = append(out, fmt.Sprintf("fires for the first match, then not again for %s%s", span(t.Every), each))
	}
	return out
}

// remembers reports whether the rule has windows, of its own or of its throttle.
func remembers(r *rules.Rule) bool { return r.Window != nil || r.Throttle != nil }

// ends reports whether the end of a window may fire the rule.
func ends(r *rules.Rule) bool {
	return r.Form == rules.Absent || r.Form == rules.Incomplete || r.Throttle != nil && r.Throttle.Take == rules.TakeLast
}

// ofTypes lists event types for people.
func ofTypes(on []string) string {
	names := make([]string, 0, len(on))
	for _, t := range on {
		if below, ok := strings.CutSuffix(t, ".*"); ok {
			names = append(names, "of any type below "+below)
		} else {
			names = append(names, "of type "+t)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// oneLine brings a text of several lines into one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// span writes a time span as rule files do: 30m and not 30m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
