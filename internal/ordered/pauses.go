package ordered

import (
	"context"
	"sync"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
)

// pauses is which rules are paused, or being resumed, as far as is known here.
type pauses struct {
	mu      sync.Mutex
	rules   map[string]control.Pause
	changed chan struct{}
}

// follow keeps up with the bus until ctx ends, and closes known when it knows
// everything.
func (p *pauses) follow(ctx context.Context, b *bus.Bus, known chan<- struct{}) error {
	first := true
	for all, err := range control.Follow(ctx, b) {
		if err != nil {
			return err
		}
		rules := make(map[string]control.Pause)
		for _, x := range all {
			if x.Kind == control.Rule {
				rules[x.Name] = x
			}
		}
		p.mu.Lock()
		p.rules = rules
		p.mu.Unlock()
		wake(p.changed)
		if first {
			close(known)
			first = false
		}
	}
	return nil
}

// get returns the record of a rule, and whether there is one.
func (p *pauses) get(rule string) (control.Pause, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, ok := p.rules[rule]
	return x, ok
}

// put notes a pause before it comes back from the bus, drop the end of one.
func (p *pauses) put(x control.Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rules == nil {
		p.rules = make(map[string]control.Pause)
	}
	p.rules[x.Name] = x
}

func (p *pauses) drop(rule string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rules, rule)
}

// resuming returns the records of rules that are being resumed.
func (p *pauses) resuming() (out []control.Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.rules {
		if x.Resuming {
			out = append(out, x)
		}
	}
	return out
}
