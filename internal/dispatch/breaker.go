package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/rules"
)

// Breaker counts how often a rule fired of late. A dispatcher counts by the clock of
// its process: where several share the events, each counts its own. It is for one
// goroutine.
type Breaker struct {
	rules.Breaker
	// Fired are the times of the firings that count, the oldest first.
	Fired []time.Time
}

// Full reports whether the rule has fired as often as it may.
func (b *Breaker) Full(now time.Time) bool {
	old := 0
	for old < len(b.Fired) && now.Sub(b.Fired[old]) >= b.Per {
		old++
	}
	b.Fired = slices.Delete(b.Fired, 0, old)
	return len(b.Fired) >= b.Above
}

// Count adds a firing.
func (b *Breaker) Count(now time.Time) { b.Fired = append(b.Fired, now) }

// Trip pauses a rule that fired too often, from the event of a sequence on, and
// returns the pause, also where the rule was paused before.
func Trip(ctx context.Context, b *bus.Bus, r *rules.Rule, from uint64, log *slog.Logger) (control.Pause, error) {
	reason := "it fired more often than " + r.Breaker.String()
	p, err := control.Set(ctx, b, control.Pause{
		Kind: control.Rule, Name: r.Name, By: control.ByBreaker, Reason: reason, From: from,
	})
	if err != nil && !errors.Is(err, control.ErrPaused) {
		return p, fmt.Errorf("pause rule %s, which fires too often: %w", r.Name, err)
	}
	log.Warn("rule paused by its breaker; see to it, then resume it", slog.String("rule", r.Name), slog.String("reason", reason))
	return p, nil
}

// tooOften counts one firing of a rule, and reports whether that was one too many.
// An event that was handed out before is not counted again.
func (l *line) tooOften(r *rules.Rule) bool {
	if r.Breaker == nil {
		return false
	}
	b := l.breakers[r.Name]
	if b == nil || b.Breaker != *r.Breaker {
		b = &Breaker{Breaker: *r.Breaker}
		l.breakers[r.Name] = b
	}
	now := l.d.now()
	if b.Full(now) {
		b.Fired = nil // whoever resumes the rule starts anew
		return true
	}
	b.Count(now)
	return false
}

// trip pauses a rule that fired too often.
func (d *Dispatcher) trip(ctx context.Context, r *rules.Rule) error {
	done, err := Judged(ctx, d.bus)
	if err != nil {
		return fmt.Errorf("pause rule %s, which fires too often: %w", r.Name, err)
	}
	p, err := Trip(ctx, d.bus, r, done+1, d.log)
	if err != nil {
		return err
	}
	d.pauses.add(p)
	return nil
}
