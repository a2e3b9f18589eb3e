package ordered

import (
	"context"
	"errors"
	"fmt"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// Announce puts our content in force from now on, unless it is: the event that says
// so is stored when it returns, and all events after it are judged with that content
// sooner or later. Where several jet-bus share a bus it is not to be called: whoever
// runs the evaluator announces its own when it has caught up. A bus on which no rule
// ever was ordered is told nothing.
func (ev *Evaluator) Announce(ctx context.Context) error {
	own := ev.content()
	last, seq, err := ev.lastActivation(ctx)
	switch {
	case err != nil:
		return err
	case seq > 0 && last.is(own):
		return nil
	case seq == 0:
		if !hasOrdered(own) {
			return nil // what is in force, if anything, the fold finds out
		}
		all, err := ev.bus.Objects(ctx, bus.ObjectsStates)
		if err != nil || len(all) > 0 {
			return err
		}
	}
	_, err = ev.announce(ctx, own, seq, seq == 0)
	return err
}

// activation is what an activation says.
type activation events.RulesActivated

func (a activation) is(c Content) bool {
	return c.Set != nil && a.Bundle == c.Bundle && a.RuleSet == c.Set.Digest()
}

// lastActivation returns the last one that is stored, and its sequence; 0 if there
// is none.
func (ev *Evaluator) lastActivation(ctx context.Context) (a activation, seq uint64, err error) {
	m, err := ev.bus.Last(ctx, bus.StreamEvents, activations)
	if errors.Is(err, bus.ErrNotFound) {
		return a, 0, nil
	}
	if err != nil {
		return a, 0, fmt.Errorf("see which rule set is in force: %w", err)
	}
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err == nil {
		err = e.DataAs(&a)
	}
	if err != nil {
		return activation{}, m.Seq, nil //nolint:nilerr // as good as another set
	}
	return a, m.Seq, nil
}

// announce publishes that a content comes into force, after the activation at last.
// Two that do so at the same time publish the same event.
func (ev *Evaluator) announce(ctx context.Context, own Content, last uint64, first bool) (seq uint64, err error) {
	a := events.RulesActivated{RuleSet: own.Set.Digest(), Bundle: own.Bundle, By: ev.Name, First: first}
	return ev.publish(ctx, events.TypeRulesActivated, "/rules", hashed("activation", a.RuleSet, a.Bundle, fmt.Sprint(last)), a)
}

// announce has our content put in force, if that is not on its way: by an event,
// which the fold meets like all others do.
func (f *fold) announce(ctx context.Context, own Content) error {
	last, seq, err := f.ev.lastActivation(ctx)
	if err != nil {
		return err
	}
	if seq <= f.pos || !last.is(own) {
		if seq, err = f.ev.announce(ctx, own, seq, f.state == nil); err != nil {
			return err
		}
	}
	f.activation = seq
	return nil
}
