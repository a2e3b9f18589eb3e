package dispatch

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// InForce returns the activations that may have judged the event of a sequence,
// the newest last; all are those of [Activations]. It is one, unless several
// jet-bus share the bus and had different content then: which of them took an
// event is only written down where it made a job.
func InForce(all []Activation, seq uint64) []Activation {
	var now []Activation
	for i, a := range all {
		if a.Since > seq && i > 0 { // the first judged what was there before it
			continue
		}
		// One without a name was alone on its bus, before or after the others.
		now = slices.DeleteFunc(now, func(o Activation) bool { return o.By == a.By || o.By == "" || a.By == "" })
		if a.RuleSet != "" {
			now = append(now, a)
		}
	}
	if len(now) == 0 { // all had stopped
		for _, a := range all {
			if a.RuleSet != "" {
				now = []Activation{a}
			}
		}
	}
	// Of the same content, the last will do.
	var sets []Activation
	for _, a := range slices.Backward(now) {
		if !slices.ContainsFunc(sets, func(o Activation) bool { return o.RuleSet == a.RuleSet && o.Bundle == a.Bundle }) {
			sets = append(sets, a)
		}
	}
	slices.Reverse(sets)
	return sets
}

// last returns the newest activation by one dispatcher, and the newest of the
// others; zero if there is none.
func last(all []Activation, by string) (own, other Activation) {
	for _, a := range all {
		if a.By == by {
			own = a
		} else if a.RuleSet != "" {
			other = a
		}
	}
	return own, other
}

// retire records that this dispatcher judges no more, so that its set is not
// taken for one in force.
func (d *Dispatcher) retire(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(ctx, Activation{Since: d.judged + 1, By: d.Name}); err != nil {
		d.log.Warn("the end of a rule set is not recorded", slog.Any("err", err))
	}
}
