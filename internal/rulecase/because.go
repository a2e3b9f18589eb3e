package rulecase

import (
	"fmt"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/rules"
)

// phrase says an outcome as what a rule did.
func phrase(o rules.Outcome) string {
	switch o {
	case rules.Fired:
		return "fired"
	case rules.Failed:
		return "failed"
	case rules.Waiting:
		return "is waiting"
	case rules.Expired:
		return "let a window expire"
	case rules.WindowMissed:
		return "missed a window"
	default:
		return "is " + o.String()
	}
}

// infinitive is phrase after "to".
func infinitive(o rules.Outcome) string {
	switch o {
	case rules.Fired:
		return "fire, and did not"
	case rules.Failed:
		return "fail, and did not"
	case rules.Waiting:
		return "be waiting, and is not"
	case rules.Expired:
		return "let a window expire, and did not"
	case rules.WindowMissed:
		return "miss a window, and did not"
	default:
		return "be " + o.String() + ", and is not"
	}
}

// because says what a decision follows from, a line each: first the outcome, then
// what the deciding clause saw.
func because(d rules.Decision) []string {
	out := []string{sentence(d)}
	if r := d.Reason; r != nil {
		clause := r.Text
		if r.Clause != "" {
			clause = r.Clause + ": " + clause
		}
		out = append(out, r.Pos.String()+": "+clause)
		for _, v := range r.Values {
			if v.Missing {
				out = append(out, "  "+v.Path+" is not there")
			} else {
				out = append(out, "  "+v.Path+" = "+simulate.Plain(v.Value))
			}
		}
	}
	return out
}

func sentence(d rules.Decision) string {
	switch d.Outcome {
	case rules.NotFired:
		if d.Reason == nil && d.Window != nil {
			return "its window" + ofKey(d.Key) + " was closed by what it waited for"
		}
		return "its condition is false"
	case rules.Unknown:
		if d.Reason != nil {
			return "its condition is unknown: " + d.Reason.Missing + " is not there"
		}
		return "its condition is unknown"
	case rules.Failed:
		if d.Err != nil {
			return "it failed: " + d.Err.Error()
		}
		return "it failed"
	case rules.NotCandidate:
		return "it is for " + strings.Join(d.Rule.On, ", ")
	case rules.Disabled:
		return "it is disabled"
	case rules.Stopped:
		return "rule " + d.By + " stopped the judging of the event"
	case rules.Covered:
		return "it is for events that met no other rule, and another one was met"
	case rules.Shadowed:
		return "it would have fired, and is a shadow"
	case rules.Waiting:
		return "it is waiting" + waits(d)
	case rules.Suppressed:
		return "its throttle" + ofKey(d.Key) + " kept it from firing" + until(d.Window)
	case rules.Expired:
		return "its window" + ofKey(d.Key) + " ended without what it waited for" + missing(d.Window)
	case rules.WindowMissed:
		return "its window" + ofKey(d.Key) + " ended while nothing ran, and the rule has missed: report"
	case rules.Full:
		return fmt.Sprintf("it has as many windows open as it may (max_windows: %d)", d.Rule.MaxWindows)
	case rules.Looped:
		return fmt.Sprintf("more than %d rules in a row caused the event", rules.MaxDepth)
	default:
		return "it " + phrase(d.Outcome)
	}
}

func ofKey(key string) string {
	if key == "" {
		return ""
	}
	return fmt.Sprintf(" of key %q", key)
}

func until(w *rules.WindowInfo) string {
	if w == nil || w.Ends.IsZero() {
		return ""
	}
	return " until " + stamp(w.Ends)
}

func missing(w *rules.WindowInfo) string {
	if w == nil || len(w.Missing) == 0 {
		return ""
	}
	return ": " + strings.Join(w.Missing, ", ")
}

// waits says what for.
func waits(d rules.Decision) string {
	w := d.Window
	if w == nil {
		return ""
	}
	s := fmt.Sprintf("; its window%s has %d event", ofKey(d.Key), w.Count)
	if w.Count != 1 {
		s += "s"
	}
	if len(w.Missing) > 0 {
		s += " and lacks " + strings.Join(w.Missing, ", ")
	}
	return s + until(w)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
