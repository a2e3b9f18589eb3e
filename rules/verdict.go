package rules

import (
	"fmt"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Outcome is what became of a rule at an event.
type Outcome int

// The outcomes. The zero Outcome is none of them.
const (
	// Fired: the rule is for the event and its condition holds.
	Fired Outcome = iota + 1
	// NotFired: the condition is false.
	NotFired
	// Unknown: the condition cannot be decided, a field is not in the event.
	Unknown
	// Failed: a clause or a value of run could not be worked out.
	Failed
	// NotCandidate: the rule is not for events of this type.
	NotCandidate
	// Disabled: the rule is for events of this type, and switched off.
	Disabled
)

// String returns the outcome in lower case, words joined by "_".
func (o Outcome) String() string {
	switch o {
	case Fired:
		return "fired"
	case NotFired:
		return "not_fired"
	case Unknown:
		return "unknown"
	case Failed:
		return "failed"
	case NotCandidate:
		return "not_candidate"
	case Disabled:
		return "disabled"
	default:
		return fmt.Sprintf("outcome(%d)", int(o))
	}
}

// MarshalText returns [Outcome.String].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Verdict is what one rule said about one event.
type Verdict struct {
	Rule    *Rule
	Outcome Outcome
	// Action is what to run; set when Fired, and then the caller's own.
	Action *Action
	// Clause is the part of the condition that decided; set when NotFired or
	// Unknown, and when Failed in the condition.
	Clause *Clause
	// Err says why, when Failed; it carries the place in the rule file.
	Err error
}

// Clause is the part of a condition that decided against the rule.
type Clause struct {
	// Text is its source text.
	Text string
	Pos  strictyaml.Pos
	// Values are the fields of the event it looked at, in the order it did, at
	// most 16 of them.
	Values []Value
	// Missing is the path that is not in the event, when Unknown.
	Missing string
}

// Value is one field of an event as a clause saw it. Values belong to the event
// and must not be changed.
type Value struct {
	// Path is the field's path, such as event.data.release.tag_name.
	Path  string
	Value any
	// Missing is true if the event has no such field.
	Missing bool
}

// Match judges the rules that are for the type of e and returns their verdicts
// in the order of [Set.Rules]. Its cost grows with their number, not with the
// size of the set.
func (s *Set) Match(e events.Event) []Verdict {
	candidates := s.index.candidates(e.Type())
	if len(candidates) == 0 {
		return nil
	}
	ev := newEvaluation(e)
	out := make([]Verdict, 0, len(candidates))
	for _, i := range candidates {
		out = append(out, ev.judge(s.rules[i]))
	}
	return out
}

// Explain returns the verdict of every rule about e, in the order of
// [Set.Rules]: those of [Set.Match], and NotCandidate for the others.
func (s *Set) Explain(e events.Event) []Verdict {
	candidates := s.index.candidates(e.Type())
	ev := newEvaluation(e)
	out := make([]Verdict, 0, len(s.rules))
	for i, r := range s.rules {
		if len(candidates) == 0 || candidates[0] != i {
			out = append(out, Verdict{Rule: r, Outcome: NotCandidate})
			continue
		}
		candidates = candidates[1:]
		out = append(out, ev.judge(r))
	}
	return out
}

// Judge returns the verdict of the rule with this name about e; ok is false if
// there is no such rule, or it is not for the type of e.
func (s *Set) Judge(e events.Event, name string) (v Verdict, ok bool) {
	for _, i := range s.index.candidates(e.Type()) {
		if r := s.rules[i]; r.Name == name {
			return newEvaluation(e).judge(r), true
		}
	}
	return Verdict{}, false
}

// Rule returns the rule with this name, nil if there is none.
func (s *Set) Rule(name string) *Rule {
	for _, r := range s.rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (ev *evaluation) judge(r *Rule) Verdict {
	v := Verdict{Rule: r, Outcome: Fired}
	if !r.Enabled {
		v.Outcome = Disabled
		return v
	}
	if r.cond != nil {
		d := r.cond.eval(ev)
		if d.truth != yes {
			v.Outcome, v.Clause, v.Err = ev.explain(d)
			return v
		}
	}
	a, err := r.Run.action(ev)
	if err != nil {
		v.Outcome, v.Err = Failed, err
		return v
	}
	v.Action = a
	return v
}
