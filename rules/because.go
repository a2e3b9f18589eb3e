package rules

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Because says in words what a decision follows from, a line each: first the
// outcome, then what the deciding clause saw. Values of events are in it as JSON,
// cut to 200 characters each.
func (d Decision) Because() []string {
	out := []string{d.sentence()}
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
				out = append(out, "  "+v.Path+" = "+Spell(v.Value))
			}
		}
	}
	return out
}

func (d Decision) sentence() string {
	switch d.Outcome {
	case NotFired:
		if d.Reason == nil && d.Window != nil {
			return "its window" + ofKey(d.Key) + " was closed by what it waited for"
		}
		return "its condition is false"
	case Unknown:
		if d.Reason != nil {
			return "its condition is unknown: " + d.Reason.Missing + " is not there"
		}
		return "its condition is unknown"
	case Failed:
		if d.Err != nil {
			return "it failed: " + d.Err.Error()
		}
		return "it failed"
	case NotCandidate:
		return "it is for " + strings.Join(d.Rule.On, ", ")
	case Disabled:
		return "it is disabled"
	case Stopped:
		return "rule " + d.By + " stopped the judging of the event"
	case Covered:
		return "it is for events that met no other rule, and another one was met"
	case Shadowed:
		return "it would have fired, and is a shadow"
	case Waiting:
		return "it is waiting" + waits(d)
	case Suppressed:
		return "its throttle" + ofKey(d.Key) + " kept it from firing" + until(d.Window)
	case Expired:
		if d.Window != nil && d.At.Before(d.Window.Ends) {
			return "its window" + ofKey(d.Key) + " was closed, as a rule set came into force in which the rule is another one, or none"
		}
		return "its window" + ofKey(d.Key) + " ended without what it waited for" + missing(d.Window)
	case WindowMissed:
		return "its window" + ofKey(d.Key) + " ended while nothing ran, and the rule has missed: report"
	case Full:
		return fmt.Sprintf("it has as many windows open as it may (max_windows: %d)", d.Rule.MaxWindows)
	case Looped:
		return fmt.Sprintf("more than %d rules in a row caused the event", MaxDepth)
	default:
		return "it " + d.Outcome.String()
	}
}

func ofKey(key string) string {
	if key == "" {
		return ""
	}
	return fmt.Sprintf(" of key %q", key)
}

func until(w *WindowInfo) string {
	if w == nil || w.Ends.IsZero() {
		return ""
	}
	return " until " + w.Ends.UTC().Format(time.RFC3339)
}

func missing(w *WindowInfo) string {
	if w == nil || len(w.Missing) == 0 {
		return ""
	}
	return ": " + strings.Join(w.Missing, ", ")
}

// waits says what for.
func waits(d Decision) string {
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

// Spell writes a value as JSON, cut to what is fit for a line: 200 characters.
func Spell(v any) string {
	const most = 200
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	text := []rune(string(data))
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}
