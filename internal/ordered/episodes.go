package ordered

import (
	"context"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/rules"
)

// How long a rule must have gone without being full, or without a loop, for it to be
// told again.
const (
	fullEpisode = 10 * time.Minute
	loopEpisode = time.Minute
)

// episodes is what an evaluator remembers of rules beside their state, all by the
// rule's name. It is kept in snapshots.
type episodes struct {
	// full is when a rule was last full, looped when an event of it was last one of
	// a loop.
	full, looped map[string]time.Time
	breakers     map[string]*dispatch.Breaker
}

func newEpisodes() episodes {
	return episodes{full: map[string]time.Time{}, looped: map[string]time.Time{}, breakers: map[string]*dispatch.Breaker{}}
}

// begins notes that it is so, and reports whether it was not for a while.
func (episodes) begins(last map[string]time.Time, rule string, at time.Time, after time.Duration) bool {
	was, ok := last[rule]
	last[rule] = at
	return !ok || at.Sub(was) >= after
}

// breaker returns the breaker of a rule, nil if it has none.
func (e episodes) breaker(r *rules.Rule) *dispatch.Breaker {
	if r.Breaker == nil {
		delete(e.breakers, r.Name)
		return nil
	}
	b := e.breakers[r.Name]
	if b == nil || b.Breaker != *r.Breaker {
		b = &dispatch.Breaker{Breaker: *r.Breaker}
		e.breakers[r.Name] = b
	}
	return b
}

// breakAndHold counts a firing, pauses its rule if that was one too many, and
// reports whether the firing has to wait for the rule's resume. Of one that was
// dealt with in an earlier life it only notes what that means.
func (f *fold) breakAndHold(ctx context.Context, d rules.Decision, x *firing, known, held bool) (hold bool, err error) {
	if d.Outcome != rules.Fired {
		return false, nil
	}
	b := f.episodes.breaker(d.Rule)
	rec, paused := f.ev.pauses.get(d.Rule.Name)
	paused = paused && rec.Skips()
	switch {
	case known && b != nil && (held || b.Full(d.At)):
		b.Fired = nil // whoever resumes the rule starts anew
	case known && b != nil, b != nil && !paused && !b.Full(d.At):
		b.Count(d.At)
	case b != nil && !known && !paused:
		for {
			rec, err = dispatch.Trip(ctx, f.ev.bus, d.Rule, d.Seq, f.log)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return false, err
			}
			f.log.Warn("breaker has to wait", slog.String("rule", d.Rule.Name), slog.Any("err", err))
			pause.For(ctx, f.ev.times.retry)
		}
		f.ev.pauses.put(rec)
		b.Fired, paused = nil, true
	}
	x.From = rec.From
	return paused, nil
}
