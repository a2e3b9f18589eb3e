package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// links holds a run's connections, one for every target. It is safe for
// concurrent use.
type links struct {
	dialer conn.Dialer

	mu   sync.Mutex
	open map[conn.Target]*link
}

// link is a connection that is being made until done is closed, and then one that
// was made, or an error.
type link struct {
	done chan struct{}
	conn conn.Conn
	err  error
	// given is true when who dialled gave up: that says nothing about the host.
	given bool
}

func newLinks(d conn.Dialer) *links {
	return &links{dialer: d, open: make(map[conn.Target]*link)}
}

// unreachable marks an error of the dialer, whatever its reason.
type unreachable struct{ error }

func (u unreachable) Unwrap() []error { return []error{u.error, conn.ErrUnreachable} }

// get returns the connection to t. It is dialled when it is first needed; who
// asks at the same time waits for the same answer.
func (l *links) get(ctx context.Context, t conn.Target) (conn.Conn, error) {
	for {
		l.mu.Lock()
		k := l.open[t]
		if k == nil {
			k = &link{done: make(chan struct{})}
			l.open[t] = k
			l.mu.Unlock()
			l.dial(ctx, t, k)
			return k.conn, k.err
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-k.done:
		}
		if k.err == nil || !k.given {
			return k.conn, k.err
		}
	}
}

func (l *links) dial(ctx context.Context, t conn.Target, k *link) {
	var c conn.Conn
	// Whatever becomes of the dialer, nobody shall wait for ever.
	err := errors.New("dialling was cut short")
	given := true
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.conn, k.err, k.given = c, err, given; err != nil {
			delete(l.open, t)
		}
		close(k.done)
	}()
	c, err = l.dialer.Dial(ctx, t)
	given = ctx.Err() != nil
	if err != nil {
		c, err = nil, unreachable{err}
	}
}

// drop forgets a connection that broke, so that the next use dials anew. It does
// nothing if another has taken its place.
func (l *links) drop(t conn.Target, c conn.Conn) {
	l.mu.Lock()
	k := l.open[t]
	ours := k != nil && k.conn == c
	if ours {
		delete(l.open, t)
	}
	l.mu.Unlock()
	if ours {
		_ = c.Close()
	}
}

// closeAll closes all connections, also after the end of ctx. There is nothing
// left to lose over them, so errors do not matter.
func (l *links) closeAll(ctx context.Context, atOnce int) {
	var open []conn.Conn
	l.mu.Lock()
	for _, k := range l.open {
		if k.conn != nil {
			open = append(open, k.conn)
		}
	}
	clear(l.open)
	l.mu.Unlock()
	each(context.WithoutCancel(ctx), atOnce, open, func(c conn.Conn) { _ = c.Close() })
}
