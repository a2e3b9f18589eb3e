package ordered

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/rules"
)

// Current returns what the ordered rules remember, by all events that are stored now,
// and the content in force for them; nil if none of them is ordered. It stores
// nothing, needs no more than a viewer's rights, and reads all events since the last
// snapshot. It fails with [ErrNotKnown].
func Current(ctx context.Context, b *bus.Bus, fetch Fetch) (*rules.State, Content, error) {
	st, c, err := current(ctx, b, fetch)
	if err != nil {
		return nil, Content{}, fmt.Errorf("find out what the ordered rules remember: %w", err)
	}
	return st, c, nil
}

func current(ctx context.Context, b *bus.Bus, fetch Fetch) (*rules.State, Content, error) {
	s, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return nil, Content{}, fmt.Errorf("see where the events end: %w", err)
	}
	last := s.CachedInfo().State.LastSeq
	if s.CachedInfo().State.Msgs == 0 {
		return nil, Content{}, nil
	}
	j := judge{log: slog.New(slog.DiscardHandler), fetch: func(ctx context.Context, a events.RulesActivated) (Content, error) {
		return fetch(ctx, a.Bundle)
	}}
	// Not to the last event itself, for which the state before it would do.
	if known, err := j.rewind(ctx, b, last); err != nil {
		return nil, Content{}, err
	} else if !known {
		j.pos = last - 1 // the first activation may be the last event
	}
	for m, err := range b.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: j.pos + 1}) {
		if err != nil {
			return nil, Content{}, err
		}
		if _, err := j.next(ctx, m); err != nil {
			return nil, Content{}, err
		}
	}
	if !j.awake() {
		return nil, Content{}, nil
	}
	return j.state, j.content, nil
}
