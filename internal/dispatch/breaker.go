package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/rules"
)

// breaker counts how often a rule fired of late, by the clock of this process:
// where several dispatchers share the events, each counts its own.
type breaker struct {
	rules.Breaker
	fired []time.Time
}

// full reports whether the rule has fired as often as it may.
func (b *breaker) full(now time.Time) bool {
	old := 0
	for old < len(b.fired) && now.Sub(b.fired[old]) >= b.Per {
		old++
	}
	b.fired = slices.Delete(b.fired, 0, old)
	return len(b.fired) >= b.Above
}

func (b *breaker) count(now time.Time) { b.fired = append(b.fired, now) }

// tooOften counts one firing of a rule, and reports whether that was one too many.
// An event that was handed out before is not counted again.
func (l *line) tooOften(r *rules.Rule) bool {
	if r.Breaker == nil {
		return false
	}
	b := l.breakers[r.Name]
	if b == nil || b.Breaker != *r.Breaker {
		b = &breaker{Breaker: *r.Breaker}
		l.breakers[r.Name] = b
	}
	now := l.d.now()
	if b.full(now) {
		b.fired = nil // whoever resumes the rule starts anew
		return true
	}
	b.count(now)
	return false
}

// trip pauses a rule that fired too often.
func (d *Dispatcher) trip(ctx context.Context, r *rules.Rule) error {
	done, err := Judged(ctx, d.bus)
	if err != nil {
		return fmt.Errorf("pause rule %s, which fires too often: %w", r.Name, err)
	}
	reason := "it fired more often than " + r.Breaker.String()
	p, err := control.Set(ctx, d.bus, control.Pause{
		Kind: control.Rule, Name: r.Name, By: control.ByBreaker, Reason: reason, From: done + 1,
	})
	if err != nil && !errors.Is(err, control.ErrPaused) {
		return fmt.Errorf("pause rule %s, which fires too often: %w", r.Name, err)
	}
	d.pauses.add(p)
	d.log.Warn("rule paused by its breaker; see to it, then resume it", slog.String("rule", r.Name), slog.String("reason", reason))
	return nil
}
