package webhook

import (
	"errors"
	"io"
	"sync"
)

const (
	// bodiesInMemory bounds what bodies may take beyond smallBody each, all hooks
	// together, in bytes. Small ones, which most deliveries are, are bounded by the
	// number of connections.
	bodiesInMemory = 64 << 20
	smallBody      = 32 << 10
)

// budget is memory for bodies.
type budget struct {
	mu   sync.Mutex
	left int64
}

func newBudget(size int64) *budget { return &budget{left: size} }

// holding is what one request has taken of a budget. The zero value of held has taken
// nothing.
type holding struct {
	budget *budget
	held   int64
}

// grow takes what a body of size bytes needs, or nothing and reports false.
func (h *holding) grow(size int64) bool {
	more := size - smallBody - h.held
	if more <= 0 {
		return true
	}
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	if h.budget.left < more {
		return false
	}
	h.budget.left -= more
	h.held += more
	return true
}

// release gives everything back.
func (h *holding) release() {
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	h.budget.left += h.held
	h.held = 0
}

// errNoMemory says that other bodies take all the memory there is for them.
var errNoMemory = errors.New("there is no memory for the body at the moment")

// readAll reads to the end, where that is announced to be announced bytes away or,
// below zero, unknown. Memory is taken as it is filled, not as it is announced: a
// stranger who only announces has none.
func (h *holding) readAll(r io.Reader, announced int64) ([]byte, error) {
	size := int64(4 << 10)
	if announced >= 0 {
		size = min(announced+1, smallBody)
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
		size = 2 * int64(cap(body))
		if announced >= int64(len(body)) {
			size = min(size, announced+1)
		}
		if !h.grow(size) {
			return nil, errNoMemory
		}
		body = append(make([]byte, 0, size), body...)
	}
}
