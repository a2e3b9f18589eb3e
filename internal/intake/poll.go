package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Poll is the record of an asking.
type Poll struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Ask has a source look now instead of when it would have by itself; by names who
// asks. What it returns is for [Looked].
func Ask(ctx context.Context, b *bus.Bus, name, by string) (asked uint64, err error) {
	return put(ctx, b, keyPoll, name, Poll{By: by, At: now()})
}

// Looked waits until a source has looked since it was asked to, and returns how it
// fares then; its Look says what came of it. It fails with [ErrUnknown] if the
// source is gone, and with the context's error.
func Looked(ctx context.Context, b *bus.Bus, name string, asked uint64) (State, error) {
	for m, err := range b.Tail(ctx, stream, key(keyState, name), bus.TailOptions{Follow: true}) {
		if err != nil {
			return State{}, fmt.Errorf("wait for source %s to look: %w", name, err)
		}
		if gone(m) {
			return State{}, fmt.Errorf("%s: %w", name, ErrUnknown)
		}
		s, err := decodeState(m)
		if err != nil {
			return s, err
		}
		if s.Look != nil && s.Look.Asked >= asked {
			return s, nil
		}
	}
	return State{}, context.Cause(ctx)
}

// followPolls hands out the askings that there are, and then each as it comes, until
// ctx ends.
func followPolls(ctx context.Context, b *bus.Bus, asked func(name string, seq uint64)) error {
	for ctx.Err() == nil {
		for m, err := range b.Tail(ctx, stream, everyPoll, bus.TailOptions{Follow: true}) {
			if errors.Is(err, bus.ErrRewound) {
				break // the store was replaced
			}
			if err != nil {
				return fmt.Errorf("follow what sources are asked for: %w", err)
			}
			if !gone(m) {
				asked(named(keyPoll, m.Subject), m.Seq)
			}
		}
	}
	return nil
}

// now is the time as records have it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
