package rules

import (
	"fmt"
	"time"

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
	// Stopped: a rule judged before ended the judging of the event.
	Stopped
	// Covered: an otherwise rule was not needed, another rule met the event.
	Covered
	// Shadowed: the rule would have fired, and is a shadow.
	Shadowed
	// Waiting: the event met a clause and a window waits for more, or began a
	// window whose end decides.
	Waiting
	// Suppressed: the rule matched, and its throttle kept it from firing.
	Suppressed
	// Expired: a window ended without what it waited for.
	Expired
	// WindowMissed: a window ended while nothing ran, and the rule only wants to be told.
	WindowMissed
	// Full: the rule has as many windows open as it may, and the event needed one more;
	// or these keep as many bytes of events as they may, and it needed more.
	Full
	// Looped: the event was caused by too many rules in a row; see [MaxDepth].
	Looped
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
	case Stopped:
		return "stopped"
	case Covered:
		return "covered"
	case Shadowed:
		return "shadowed"
	case Waiting:
		return "waiting"
	case Suppressed:
		return "suppressed"
	case Expired:
		return "expired"
	case WindowMissed:
		return "missed"
	case Full:
		return "full"
	case Looped:
		return "looped"
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
	// Action is what to run, nil if the rule runs nothing; Publish, Set and Notify
	// are what else to do. They are set when Fired or Shadowed, and then the
	// caller's own.
	Action  *Action
	Publish []Publication
	Set     []Fact
	Notify  []Notification
	// Reason is the part of a condition that decided; set when NotFired or
	// Unknown, and when Failed in a condition. Of several clauses it is that of one.
	Reason *Reason
	// By names the rule that Stopped this one.
	By string
	// Err says why, when Failed; it carries the place in the rule file.
	Err error
}

// Reason is the part of a condition that decided against the rule.
type Reason struct {
	// Clause is the name of the clause it is of, empty for the only one.
	Clause string
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

// Match judges the rules that are for the type of e, but for those that are
// [Rule.Ordered], and returns their verdicts in the order they are judged in: by
// priority, then as in [Set.Rules], and what is left over for those with otherwise.
// Time is when the event was stored. Its cost grows with the number of these rules,
// not with the size of the set.
func (s *Set) Match(e events.Event, at time.Time) []Verdict {
	return s.match(e, at, unordered)
}

func unordered(r *Rule) bool { return !r.ordered }

func (s *Set) match(e events.Event, at time.Time, wanted func(*Rule) bool) []Verdict {
	candidates := s.index.candidates(e.Type())
	if len(candidates) == 0 {
		return nil
	}
	ev, ok := s.idle.Get().(*evaluation)
	if ok {
		ev.again(e, at)
	} else {
		ev = newEvaluation(e, at)
	}
	defer s.idle.Put(ev)
	out := make([]Verdict, 0, len(candidates))
	s.walk(ev, nil, wanted, func(j *judgement) {
		out = append(out, ev.verdict(j))
	})
	return out
}

// verdict is what becomes of a rule that one event decides.
func (ev *evaluation) verdict(j *judgement) Verdict {
	v := Verdict{Rule: j.rule, Outcome: j.outcome, By: j.by}
	switch {
	case j.outcome != 0:
	case j.first() == nil:
		v.Outcome, v.Reason, v.Err = ev.explain(j.against())
	default:
		ev.act(&v, nil)
	}
	return v
}

// Explain returns the verdict of every rule about e that is not [Rule.Ordered], in
// the order of [Set.Rules]: those of [Set.Match], and NotCandidate for the others.
// [State.Explain] does the same for the ordered ones.
func (s *Set) Explain(e events.Event, at time.Time) []Verdict {
	found := map[*Rule]Verdict{}
	for _, v := range s.Match(e, at) {
		found[v.Rule] = v
	}
	out := make([]Verdict, 0, len(s.rules))
	for _, r := range s.rules {
		v, ok := found[r]
		switch {
		case r.ordered:
			continue
		case !ok:
			v = Verdict{Rule: r, Outcome: NotCandidate}
		}
		out = append(out, v)
	}
	return out
}

// Judge returns the verdict of the rule with this name about e; ok is false if
// there is no such rule, it is not for the type of e, or it is [Rule.Ordered].
func (s *Set) Judge(e events.Event, at time.Time, name string) (v Verdict, ok bool) {
	found := s.match(e, at, func(r *Rule) bool { return !r.ordered && r.Name == name })
	if len(found) == 0 {
		return Verdict{}, false
	}
	return found[0], true
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
