package launch

import (
	"context"
	"sync"
)

// Running counts a connection's commands, so that closing it ends them and waits
// for them. The zero value is ready to use; it is safe for concurrent use.
type Running struct {
	mu     sync.Mutex
	closed bool
	count  sync.WaitGroup
	next   int
	ends   map[int]context.CancelCauseFunc
}

// Begin registers a command. Its context ends with [Running.Close], done must be
// called at its end. After Close, ok is false.
func (r *Running) Begin(ctx context.Context) (bound context.Context, done func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, false
	}
	bound, cancel := context.WithCancelCause(ctx)
	if r.ends == nil {
		r.ends = map[int]context.CancelCauseFunc{}
	}
	id := r.next
	r.next++
	r.ends[id] = cancel
	r.count.Add(1)
	return bound, func() {
		r.mu.Lock()
		delete(r.ends, id)
		r.mu.Unlock()
		cancel(nil)
		r.count.Done()
	}, true
}

// Close ends all commands with cause and waits until they are done.
func (r *Running) Close(cause error) {
	r.mu.Lock()
	r.closed = true
	for _, end := range r.ends {
		end(cause)
	}
	r.mu.Unlock()
	r.count.Wait()
}
