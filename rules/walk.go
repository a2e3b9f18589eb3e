package rules

import (
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/events"
)

// met is what a clause says of an event for whose type it is.
type met struct {
	clause   *Clause
	decision decision
}

// judgement is what [Set.walk] knows of one rule at one event.
type judgement struct {
	rule *Rule
	// outcome is Disabled, Looped, Stopped or Covered if that is all there is to
	// say; otherwise it is zero, and the clauses tell.
	outcome Outcome
	by      string // the rule that stopped it
	// clauses are those for the type of the event, in the order of the file, each
	// judged; of a Single and an Any those after the first that is met are left out.
	// The slice is used again for the next rule.
	clauses []met
}

// first returns the first clause that is met, nil if none is.
func (j *judgement) first() *Clause {
	for _, m := range j.clauses {
		if m.decision.truth == yes {
			return m.clause
		}
	}
	return nil
}

// against returns the decision to tell if no clause is met: a failure before an
// unknown before a no, and of several the first.
func (j *judgement) against() decision {
	var d decision
	for i, m := range j.clauses {
		if i == 0 || rank(m.decision.truth) > rank(d.truth) {
			d = m.decision
		}
	}
	return d
}

func rank(t truth) int {
	switch t {
	case failed:
		return 2
	case unknown:
		return 1
	default:
		return 0
	}
}

// walk goes through the rules that are for the event of ev, in the order they are
// judged in, and calls visit for those that are wanted; ev is then entered for the
// rule, so that visit may have its actions worked out. The rules that are not
// wanted are judged as far as a wanted one depends on them, by stop or otherwise,
// which look at conditions alone. The judgement is valid until visit returns.
//
// There is one walk of an evaluation at a time. The facts are nil where there are
// none ([Set.Match]): conditions that read them are then left alone, and what depends
// on these conditions is not wanted there.
func (s *Set) walk(ev *evaluation, facts map[string]any, wanted func(*Rule) bool, visit func(*judgement)) {
	e := ev.event.raw
	typ := e.Type()
	candidates := s.index.candidates(typ)
	last := len(candidates) - 1
	for last >= 0 && !wanted(s.judged[candidates[last]]) {
		last-- // what nobody wants after the last that somebody does
	}
	if last < 0 {
		return
	}
	// Otherwise rules are the last, so one that is wanted may be at the very end only.
	open := s.judged[candidates[last]].Otherwise // whether it matters if any rule is met
	w := &ev.walker
	*w = walker{ev: ev, typ: typ, facts: facts, looped: tooDeep(e), j: w.j}
	for _, i := range candidates[:last+1] {
		r := s.judged[i]
		want := wanted(r)
		if !want && !w.matters(r, open) {
			continue
		}
		w.judge(r)
		if want {
			visit(&w.j)
		}
	}
}

// walker is the state of one walk.
type walker struct {
	ev     *evaluation
	typ    string
	facts  map[string]any
	looped bool
	stop   string // the rule that ended the judging
	any    bool   // whether a rule was met that otherwise rules look at
	j      judgement
}

// matters tells whether another rule may depend on the condition of r.
func (w *walker) matters(r *Rule, open bool) bool {
	if !r.Enabled || r.Shadow || w.stop != "" || w.looped || r.readsFacts && w.facts == nil {
		return false
	}
	return r.Stop || open && !r.Otherwise && !w.any
}

func (w *walker) judge(r *Rule) {
	w.j = judgement{rule: r, clauses: w.j.clauses[:0]}
	switch {
	case !r.Enabled:
		w.j.outcome = Disabled
		return
	case w.looped:
		w.j.outcome = Looped
		return
	case w.stop != "":
		w.j.outcome, w.j.by = Stopped, w.stop
		return
	case r.Otherwise && w.any:
		w.j.outcome = Covered
		return
	}
	w.ev.enter(r, w.facts)
	w.clauses(r)
	c := w.j.first()
	if c == nil {
		return
	}
	w.ev.clause = c.Name
	if r.Shadow {
		return
	}
	w.any = w.any || !r.Otherwise
	if r.Stop {
		w.stop = r.Name
	}
}

func (w *walker) clauses(r *Rule) {
	one := r.Form == Single || r.Form == Any
	for _, c := range r.Clauses {
		if len(r.Clauses) > 1 && !c.covers(w.typ) {
			continue
		}
		d := w.ev.meets(c)
		w.j.clauses = append(w.j.clauses, met{clause: c, decision: d})
		if one && d.truth == yes {
			return
		}
	}
}

// covers tells whether the clause is for events of a type.
func (c *Clause) covers(typ string) bool {
	for _, on := range c.On {
		if overlap(on, typ) {
			return true
		}
	}
	return false
}

// overlap tells whether there may be an event that both are for, each a type or a
// prefix with ".*".
func overlap(a, b string) bool {
	pa, wideA := strings.CutSuffix(a, "*")
	pb, wideB := strings.CutSuffix(b, "*")
	switch {
	case wideA && wideB:
		return strings.HasPrefix(pa, pb) || strings.HasPrefix(pb, pa)
	case wideA:
		return len(pb) > len(pa) && strings.HasPrefix(pb, pa)
	case wideB:
		return len(pa) > len(pb) && strings.HasPrefix(pa, pb)
	default:
		return a == b
	}
}

// extDepth is the extension that says how many rules in a row caused an event.
const extDepth = "jetdepth"

// tooDeep tells whether too many rules in a row caused the event.
func tooDeep(e *events.Event) bool {
	text := events.Extension(*e, extDepth)
	if text == "" {
		return false
	}
	n, err := strconv.Atoi(text)
	return err == nil && n > MaxDepth
}
