package bus

import (
	"context"
	"sync"
)

// room bounds how many events a [Group] has in hand, by number and by size.
// Whoever finds none waits for it, first come, first served.
type room struct {
	mu     sync.Mutex
	events int // that still fit
	bytes  int // likewise; below zero while one larger than all the room is in
	queue  []*entrant
	closed bool
	inside int
	left   chan struct{} // closed when the room is closed and nobody inside
}

// entrant waits for room.
type entrant struct {
	size int
	in   chan struct{} // closed when it may enter, or the room is closed
	ok   bool
}

func newRoom(events, bytes int) *room {
	return &room{events: events, bytes: bytes, left: make(chan struct{})}
}

// enter waits for room for one event of size bytes. It returns [ErrUnavailable]
// once the room is closed, and what ended ctx if that was first.
func (r *room) enter(ctx context.Context, size int) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrUnavailable
	}
	if len(r.queue) == 0 && r.fits(size) {
		r.take(size)
		r.mu.Unlock()
		return nil
	}
	e := &entrant{size: size, in: make(chan struct{})}
	r.queue = append(r.queue, e)
	r.mu.Unlock()
	select {
	case <-e.in:
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		if e.ok {
			return nil // let in at the same moment; its own context ends it
		}
		for i, other := range r.queue {
			if other == e {
				r.queue = append(r.queue[:i], r.queue[i+1:]...)
				break
			}
		}
		r.admit() // those behind may be smaller
		return context.Cause(ctx)
	}
	if !e.ok {
		return ErrUnavailable
	}
	return nil
}

// leave gives the room of one event back.
func (r *room) leave(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events++
	r.bytes += size
	r.inside--
	r.admit()
	r.settle()
}

// hold keeps the room from being empty until release, whoever leaves. Somebody
// must be inside.
func (r *room) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside++
}

func (r *room) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
	r.settle()
}

// close lets nobody in any more, also none of those who wait.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	for _, e := range r.queue {
		close(e.in)
	}
	r.queue = nil
	r.settle()
}

// fits reports whether there is room. An empty room has it for any event.
func (r *room) fits(size int) bool {
	return r.events > 0 && (r.bytes >= size || r.inside == 0)
}

func (r *room) take(size int) {
	r.events--
	r.bytes -= size
	r.inside++
}

// admit lets in who waits, in order, as far as there is room.
func (r *room) admit() {
	for len(r.queue) > 0 && r.fits(r.queue[0].size) {
		e := r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		r.take(e.size)
		e.ok = true
		close(e.in)
	}
}

func (r *room) settle() {
	if !r.closed || r.inside > 0 {
		return
	}
	select {
	case <-r.left:
	default:
		close(r.left)
	}
}
