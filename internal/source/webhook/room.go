package webhook

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// atWork bounds the bodies, in bytes, that are made events of and stored at the same
	// time. Each takes several times its size meanwhile: its tree, its event, and what the
	// bus has of that.
	atWork = 4 << 20
	// perRequest is what a request counts beside its body.
	perRequest = 4 << 10
	// answerWithin is how long it may take until one event is stored, turnWithin how much
	// of that a request waits for its turn: git hosts hang up after ten seconds.
	answerWithin = 8 * time.Second
	turnWithin   = 5 * time.Second
)

// room bounds what is worked on at once. Whoever finds none waits, first come, first
// served. Only requests that have proven where they come from ask for it.
type room struct {
	mu    sync.Mutex
	left  int64
	size  int64
	queue *list.List // of *entrant
}

// entrant waits for room.
type entrant struct {
	size int64
	in   chan struct{} // closed when it is in
}

func newRoom(size int64) *room { return &room{left: size, size: size, queue: list.New()} }

// enter waits for room for n bytes, or until ctx ends. What is larger than all the room
// comes in when that is empty.
func (r *room) enter(ctx context.Context, n int64) error {
	n = min(n, r.size)
	r.mu.Lock()
	if r.queue.Len() == 0 && r.left >= n {
		r.left -= n
		r.mu.Unlock()
		return nil
	}
	e := &entrant{size: n, in: make(chan struct{})}
	place := r.queue.PushBack(e)
	r.mu.Unlock()
	select {
	case <-e.in:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-e.in: // at the same moment
		return nil
	default:
	}
	r.queue.Remove(place)
	r.admit() // those behind may be smaller
	return context.Cause(ctx)
}

// leave gives the room for n bytes back.
func (r *room) leave(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += min(n, r.size)
	r.admit()
}

// admit lets in who waits, in order, as far as there is room. r.mu is held.
func (r *room) admit() {
	for place := r.queue.Front(); place != nil; place = r.queue.Front() {
		e, ok := place.Value.(*entrant)
		if !ok || e.size > r.left {
			return
		}
		r.left -= e.size
		r.queue.Remove(place)
		close(e.in)
	}
}
