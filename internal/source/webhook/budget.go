package webhook

import (
	"container/list"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// bodiesInMemory bounds what bodies may take beyond smallBody each, all hooks
	// together, in bytes. Small ones, which most deliveries are, are bounded by the
	// number of connections.
	bodiesInMemory = 32 << 20
	smallBody      = 16 << 10
	// firstPart is what a body has before any of it has come: a stranger who only
	// announces one takes no more.
	firstPart = 4 << 10
)

// budget is memory for bodies. When it is used up and a body needs some, that body goes
// which has been read for longest and is not there yet: those who send slowly, or more
// than is theirs, do not keep others out.
type budget struct {
	mu      sync.Mutex
	left    int64
	reading *list.List    // of *holding that have taken some and still read, the oldest first
	freed   chan struct{} // closed when some is given back; nil if nobody waits for that
}

func newBudget(size int64) *budget { return &budget{left: size, reading: list.New()} }

// holding is what one request has taken: of the memory for bodies, and of the room for
// work. One with nothing but its budget has taken nothing.
type holding struct {
	budget *budget
	room   *room
	// hangUp ends the reading.
	hangUp func()

	worked int64
	since  time.Time // when it began to wait for its turn
	// What follows is under the budget's lock. place is where it is in reading.
	held  int64
	place *list.Element
	gone  bool
}

// grow takes what a body of size bytes needs, or nothing and reports false.
func (h *holding) grow(size int64) bool {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	more := size - smallBody - h.held
	if h.gone || more <= 0 {
		return !h.gone
	}
	if h.place == nil {
		h.place = b.reading.PushBack(h)
	}
	late := time.After(turnWithin)
	for b.left < more {
		switch oldest := b.oldest(h); oldest {
		case h:
			return false
		case nil:
			// Others have it whose bodies are there: they need it for moments.
			if !b.wait(late) || h.gone {
				return false
			}
		default:
			oldest.gone = true
			oldest.giveBack()
			oldest.hangUp()
		}
	}
	b.left -= more
	h.held += more
	return true
}

// oldest returns who has to go when h needs memory, nil if nobody else can. b.mu is held.
func (b *budget) oldest(h *holding) *holding {
	first := (*holding)(nil)
	for e := b.reading.Front(); e != nil; e = e.Next() {
		other, ok := e.Value.(*holding)
		switch {
		case !ok:
		case other == h:
			first = h
		case other.held > 0 && first == nil:
			return other
		case other.held > 0:
			return h
		}
	}
	return nil
}

// wait waits until somebody has given memory back, and reports false when it is late
// before. b.mu is held, but not while it waits.
func (b *budget) wait(late <-chan time.Time) bool {
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	freed := b.freed
	b.mu.Unlock()
	defer b.mu.Lock()
	select {
	case <-freed:
		return true
	case <-late:
		return false
	}
}

// giveBack gives the memory back. The budget's lock is held.
func (h *holding) giveBack() {
	b := h.budget
	if b.freed != nil && h.held > 0 {
		close(b.freed)
		b.freed = nil
	}
	b.left += h.held
	h.held = 0
	h.leave()
}

// leave takes it out of those that are read. The budget's lock is held.
func (h *holding) leave() {
	if h.place != nil {
		h.budget.reading.Remove(h.place)
		h.place = nil
	}
}

// work waits until there is room to work on a body of size bytes.
func (h *holding) work(ctx context.Context, size int) error {
	ctx, cancel := context.WithTimeout(ctx, turnWithin)
	defer cancel()
	h.since = time.Now()
	n := int64(size) + perRequest
	if err := h.room.enter(ctx, n); err != nil {
		return err
	}
	h.worked = n
	return nil
}

// release gives everything back.
func (h *holding) release() {
	h.budget.mu.Lock()
	h.giveBack()
	h.budget.mu.Unlock()
	if h.worked > 0 {
		h.room.leave(h.worked)
		h.worked = 0
	}
}

// errNoMemory says that other bodies take all the memory there is for them.
var errNoMemory = errors.New("there is no memory for the body at the moment")

// readAll reads to the end, where that is announced to be announced bytes away or,
// below zero, unknown. Memory is taken as it is filled, not as it is announced: a
// stranger who only announces has none.
func (h *holding) readAll(r io.Reader, announced int64) ([]byte, error) {
	body, err := h.readParts(r, announced)
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	h.leave()
	if h.gone {
		return nil, errNoMemory
	}
	return body, err
}

func (h *holding) readParts(r io.Reader, announced int64) ([]byte, error) {
	size := int64(firstPart)
	if announced >= 0 {
		size = min(size, announced+1)
	}
	body := make([]byte, 0, size)
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case len(body) < cap(body):
			continue
		}
		size = max(2*int64(cap(body)), smallBody)
		if announced >= int64(len(body)) {
			size = min(size, announced+1)
		}
		if !h.grow(size) {
			return nil, errNoMemory
		}
		body = append(make([]byte, 0, size), body...)
	}
}
