package ahead

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxAge is how long an answer is taken for true when the run itself changes
// nothing: others may.
const maxAge = 5 * time.Second

// Epoch counts changes. Hosts that could see each other's changes, on a shared
// file system say, share one. The zero value is ready to use; it is safe for
// concurrent use.
type Epoch struct{ n atomic.Uint64 }

// Change says that something is about to change, or just did: both must be told,
// since a read between the two may be of either side.
func (e *Epoch) Change() { e.n.Add(1) }

// Now is a number that is another one after every change.
func (e *Epoch) Now() uint64 { return e.n.Load() }

// Memory holds what was read ahead on one host. It is safe for concurrent use.
type Memory struct {
	epoch *Epoch

	mu      sync.Mutex
	entries map[key]*entry
}

// New returns an empty memory.
func New(e *Epoch) *Memory { return &Memory{epoch: e, entries: make(map[key]*entry)} }

// key is one question to the host by one user.
type key struct {
	of   conn.Conn
	op   string
	what string
	look conn.Look
}

// entry is an answer, or one that is under way.
type entry struct {
	epoch uint64
	began time.Time
	done  chan struct{}
	v     any
	err   error
}

// ask returns the answer of read, and keeps it. Whoever asks the same meanwhile
// waits for this answer.
func (m *Memory) ask(ctx context.Context, k key, read func() (any, error)) (any, error) {
	m.mu.Lock()
	e, ok := m.fresh(k)
	if ok {
		m.mu.Unlock()
		return e.wait(ctx)
	}
	e = &entry{epoch: m.epoch.Now(), began: time.Now(), done: make(chan struct{})}
	m.entries[k] = e
	m.mu.Unlock()
	e.v, e.err = read()
	close(e.done)
	return e.v, e.err
}

// recall returns an answer that was read ahead and is still true. One that is
// under way is waited for.
func (m *Memory) recall(ctx context.Context, k key) (v any, ok bool, err error) {
	m.mu.Lock()
	e, ok := m.fresh(k)
	m.mu.Unlock()
	if !ok {
		return nil, false, nil
	}
	v, err = e.wait(ctx)
	if !settled(err) || e.epoch != m.epoch.Now() {
		return nil, false, nil
	}
	return v, true, err
}

// fresh returns the entry of k if it is still true; the lock is held.
func (m *Memory) fresh(k key) (*entry, bool) {
	e, ok := m.entries[k]
	if !ok {
		return nil, false
	}
	if e.epoch != m.epoch.Now() {
		clear(m.entries) // none of them can be any younger than the last change
		return nil, false
	}
	if time.Since(e.began) > maxAge {
		delete(m.entries, k)
		return nil, false
	}
	return e, true
}

// Forget drops all answers: the next reads go to the host.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.entries)
}

// wait returns the answer once it is there.
func (e *entry) wait(ctx context.Context) (any, error) {
	select {
	case <-e.done:
		return e.v, e.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// settled reports whether an answer says something about the host, rather than
// about a connection that broke or a reader that gave up.
func settled(err error) bool { return err == nil || errors.Is(err, fs.ErrNotExist) }
