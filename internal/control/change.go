package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// Set pauses a rule, a queue or a source and returns the record. For a rule, From must be
// the sequence of the first event that may not have been judged; where the rule is
// just being resumed, what is left of that resume goes on later. It fails with
// [ErrPaused], and the record that is there.
//
// That a rule is paused is an event as well, stored before: rather it is told
// twice than not at all.
func Set(ctx context.Context, b *bus.Bus, p Pause) (Pause, error) {
	if p.Since.IsZero() {
		p.Since = time.Now().UTC()
	}
	for {
		was, rev, err := read(ctx, b, p.Kind, p.Name)
		next := p
		switch {
		case errors.Is(err, ErrNotPaused):
		case err != nil:
			return p, err
		case !was.Resuming:
			return was, fmt.Errorf("%s is %w, since %s by %s", p, ErrPaused, was.Since.Format(time.RFC3339), was.By)
		default:
			next.From = was.From
		}
		next.Resuming, next.Live = false, false
		if err := tell(ctx, b, next, rev, events.TypeRulePaused, events.RulePaused{
			Rule: p.Name, By: p.By, Reason: p.Reason, From: next.From, Since: p.Since,
		}); err != nil {
			return p, err
		}
		next, err = write(ctx, b, next, rev)
		if !errors.Is(err, bus.ErrConflict) {
			return next, err
		}
	}
}

// Resume ends a pause; by names who says so. A queue hands out jobs again
// at once, a source is run again. A rule is
// resuming until what came meanwhile has been judged, or, with skip, only what
// comes from now on. It fails with [ErrNotPaused], or with [ErrResuming] unless
// skip is given.
func Resume(ctx context.Context, b *bus.Bus, k Kind, name, by string, skip bool) (Pause, error) {
	for {
		p, rev, err := read(ctx, b, k, name)
		switch {
		case err != nil:
			return p, err
		case p.Live: // what is left of its resume is nobody's concern
			return p, fmt.Errorf("%s: %w", p, ErrNotPaused)
		case k == Rule && p.Resuming && !skip:
			return p, fmt.Errorf("%s is %w", p, ErrResuming)
		}
		if skip && k == Rule {
			if p.From, err = end(ctx, b); err != nil {
				return p, err
			}
		}
		if err := tell(ctx, b, p, rev, events.TypeRuleResumed, events.RuleResumed{
			Rule: name, By: by, Skipped: skip, From: p.From,
		}); err != nil {
			return p, err
		}
		p.Resuming = true
		if k == Rule {
			p, err = write(ctx, b, p, rev)
		} else {
			err = remove(ctx, b, p)
		}
		if !errors.Is(err, bus.ErrConflict) {
			return p, err
		}
	}
}

// Advance notes how far the resume of a rule has come: all events before from have
// been judged. It fails with [bus.ErrConflict] if somebody changed the record
// since p was read.
func Advance(ctx context.Context, b *bus.Bus, p Pause, from uint64, live bool) (Pause, error) {
	rev := p.Rev
	p.From, p.Live = from, live
	return write(ctx, b, p, rev)
}

// Finish removes the record of a rule whose resume is over. It fails with
// [bus.ErrConflict] if somebody changed the record since p was read.
func Finish(ctx context.Context, b *bus.Bus, p Pause) error { return remove(ctx, b, p) }

// end returns the sequence that the next event will have.
func end(ctx context.Context, b *bus.Bus) (uint64, error) {
	s, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("see where the events end: %w", err)
	}
	return s.CachedInfo().State.LastSeq + 1, nil
}

// tell stores the event of a change of a rule. Its id is made of the revision that
// is to be changed, so that to try again tells nothing twice.
func tell(ctx context.Context, b *bus.Bus, p Pause, rev uint64, typ string, data any) error {
	if p.Kind != Rule {
		return nil
	}
	e, err := events.New("/rules/"+p.Name, typ, data)
	if err != nil {
		return fmt.Errorf("make the event that %s changes: %w", p, err)
	}
	e.SetID(fmt.Sprintf("%s.%d", typ, rev))
	e.SetSubject(p.Name)
	if _, err := b.PublishEvent(ctx, bus.ClassOwn, e); err != nil {
		return fmt.Errorf("tell that %s changes: %w", p, err)
	}
	return nil
}
