package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
)

// certain is how long a dispatcher relies on a pause that the bus has confirmed.
// It must be well below closing: who relies on a pause that is over must have done
// so before the resume has ended.
const certain = 10 * time.Second

// pauses is what a dispatcher knows of paused rules. The zero value knows none.
type pauses struct {
	mu        sync.Mutex
	rules     map[string]control.Pause
	confirmed map[string]time.Time
}

// follow keeps up with the bus until ctx ends, and closes known when it knows
// everything.
func (p *pauses) follow(ctx context.Context, b *bus.Bus, known chan<- struct{}) error {
	first := true
	for all, err := range control.Follow(ctx, b) {
		if err != nil {
			return err
		}
		p.set(all)
		if first {
			close(known)
			first = false
		}
	}
	return nil
}

func (p *pauses) set(all []control.Pause) {
	rules := make(map[string]control.Pause)
	for _, x := range all {
		if x.Kind == control.Rule {
			rules[x.Name] = x
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = rules
	for name := range p.confirmed {
		if !rules[name].Skips() {
			delete(p.confirmed, name)
		}
	}
}

// add notes a pause before it comes back from the bus.
func (p *pauses) add(x control.Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rules == nil {
		p.rules = make(map[string]control.Pause)
	}
	p.rules[x.Name] = x
}

// skip reports whether events are left for the resume of a rule.
func (p *pauses) skip(rule string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules[rule].Skips()
}

// confirm makes sure that a rule for which an event was left is still paused, or
// was a moment ago: the event is about to be acknowledged, and only a resume that
// is to come will find it.
func (p *pauses) confirm(ctx context.Context, b *bus.Bus, rule string, now func() time.Time) error {
	asked := now()
	p.mu.Lock()
	last, ok := p.confirmed[rule]
	p.mu.Unlock()
	if ok && asked.Sub(last) < certain {
		return nil
	}
	x, err := control.Get(ctx, b, control.Rule, rule)
	switch {
	case errors.Is(err, control.ErrNotPaused), err == nil && !x.Skips():
		return fmt.Errorf("rule %s was resumed meanwhile", rule)
	case err != nil:
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.confirmed == nil {
		p.confirmed = make(map[string]time.Time)
	}
	p.confirmed[rule] = asked
	return nil
}
