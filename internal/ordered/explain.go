package ordered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/rules"
)

// ErrNotKnown says that what ordered rules remembered at an event cannot be found
// out: the snapshots from which it follows are gone, or there never was one.
var ErrNotKnown = errors.New("what ordered rules remembered then is not known any more")

// Explanation is what the ordered rules said of an event.
type Explanation struct {
	// Content is what was in force. Its Set is nil if none of its rules was ordered;
	// then there is nothing else.
	Content Content
	// Decisions are those of all ordered rules about the event, in the order they are
	// judged in.
	Decisions []rules.Decision
	// Later is what became of the windows that the event was taken into, in the order
	// of time: what ended or completed them, or what took their place.
	Later []rules.Decision
	// Open counts those of these windows of which nothing is known yet.
	Open int
}

// Explain judges an event again, by its sequence on EVENTS, as the evaluator did: from
// the last snapshot before it, by the events that followed. It says of the event what
// [rules.State.Explain] does, and then follows the windows that it was taken into. It
// stores nothing, needs no more than a viewer's rights, and reads all events since
// the snapshot. It fails with [ErrNotKnown].
func Explain(ctx context.Context, b *bus.Bus, fetch Fetch, seq uint64) (Explanation, error) {
	x, err := explain(ctx, b, fetch, seq)
	if err != nil {
		return x, fmt.Errorf("ask the ordered rules about event %d: %w", seq, err)
	}
	return x, nil
}

func explain(ctx context.Context, b *bus.Bus, fetch Fetch, seq uint64) (x Explanation, err error) {
	contents := map[string]Content{}
	j := judge{log: slog.New(slog.DiscardHandler), fetch: func(ctx context.Context, a events.RulesActivated) (Content, error) {
		c, ok := contents[a.Bundle]
		if ok {
			return c, nil
		}
		c, err := fetch(ctx, a.Bundle)
		if err == nil {
			contents[a.Bundle] = c
		}
		return c, err
	}}
	known, err := j.rewind(ctx, b, seq)
	if err != nil || !known {
		return x, err
	}
	var waits []wait
	for m, err := range b.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: j.pos + 1}) {
		if err != nil {
			return x, err
		}
		if m.Seq > seq && len(waits) == 0 {
			break
		}
		if m.Seq == seq {
			if x, waits, err = j.about(m); err != nil || x.Content.Set == nil {
				return x, err
			}
		}
		s, err := j.next(ctx, m)
		if err != nil {
			return x, err
		}
		if m.Seq > seq {
			waits = x.ended(waits, s.decisions)
			waits = slices.DeleteFunc(waits, func(w wait) bool { return !w.until.IsZero() && m.Time.After(w.until) })
		}
	}
	x.Open = len(waits)
	return x, nil
}

// rewind takes the state of the newest snapshot before an event. known is false if
// no rule was ordered at the event.
func (j *judge) rewind(ctx context.Context, b *bus.Bus, seq uint64) (known bool, err error) {
	s, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return false, fmt.Errorf("see where the events end: %w", err)
	}
	state := s.CachedInfo().State
	if seq < state.FirstSeq || seq > state.LastSeq {
		return false, fmt.Errorf("%w: the event is not stored", bus.ErrNotFound)
	}
	all, err := b.Objects(ctx, bus.ObjectsStates)
	if err != nil {
		return false, err
	}
	all = slices.DeleteFunc(all, func(o bus.Object) bool { return snapshotSeq(o) == 0 || snapshotSeq(o) >= seq })
	slices.SortStableFunc(all, func(x, y bus.Object) int { return int(snapshotSeq(x)) - int(snapshotSeq(y)) }) //nolint:gosec // no stream is that long
	for _, o := range slices.Backward(all) {
		ok, err := j.load(ctx, b, o, state)
		if err != nil || ok {
			return err == nil, err
		}
	}
	return j.beginning(ctx, b, seq)
}

// load takes the state of a snapshot, if that is of use.
func (j *judge) load(ctx context.Context, b *bus.Bus, o bus.Object, state jetstream.StreamState) (ok bool, err error) {
	s, err := readSnapshot(ctx, b, o, state)
	if err != nil {
		return false, only(err)
	}
	if s.Seq+1 < state.FirstSeq {
		return false, nil // events between are gone
	}
	c, err := j.fetch(ctx, events.RulesActivated{RuleSet: s.RuleSet, Bundle: s.Bundle})
	if err != nil {
		return false, only(err)
	}
	st, err := rules.RestoreState(c.Set, s.state)
	if err != nil {
		return false, nil //nolint:nilerr // the one before may do
	}
	j.state, j.content, j.pos, j.at = st, c, s.Seq, s.At
	return true, nil
}

// only lets pass the errors that say something of the bus, and not of a snapshot.
func only(err error) error {
	if passing(err) || errors.Is(err, bus.ErrDenied) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// beginning looks for an event where the state began with nothing: the first
// activation of all.
func (j *judge) beginning(ctx context.Context, b *bus.Bus, seq uint64) (known bool, err error) {
	for m, err := range b.Tail(ctx, bus.StreamEvents, activations, bus.TailOptions{}) {
		if err != nil {
			return false, err
		}
		if m.Seq >= seq {
			break
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		var a activation
		if err != nil || e.DataAs(&a) != nil || !a.First {
			return false, fmt.Errorf("%w: there is no snapshot from before it", ErrNotKnown)
		}
		j.pos = m.Seq - 1
		return true, nil
	}
	return false, nil // none was in force
}

// wait is a window that the event was taken into.
type wait struct {
	rule, key string
	began     time.Time
	// until is when the event leaves a window that moves; zero for others.
	until time.Time
}

// awaited tells whether the event was taken into a window that ends in a decision.
func awaited(d rules.Decision, at time.Time) (w wait, ok bool) {
	if d.Window == nil || d.Outcome != rules.Waiting && d.Outcome != rules.Suppressed {
		return w, false
	}
	w = wait{rule: d.Rule.Name, key: d.Key, began: d.Window.Began}
	if t := d.Rule.Throttle; t != nil && t.Take == rules.TakeCount {
		w.until = at.Add(t.Every)
	}
	silent := d.Outcome == rules.Suppressed && d.Rule.Throttle != nil && d.Rule.Throttle.Take == rules.TakeFirst
	return w, !silent
}

// about is what the state says of the event.
func (j *judge) about(m bus.Msg) (x Explanation, waits []wait, err error) {
	if !j.awake() {
		return x, nil, nil
	}
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		return x, nil, err
	}
	x.Content = j.content
	if e.Type() == events.TypeClockTicked || e.Type() == events.TypeRulesActivated {
		return x, nil, nil
	}
	x.Decisions = j.state.Explain(e, m.Seq, m.Time.UTC())
	for _, d := range x.Decisions {
		if w, ok := awaited(d, m.Time); ok {
			waits = append(waits, w)
		}
	}
	return x, waits, nil
}

// ended notes what was decided about windows, and returns those that are open still.
func (x *Explanation) ended(waits []wait, list []rules.Decision) []wait {
	for _, d := range list {
		waits = slices.DeleteFunc(waits, func(w wait) bool {
			if d.Rule.Name != w.rule || d.Key != w.key || d.Window == nil {
				return false
			}
			goesOn := d.Outcome == rules.Waiting || d.Outcome == rules.Suppressed || d.Outcome == rules.Full
			if goesOn && (d.Window.Began.Equal(w.began) || !w.until.IsZero()) {
				return false
			}
			x.Later = append(x.Later, d)
			return true
		})
	}
	return waits
}
