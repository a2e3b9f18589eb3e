package rules

import (
	"fmt"
	"time"
)

// firing is what the actions of a rule are worked out for, beside the event.
type firing struct {
	// event is the match that the actions see as event; nil for the one that is
	// judged, or without one for the last of matches.
	event *view
	// events are what the expressions find below events: by clause, and for an
	// Absent "last" and "after".
	events      map[string]*view
	key, clause string
	missing     []string
	count       int
	began, ends time.Time
	matches     []*view
}

// newTimerEvaluation is for what a timer decides: there is no event.
func newTimerEvaluation(at time.Time) *evaluation {
	ev := &evaluation{env: environment{Now: at.UTC(), Run: new(run)}}
	ev.vm.MemoryBudget = maxMemory
	return ev
}

// enter makes ev ready for another rule: its expressions see its variables, the
// facts, the event, and nothing of a firing.
func (ev *evaluation) enter(r *Rule, facts map[string]any) {
	now, run := ev.env.Now, ev.env.Run
	ev.clause = ""
	ev.env = environment{Event: ev.event, Facts: facts, Vars: r.vars, Now: now, Run: run}
}

// bind lets expressions see what is fired for, until another rule is entered. With
// nil that is the event alone, as if it were the only one in a window.
func (ev *evaluation) bind(f *firing) {
	env := &ev.env
	if f == nil {
		env.Events, env.Key, env.Clause, env.Missing, env.Matches = nil, "", ev.clause, nil, nil
		ev.window = span{Count: 1, Began: env.Now, Ends: env.Now}
		env.Window = &ev.window
		return
	}
	env.Events, env.Key, env.Clause, env.Missing = f.events, f.key, f.clause, f.missing
	env.Matches = f.matches
	ev.window = span{Count: f.count, Began: f.began.UTC(), Ends: f.ends.UTC()}
	env.Window = &ev.window
	switch {
	case f.event != nil:
		env.Event = f.event
	case ev.event == nil && len(f.matches) > 0:
		env.Event = f.matches[len(f.matches)-1]
	default:
		env.Event = ev.event
	}
}

// meets tells whether the event meets a clause for whose types it is.
func (ev *evaluation) meets(c *Clause) decision {
	if c.cond == nil {
		return decision{truth: yes, clause: c.Name}
	}
	d := c.cond.eval(ev)
	d.clause = c.Name
	return d
}

// where tells whether the condition over the events in a window holds, yes if there
// is none. It binds the firing. To have it explained, ev must still be bound.
func (ev *evaluation) where(r *Rule, f *firing) decision {
	if r.Window == nil || r.Window.where == nil {
		return decision{truth: yes}
	}
	ev.bind(f)
	d := r.Window.where.eval(ev)
	d.part = "where"
	return d
}

// act works out what a rule does, for the event alone if f is nil, and completes
// its verdict: Fired, Shadowed or Failed. It binds the firing.
func (ev *evaluation) act(v *Verdict, f *firing) {
	ev.bind(f)
	if err := ev.actions(v); err != nil {
		v.Action, v.Publish, v.Set, v.Notify = nil, nil, nil, nil
		v.Outcome, v.Err = Failed, err
		return
	}
	v.Outcome = Fired
	if v.Rule.Shadow {
		v.Outcome = Shadowed
	}
}

func (ev *evaluation) actions(v *Verdict) error {
	r := v.Rule
	var err error
	if r.Run != nil {
		if v.Action, err = r.Run.action(ev); err != nil {
			return err
		}
	}
	for _, p := range r.Publish {
		x, err := p.publication(ev)
		if err != nil {
			return err
		}
		v.Publish = append(v.Publish, x)
	}
	if v.Set, err = facts(ev, r.Set); err != nil {
		return err
	}
	for _, n := range r.Notify {
		x, err := n.notification(ev)
		if err != nil {
			return err
		}
		v.Notify = append(v.Notify, x)
	}
	return nil
}

// maxWindowKey bounds what windows and throttles are told apart by, in bytes.
const maxWindowKey = 512

// key works out what windows or throttles are told apart by, "" if p is nil. Where
// the event does not have it, the error is a [missingError].
func (ev *evaluation) key(p *program) (string, error) {
	if p == nil {
		return "", nil
	}
	v, err := ev.run(p)
	if err != nil {
		return "", p.pos.Errorf("%s: %w", p.what, err)
	}
	if v, err = plainValue(v); err != nil {
		return "", p.pos.Errorf("%s: %w", p.what, err)
	}
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case bool, int64, uint64, float64:
		s = fmt.Sprint(v)
	default:
		return "", p.pos.Errorf("%s: the key is %s, not text", p.what, kindOf(v))
	}
	if len(s) > maxWindowKey {
		return "", p.pos.Errorf("%s: the key is longer than %d bytes", p.what, maxWindowKey)
	}
	return s, nil
}
