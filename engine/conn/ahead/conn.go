package ahead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// errPreview is what a preview's connection answers to all that is no read.
var errPreview = errors.New("nothing but reading is done ahead")

// Preview returns a connection that reads for a task whose turn has not come.
// What is read is kept. It changes nothing: everything but reads is an error.
func (m *Memory) Preview(c conn.Conn) conn.Conn {
	return &reader{Conn: c, m: m, answer: m.ask, preview: true}
}

// Query returns a connection whose reads are answered from what was read ahead,
// where that is still true; everything else passes through.
func (m *Memory) Query(c conn.Conn) conn.Conn {
	return &reader{Conn: c, m: m, answer: func(ctx context.Context, k key, read func() (any, error)) (any, error) {
		if v, ok, err := m.recall(ctx, k); ok {
			return v, err
		}
		return read()
	}}
}

// reader is a connection that answers reads by a memory.
type reader struct {
	conn.Conn
	m       *Memory
	answer  func(context.Context, key, func() (any, error)) (any, error)
	preview bool
}

// get answers a question about what.
func get[T any](ctx context.Context, r *reader, op, what string, look conn.Look, read func() (T, error)) (T, error) {
	v, err := r.answer(ctx, key{of: r.Conn, op: op, what: what, look: look}, func() (any, error) { return read() })
	t, _ := v.(T)
	return t, err
}

func (r *reader) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	c, err := r.Conn.As(ctx, b)
	if err != nil {
		return nil, err
	}
	if r.preview {
		return r.m.Preview(c), nil
	}
	return r.m.Query(c), nil
}

func (r *reader) Stat(ctx context.Context, path string) (conn.FileInfo, error) {
	return get(ctx, r, "stat", path, conn.Look{}, func() (conn.FileInfo, error) { return r.Conn.Stat(ctx, path) })
}

func (r *reader) Lstat(ctx context.Context, path string) (conn.FileInfo, error) {
	return get(ctx, r, "lstat", path, conn.Look{}, func() (conn.FileInfo, error) { return r.Conn.Lstat(ctx, path) })
}

func (r *reader) Inspect(ctx context.Context, path string, l conn.Look) (conn.Inspection, error) {
	return get(ctx, r, "inspect", path, l, func() (conn.Inspection, error) { return r.Conn.Inspect(ctx, path, l) })
}

func (r *reader) ReadLink(ctx context.Context, path string) (string, error) {
	return get(ctx, r, "readlink", path, conn.Look{}, func() (string, error) { return r.Conn.ReadLink(ctx, path) })
}

func (r *reader) ReadDir(ctx context.Context, path string) ([]string, error) {
	names, err := get(ctx, r, "readdir", path, conn.Look{}, func() ([]string, error) { return r.Conn.ReadDir(ctx, path) })
	return slices.Clone(names), err
}

func (r *reader) Checksum(ctx context.Context, path string) ([]byte, error) {
	return get(ctx, r, "checksum", path, conn.Look{}, func() ([]byte, error) { return r.Conn.Checksum(ctx, path) })
}

// Run answers commands that change nothing; what they are streamed to or fed
// from cannot be kept.
func (r *reader) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	plain := c.ReadOnly && c.Stdin == nil && c.Stdout == nil && c.Stderr == nil
	switch {
	case plain:
		what := fmt.Sprintf("%q %q %q %q", c.Argv, c.Shell, c.Env, c.Dir)
		return get(ctx, r, "run", what, conn.Look{}, func() (conn.Output, error) { return r.Conn.Run(ctx, c) })
	case r.preview:
		return conn.Output{}, errPreview
	default:
		return r.Conn.Run(ctx, c)
	}
}

func (r *reader) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	if r.preview {
		return nil, errPreview
	}
	return r.Conn.Open(ctx, path)
}

// change makes a change, unless this is a preview.
func (r *reader) change(do func() error) error {
	if r.preview {
		return errPreview
	}
	return do()
}

func (r *reader) WriteFile(ctx context.Context, path string, content io.Reader, a conn.Attr) error {
	return r.change(func() error { return r.Conn.WriteFile(ctx, path, content, a) })
}

func (r *reader) Mkdir(ctx context.Context, path string, a conn.Attr) error {
	return r.change(func() error { return r.Conn.Mkdir(ctx, path, a) })
}

func (r *reader) SetAttr(ctx context.Context, path string, a conn.Attr) error {
	return r.change(func() error { return r.Conn.SetAttr(ctx, path, a) })
}

func (r *reader) Symlink(ctx context.Context, target, path string) error {
	return r.change(func() error { return r.Conn.Symlink(ctx, target, path) })
}

func (r *reader) Rename(ctx context.Context, from, to string) error {
	return r.change(func() error { return r.Conn.Rename(ctx, from, to) })
}

func (r *reader) Copy(ctx context.Context, from, to string, a conn.Attr) error {
	return r.change(func() error { return r.Conn.Copy(ctx, from, to, a) })
}

func (r *reader) Remove(ctx context.Context, path string) error {
	return r.change(func() error { return r.Conn.Remove(ctx, path) })
}

func (r *reader) RemoveAll(ctx context.Context, path string) error {
	return r.change(func() error { return r.Conn.RemoveAll(ctx, path) })
}

// Close is the owner's to call.
func (r *reader) Close() error { return nil }
