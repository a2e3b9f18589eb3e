package pool

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
)

// lease is a connection in one caller's hands.
type lease struct {
	pool *Pool
	warm *warm

	running launch.Running
	// checked is closed when the host gave a sign of life, or did not in time. It
	// is nil for connections that are not doubted.
	checked chan struct{}
	// spoilt means that the connection must not be used again.
	spoilt atomic.Bool

	mu    sync.Mutex
	users map[conn.Conn]*user
	// open is the files open for reading.
	open map[*file]struct{}
	// ended is closed when the connection was given back.
	ended chan struct{}
}

// as returns the lease's view of c, a connection of one user.
func (l *lease) as(c conn.Conn) *user {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, ok := l.users[c]
	if !ok {
		if l.users == nil {
			l.users = map[conn.Conn]*user{}
		}
		u = &user{l: l, c: c}
		l.users[c] = u
	}
	return u
}

// close ends what goes on over the connection and gives it back, once.
func (l *lease) close() error {
	l.mu.Lock()
	ended, first := l.ended, l.ended == nil
	if first {
		ended = make(chan struct{})
		l.ended = ended
	}
	for f := range l.open {
		// Nobody waits for its reads: they end with the connection.
		l.spoilt.Store(true)
		f.end(errClosed)
	}
	l.mu.Unlock()
	if !first {
		<-ended
		return nil
	}
	defer close(ended)
	if l.checked != nil {
		<-l.checked
	}
	l.running.Close(errClosed)
	return l.pool.giveBack(l, !l.spoilt.Load())
}

// do runs one operation.
func do[T any](ctx context.Context, l *lease, op func(context.Context) (T, error)) (T, error) {
	ctx, done, ok := l.running.Begin(ctx)
	if !ok {
		var zero T
		return zero, errClosed
	}
	defer done()
	v, err := op(ctx)
	if errors.Is(err, conn.ErrUnreachable) {
		l.spoilt.Store(true)
	}
	return v, err
}

// change runs an operation that changes the host. One that was cut short may
// still go on at the other end.
func change[T any](ctx context.Context, l *lease, op func(context.Context) (T, error)) (T, error) {
	if l.checked != nil {
		select {
		case <-l.checked:
		case <-ctx.Done():
			var zero T
			return zero, context.Cause(ctx)
		}
	}
	v, err := do(ctx, l, op)
	if err != nil && ctx.Err() != nil {
		l.spoilt.Store(true)
	}
	return v, err
}

// try is [change] for operations with no answer.
func try(ctx context.Context, l *lease, op func(context.Context) error) error {
	_, err := change(ctx, l, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

// user is one user on a leased connection.
type user struct {
	l *lease
	c conn.Conn
}

var _ conn.Conn = (*user)(nil)

// User implements [conn.Conn].
func (u *user) User() string { return u.c.User() }

// RTT implements [conn.Conn].
func (u *user) RTT() time.Duration { return u.c.RTT() }

// As implements [conn.Conn].
func (u *user) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	c, err := do(ctx, u.l, func(ctx context.Context) (conn.Conn, error) { return u.c.As(ctx, b) })
	if err != nil {
		return nil, err
	}
	return u.l.as(c), nil
}

// Close implements [conn.Conn]: the login user's connection goes back to the
// pool, whose other users need not be closed.
func (u *user) Close() error {
	if u.c != u.l.warm.Conn {
		return nil
	}
	return u.l.close()
}

// Run implements [conn.Conn].
func (u *user) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	run := change[conn.Output]
	if c.ReadOnly {
		run = do[conn.Output]
	}
	return run(ctx, u.l, func(ctx context.Context) (conn.Output, error) { return u.c.Run(ctx, c) })
}

// Stat implements [conn.Conn].
func (u *user) Stat(ctx context.Context, path string) (conn.FileInfo, error) {
	return do(ctx, u.l, func(ctx context.Context) (conn.FileInfo, error) { return u.c.Stat(ctx, path) })
}

// Lstat implements [conn.Conn].
func (u *user) Lstat(ctx context.Context, path string) (conn.FileInfo, error) {
	return do(ctx, u.l, func(ctx context.Context) (conn.FileInfo, error) { return u.c.Lstat(ctx, path) })
}

// Inspect implements [conn.Conn].
func (u *user) Inspect(ctx context.Context, path string, look conn.Look) (conn.Inspection, error) {
	return do(ctx, u.l, func(ctx context.Context) (conn.Inspection, error) { return u.c.Inspect(ctx, path, look) })
}

// ReadLink implements [conn.Conn].
func (u *user) ReadLink(ctx context.Context, path string) (string, error) {
	return do(ctx, u.l, func(ctx context.Context) (string, error) { return u.c.ReadLink(ctx, path) })
}

// ReadDir implements [conn.Conn].
func (u *user) ReadDir(ctx context.Context, path string) ([]string, error) {
	return do(ctx, u.l, func(ctx context.Context) ([]string, error) { return u.c.ReadDir(ctx, path) })
}

// Checksum implements [conn.Conn].
func (u *user) Checksum(ctx context.Context, path string) ([]byte, error) {
	return do(ctx, u.l, func(ctx context.Context) ([]byte, error) { return u.c.Checksum(ctx, path) })
}

// WriteFile implements [conn.Conn].
func (u *user) WriteFile(ctx context.Context, path string, content io.Reader, a conn.Attr) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.WriteFile(ctx, path, content, a) })
}

// Mkdir implements [conn.Conn].
func (u *user) Mkdir(ctx context.Context, path string, a conn.Attr) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.Mkdir(ctx, path, a) })
}

// SetAttr implements [conn.Conn].
func (u *user) SetAttr(ctx context.Context, path string, a conn.Attr) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.SetAttr(ctx, path, a) })
}

// Symlink implements [conn.Conn].
func (u *user) Symlink(ctx context.Context, target, path string) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.Symlink(ctx, target, path) })
}

// Rename implements [conn.Conn].
func (u *user) Rename(ctx context.Context, from, to string) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.Rename(ctx, from, to) })
}

// Copy implements [conn.Conn].
func (u *user) Copy(ctx context.Context, from, to string, a conn.Attr) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.Copy(ctx, from, to, a) })
}

// Remove implements [conn.Conn].
func (u *user) Remove(ctx context.Context, path string) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.Remove(ctx, path) })
}

// RemoveAll implements [conn.Conn].
func (u *user) RemoveAll(ctx context.Context, path string) error {
	return try(ctx, u.l, func(ctx context.Context) error { return u.c.RemoveAll(ctx, path) })
}
