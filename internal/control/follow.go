package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// List returns everything that is paused, by kind and name. It needs no more than
// a viewer's rights.
func List(ctx context.Context, b *bus.Bus) ([]Pause, error) {
	s := state{}
	if _, err := s.load(ctx, b); err != nil {
		return nil, err
	}
	return s.list(), nil
}

// Follow yields everything that is paused: at once, and whole again at each
// change, until ctx ends. An error is yielded once, last.
func Follow(ctx context.Context, b *bus.Bus) iter.Seq2[[]Pause, error] {
	return func(yield func([]Pause, error) bool) {
		for ctx.Err() == nil {
			s := state{}
			next, err := s.load(ctx, b)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(nil, err)
				return
			case !yield(s.list(), nil):
				return
			}
			for m, err := range b.Tail(ctx, stream, prefix+">", bus.TailOptions{From: next, Follow: true}) {
				if errors.Is(err, bus.ErrRewound) {
					break // the store was replaced: what we know is not true any more
				}
				if err == nil {
					err = s.apply(m)
				}
				if err != nil {
					yield(nil, fmt.Errorf("follow what is paused: %w", err))
					return
				}
				if !yield(s.list(), nil) {
					return
				}
			}
		}
	}
}

// state is what is paused, by key.
type state map[string]Pause

// load reads all keys and returns the sequence after them.
func (s state) load(ctx context.Context, b *bus.Bus) (next uint64, err error) {
	next = 1
	for m, err := range b.Tail(ctx, stream, prefix+">", bus.TailOptions{}) {
		if err == nil {
			next, err = m.Seq+1, s.apply(m)
		}
		if err != nil {
			return 0, fmt.Errorf("list what is paused: %w", err)
		}
	}
	return next, nil
}

func (s state) apply(m bus.Msg) error {
	if removed(m) {
		delete(s, m.Subject)
		return nil
	}
	p, err := decode(m)
	if err != nil {
		return err
	}
	s[m.Subject] = p
	return nil
}

func (s state) list() []Pause {
	return slices.SortedFunc(maps.Values(s), func(a, b Pause) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}
