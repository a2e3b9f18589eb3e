package runner

import (
	"context"
	"io"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// fence keeps a job that may be another runner's by now from changing hosts. A
// process that was frozen goes on where it stopped before it learns that its lease
// is over; so whatever changes a host asks the lease first.
type fence struct {
	conn.Dialer
	lease *queue.Lease
}

// Dial implements [conn.Dialer].
func (f fence) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	c, err := f.Dialer.Dial(ctx, t)
	if err != nil {
		return nil, err
	}
	return fenced{c, f.lease}, nil
}

// fenced is a connection behind a fence. Two for one connection are equal, as users
// of a connection may be compared.
type fenced struct {
	conn.Conn
	lease *queue.Lease
}

// As implements [conn.Conn].
func (f fenced) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	c, err := f.Conn.As(ctx, b)
	if err != nil {
		return nil, err
	}
	return fenced{c, f.lease}, nil
}

// Run implements [conn.Conn].
func (f fenced) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	if err := f.lease.Held(); err != nil {
		return conn.Output{}, err
	}
	return f.Conn.Run(ctx, c)
}

// WriteFile implements [conn.Conn].
func (f fenced) WriteFile(ctx context.Context, path string, content io.Reader, a conn.Attr) error {
	return f.change(func() error { return f.Conn.WriteFile(ctx, path, content, a) })
}

// Mkdir implements [conn.Conn].
func (f fenced) Mkdir(ctx context.Context, path string, a conn.Attr) error {
	return f.change(func() error { return f.Conn.Mkdir(ctx, path, a) })
}

// SetAttr implements [conn.Conn].
func (f fenced) SetAttr(ctx context.Context, path string, a conn.Attr) error {
	return f.change(func() error { return f.Conn.SetAttr(ctx, path, a) })
}

// Symlink implements [conn.Conn].
func (f fenced) Symlink(ctx context.Context, target, path string) error {
	return f.change(func() error { return f.Conn.Symlink(ctx, target, path) })
}

// Rename implements [conn.Conn].
func (f fenced) Rename(ctx context.Context, from, to string) error {
	return f.change(func() error { return f.Conn.Rename(ctx, from, to) })
}

// Copy implements [conn.Conn].
func (f fenced) Copy(ctx context.Context, from, to string, a conn.Attr) error {
	return f.change(func() error { return f.Conn.Copy(ctx, from, to, a) })
}

// Remove implements [conn.Conn].
func (f fenced) Remove(ctx context.Context, path string) error {
	return f.change(func() error { return f.Conn.Remove(ctx, path) })
}

// RemoveAll implements [conn.Conn].
func (f fenced) RemoveAll(ctx context.Context, path string) error {
	return f.change(func() error { return f.Conn.RemoveAll(ctx, path) })
}

// change runs an operation that changes the host, if the job is still ours.
func (f fenced) change(op func() error) error {
	if err := f.lease.Held(); err != nil {
		return err
	}
	return op()
}
