package engine

import (
	"context"
	"sync"
)

// turns lets the tasks that several hosts delegate to one place change it one
// after the other. The zero value is ready for use; it is safe for concurrent use.
type turns struct {
	mu sync.Mutex
	// taken holds a channel for each place, full while somebody has the turn.
	taken map[string]chan struct{}
}

// take waits for the turn at a place; done hands it on.
func (t *turns) take(ctx context.Context, place string) (done func(), err error) {
	t.mu.Lock()
	turn := t.taken[place]
	if turn == nil {
		if t.taken == nil {
			t.taken = make(map[string]chan struct{})
		}
		turn = make(chan struct{}, 1)
		t.taken[place] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
