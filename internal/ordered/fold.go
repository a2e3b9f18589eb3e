package ordered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/rules"
)

// judge is the fold itself: the state, and where on EVENTS it is. It carries out
// nothing, so that whoever asks why can go the same way.
type judge struct {
	// fetch gives what an activation puts in force.
	fetch func(ctx context.Context, a events.RulesActivated) (Content, error)
	log   *slog.Logger

	// state is nil until the first set comes into force.
	state   *rules.State
	content Content
	// pos is the sequence of the last event that is in the state, at when it was
	// stored.
	pos uint64
	at  time.Time
}

// step is what the judge makes of one message.
type step struct {
	event events.Event
	// content is what the decisions are of.
	content   Content
	decisions []rules.Decision
	// activated is true if another set is in force from here on.
	activated bool
}

// awake reports whether any rule in force is ordered. While none is, events mean
// nothing to the state.
func (j *judge) awake() bool { return hasOrdered(j.content) }

func hasOrdered(c Content) bool {
	if c.Set == nil {
		return false
	}
	for _, r := range c.Set.Rules() {
		if r.Ordered() {
			return true
		}
	}
	return false
}

// next takes the next message of EVENTS into the state.
func (j *judge) next(ctx context.Context, m bus.Msg) (s step, err error) {
	at := m.Time.UTC()
	s.content = j.content
	e, err := bus.DecodeEvent(m.Header, m.Data)
	switch {
	case err != nil:
		j.log.Debug("event cannot be read", slog.Uint64("seq", m.Seq), slog.Any("err", err)) // as the dispatcher has said
	case dispatch.Forged(m.Subject, e):
	case e.Type() == events.TypeRulesActivated:
		s.event = e
		if err := j.activate(ctx, e, m.Seq, at, &s); err != nil {
			return step{}, err
		}
	case j.state == nil:
	case e.Type() == events.TypeClockTicked:
		s.decisions = j.state.Tick(m.Seq, at)
	default:
		s.decisions = j.state.Step(e, m.Seq, at)
	}
	s.event = e
	j.pos, j.at = m.Seq, at
	return s, nil
}

// activate puts the set in force that an event names. One that cannot be had is left
// out: the rules before it go on.
func (j *judge) activate(ctx context.Context, e events.Event, seq uint64, at time.Time, s *step) error {
	var a events.RulesActivated
	if err := e.DataAs(&a); err != nil {
		j.log.Error("the event of a new rule set cannot be read", slog.String("event", e.ID()), slog.Any("err", err))
		return nil
	}
	c, err := j.fetch(ctx, a)
	switch {
	case errors.Is(err, ErrNoContent):
		j.log.Error("a rule set that was put in force is not there any more; the one before it goes on",
			slog.String("rule_set", a.RuleSet), slog.String("bundle", a.Bundle), slog.Any("err", err))
		return nil
	case err != nil:
		return fmt.Errorf("put rule set %s in force: %w", a.RuleSet, err)
	}
	if j.state == nil {
		j.state = rules.NewState(c.Set, at)
	} else {
		s.decisions = j.state.Tick(seq, at)
		for _, d := range j.state.Use(c.Set, at) {
			d.Seq = seq
			s.decisions = append(s.decisions, d)
		}
	}
	j.content, s.activated = c, true
	return nil
}

// fold is a judge at work: what its decisions ask for is carried out.
type fold struct {
	judge
	ev *Evaluator

	// seen is when the last message was, by our clock.
	seen time.Time
	// past is what an earlier life did of what comes now; see recover.
	past past
	// held counts the firings of rules that are held; released is what an earlier
	// life may have carried out of them.
	held     map[string]int
	released past
	// retry is when what waits for a breaker, or went wrong, is tried again.
	retry    time.Time
	episodes episodes
	ticks    ticks
	snaps    snapshots

	// activation is the sequence of the activation that we published last.
	activation uint64
	// behind is true while the state is ahead of what was carried out.
	behind bool
}

// caughtUp reports whether the fold has come to where EVENTS ended when it began.
func (f *fold) caughtUp() bool { return f.past.end <= f.pos }

// take takes one message into the state and returns what is to be carried out.
func (f *fold) take(ctx context.Context, m bus.Msg) ([]*firing, error) {
	s, err := f.next(ctx, m)
	if err != nil {
		return nil, err
	}
	f.seen = f.ev.now()
	f.snaps.count++
	f.ticks.come(s.event, f.state, f.at, f.seen)
	if s.activated {
		f.ev.log.Info("rule set in force for ordered rules", slog.String("rule_set", f.content.Set.Digest()),
			slog.String("bundle", f.content.Bundle), slog.Uint64("seq", m.Seq))
		f.snaps.due = true
	}
	var list []*firing
	for _, d := range s.decisions {
		x, err := f.firing(ctx, s, d)
		if err != nil {
			return nil, err
		}
		if x != nil {
			list = append(list, x)
		}
	}
	return list, nil
}

// fetch gets the content of an activation, and tries again until ctx ends unless it
// cannot be had at all.
func (ev *Evaluator) fetch(ctx context.Context, a events.RulesActivated) (Content, error) {
	if own := ev.content(); own.Set != nil && own.Bundle == a.Bundle && own.Set.Digest() == a.RuleSet {
		return own, nil
	}
	if ev.Fetch == nil {
		return Content{}, ErrNoContent
	}
	for told := false; ; told = true {
		c, err := ev.Fetch(ctx, a.Bundle)
		if err == nil || errors.Is(err, ErrNoContent) {
			return c, err
		}
		if ctx.Err() != nil {
			return Content{}, fmt.Errorf("fetch bundle %s: %w", a.Bundle, context.Cause(ctx))
		}
		if !told {
			ev.log.Warn("rules have to wait for their content", slog.String("bundle", a.Bundle), slog.Any("err", err))
		}
		pause.For(ctx, ev.times.retry)
	}
}
