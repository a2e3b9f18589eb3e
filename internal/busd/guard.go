package busd

import (
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// maxConnections is how many may be open for webhooks and the status page at once.
const maxConnections = 4096

// connections is how many may be open, where the process may have only so many files.
func connections() int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur/2 >= maxConnections {
		return maxConnections
	}
	return max(1, int(files.Cur/2)) //nolint:gosec // less than maxConnections
}

// guard is a listener that keeps to a number of connections. When all are taken and one
// more comes, the one that has owed a complete request for longest is closed: those who
// send slowly, or nothing, do not keep others out. A connection whose request is being
// worked on is never closed.
type guard struct {
	net.Listener

	mu      sync.Mutex
	open    int
	most    int
	waiting *list.List    // of *guarded that owe a request, in the order in which they began to
	freed   chan struct{} // told when a connection has closed
	ended   chan struct{}
	once    sync.Once
}

// guarded is a connection that a guard has let in.
type guarded struct {
	net.Conn
	guard *guard
	place *list.Element // in waiting; nil while a request is worked on
	gone  bool
}

func newGuard(l net.Listener, most int) *guard {
	return &guard{Listener: l, most: most, waiting: list.New(), freed: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Accept returns the next connection, for which there is room then.
func (g *guard) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		c, oldest := g.admit(conn)
		switch {
		case c != nil:
			return c, nil
		case oldest != nil:
			_ = oldest.Close()
			continue
		}
		// All are at work, which takes seconds at most.
		select {
		case <-g.freed:
		case <-g.ended:
			return nil, errors.Join(net.ErrClosed, conn.Close())
		}
	}
}

// admit lets conn in, or says which connection is to go first, if any can.
func (g *guard) admit(conn net.Conn) (c, oldest *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open < g.most {
		g.open++
		c = &guarded{Conn: conn, guard: g}
		c.place = g.waiting.PushBack(c)
		return c, nil
	}
	if first := g.waiting.Front(); first != nil {
		oldest, _ = first.Value.(*guarded)
	}
	return nil, oldest
}

// Close ends the listening; connections stay.
func (g *guard) Close() error {
	g.once.Do(func() { close(g.ended) })
	return g.Listener.Close()
}

// Close closes the connection and gives back its place.
func (c *guarded) Close() error {
	g := c.guard
	g.mu.Lock()
	if !c.gone {
		c.gone = true
		g.open--
		c.leave()
		select {
		case g.freed <- struct{}{}:
		default:
		}
	}
	g.mu.Unlock()
	return c.Conn.Close()
}

// leave takes c out of those that owe a request. The guard's lock is held.
func (c *guarded) leave() {
	if c.place != nil {
		c.guard.waiting.Remove(c.place)
		c.place = nil
	}
}

// complete notes that a request has come in whole.
func (c *guarded) complete() {
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	c.leave()
}

// owes notes that the next request is waited for.
func (c *guarded) owes() {
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	if !c.gone && c.place == nil {
		c.place = c.guard.waiting.PushBack(c)
	}
}

type guardedKey struct{}

// remember puts the connection into the context of its requests.
func (g *guard) remember(ctx context.Context, c net.Conn) context.Context {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = over.NetConn() // below TLS
	}
	return context.WithValue(ctx, guardedKey{}, c)
}

// watch tells the guard when requests are complete, and when they are done.
func (g *guard) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(guardedKey{}).(*guarded)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength == 0 {
			c.complete()
		} else {
			r.Body = &guardedBody{ReadCloser: r.Body, conn: c}
		}
		defer c.owes()
		next.ServeHTTP(w, r)
	})
}

// guardedBody tells when it was read to its end.
type guardedBody struct {
	io.ReadCloser
	conn *guarded
}

func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.conn.complete()
	}
	return n, err
}
