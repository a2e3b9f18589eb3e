package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits, and reports whether ctx goes on.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Grown is the pause after so many failures, at least one: first, and twice as long after
// each more, up to most.
func Grown(first, most time.Duration, failures int) time.Duration {
	for ; failures > 1 && first < most; failures-- {
		first *= 2
	}
	return min(first, most)
}

// Spread makes a pause up to a fifth shorter or longer, so that what failed together does
// not come back together.
func Spread(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5+1) //nolint:gosec // to spread needs no secret
}

// Outlast gives a context that ends, with a cause, a while after ctx.
func Outlast(ctx context.Context, grace time.Duration, cause error) (_ context.Context, stop func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	timer := make(chan *time.Timer, 1)
	release := context.AfterFunc(ctx, func() {
		timer <- time.AfterFunc(grace, func() { cancel(cause) })
	})
	return longer, func() {
		if !release() {
			(<-timer).Stop()
		}
		cancel(nil)
	}
}
