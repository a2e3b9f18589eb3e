package rules

import (
	"errors"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// turn is one event or tick, and what is decided at it.
type turn struct {
	st  *State
	ev  *evaluation
	seq uint64
	// when is the instant that is decided about: that of the event, or the end of a
	// window, whenever that was noticed.
	when    int64
	pending map[string]pendingFact
	// explain asks for a decision about every rule, and for all about its window.
	explain bool
	out     []Decision
}

// advance lets the time come to at, and decides what ended by then. What is set at
// one instant is seen from the next one on.
func (st *State) advance(seq uint64, at time.Time) *turn {
	st.now = max(st.now, min(at.UnixNano(), latest))
	t := &turn{st: st, seq: seq}
	for {
		w := st.next(st.now)
		if w == nil {
			break
		}
		if w.silent() {
			st.pass(w)
			continue
		}
		if t.ev == nil {
			t.ev, t.when = newTimerEvaluation(moment(st.now)), w.ends
		}
		if w.ends != t.when {
			t.settle()
			t.when = w.ends
		}
		t.out = append(t.out, t.end(w))
	}
	t.settle()
	t.when = st.now
	return t
}

// judge decides about an event.
func (t *turn) judge(e *events.Event) {
	if t.ev = t.st.idle; t.ev == nil {
		t.ev = newEvaluation(*e, moment(t.when))
		t.st.idle = t.ev
	} else {
		t.ev.again(*e, moment(t.when))
	}
	t.st.set.walk(t.ev, t.st.facts, (*Rule).Ordered, func(j *judgement) {
		if d, ok := t.consider(j); ok || t.explain {
			t.out = append(t.out, d)
		}
	})
	t.settle()
}

func (t *turn) decision(r *Rule) Decision {
	return Decision{Verdict: Verdict{Rule: r}, Seq: t.seq, At: moment(t.st.now)}
}

// consider decides about one rule; ok is false if it did not match.
func (t *turn) consider(j *judgement) (d Decision, ok bool) {
	r := j.rule
	d = t.decision(r)
	if j.outcome != 0 {
		d.Outcome, d.By = j.outcome, j.by
		return d, d.Outcome == Looped
	}
	c := j.first()
	if c == nil {
		against := j.against()
		if against.truth == failed || t.explain {
			d.Outcome, d.Reason, d.Err = t.ev.explain(against)
		}
		return d, d.Outcome == Failed
	}
	m := t.st.rules[r]
	switch r.Form {
	case All, Incomplete:
		t.join(m, j, &d)
	case Absent:
		return d, t.absence(m, j, &d)
	default:
		t.single(m, c, &d)
	}
	return d, true
}

// single decides about a rule that one event matches.
func (t *turn) single(m *memory, c *Clause, d *Decision) {
	if m.rule.Throttle == nil {
		t.fire(d, nil)
		return
	}
	at := moment(t.when)
	t.matched(m, d, &firing{clause: c.Name, count: 1, began: at, ends: at}, nil)
}

// fire has the rule's actions worked out, and its facts set.
func (t *turn) fire(d *Decision, f *firing) {
	t.ev.act(&d.Verdict, f)
	if d.Outcome != Fired || len(d.Set) == 0 {
		return
	}
	if err := t.set(d.Rule, d.Set); err != nil {
		d.Action, d.Publish, d.Set, d.Notify = nil, nil, nil, nil
		d.Outcome, d.Err = Failed, err
	}
}

// key works out what windows, or throttles, are told apart by. If it cannot, ok is
// false and the decision made.
func (t *turn) key(p *program, clause, source string, d *Decision) (key string, ok bool) {
	key, err := t.ev.key(p)
	if err == nil { // always, without a program
		return key, true
	}
	d.Reason = &Reason{Clause: clause, Text: source, Pos: p.pos}
	if m, is := errors.AsType[*missingError](err); is {
		d.Outcome = Unknown
		d.Reason.Missing = m.path
		d.Reason.Values = []Value{{Path: m.path, Missing: true}}
		return "", false
	}
	d.Outcome, d.Err = Failed, err
	return "", false
}

// member returns the event as a window keeps it for a clause. If it cannot be kept,
// ok is false and the decision made.
func (t *turn) member(r *Rule, clause int, paths []string, d *Decision) (m member, ok bool) {
	e := t.ev.event
	data, err := e.keep(paths) // which names it
	if err != nil {
		d.Outcome, d.Err = Failed, r.Clauses[clause].Pos.Wrap(err)
		return member{}, false
	}
	return member{
		data:   string(data),
		hash:   hashOf(e.Source, e.ID),
		seq:    t.seq,
		at:     t.when,
		clause: uint8(clause), //nolint:gosec // at most 16 clauses
	}, true
}

// wait says that a window stays open.
func (t *turn) wait(w *window, d *Decision) {
	d.Outcome, d.Key, d.Window = Waiting, w.key, w.info(!t.explain)
}

// fullUp says that there was no room for another window.
func (t *turn) fullUp(key string, d *Decision) { d.Outcome, d.Key = Full, key }

// end decides about a window whose time is over, and closes it.
func (t *turn) end(w *window) Decision {
	st, m := t.st, w.owner
	r := m.rule
	t.ev.enter(r, st.facts)
	st.close(w)
	d := t.decision(r)
	d.ID, d.Key, d.Window = w.id(), w.key, w.info(false)
	switch {
	case r.Missed == MissedReport && st.now-w.ends > int64(lateness):
		d.Outcome = WindowMissed
		if r.Form == Absent && !w.throttle {
			w.began, w.ends = st.now, st.now+int64(r.Window.Within)
			st.open(w)
		}
	case w.throttle:
		t.release(w, &d)
	case r.Form == All:
		d.Outcome = Expired
	default:
		f, err := w.firing(nil)
		if err != nil {
			d.Outcome, d.Err = Failed, r.Pos.Wrap(err)
			break
		}
		t.matched(m, &d, f, w)
	}
	return d
}

// firing is what a window came to; the newest of its events is live, if that is given.
func (w *window) firing(live *view) (*firing, error) {
	r := w.owner.rule
	f := &firing{
		events: make(map[string]*view, len(w.members)), key: w.key, missing: w.missing(),
		count: int(w.count), began: moment(w.began), ends: moment(w.ends),
	}
	for i, m := range w.members {
		v, err := live, error(nil)
		if i < len(w.members)-1 || live == nil {
			v, err = m.view()
		}
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		name := r.Clauses[m.clause].Name
		if r.Form == Absent && name == "" {
			name = "last"
		}
		f.events[name] = v
		if r.Form == All {
			f.event, f.clause = v, name
		}
	}
	return f, nil
}
