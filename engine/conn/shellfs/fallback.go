package shellfs

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// ErrNoSFTP means that a host has no SFTP server for its user. It says so before
// the first operation has done anything.
var ErrNoSFTP = errors.New("the host offers no SFTP")

// Fallback returns a host's files over first, SFTP that is, and from the first
// error on that wraps [ErrNoSFTP] over the shell that run runs commands in. It is
// safe for concurrent use if first and run are.
func Fallback(first files.System, run func(context.Context, conn.Cmd) (conn.Output, error)) files.System {
	return &fallback{first: first, shell: New(run)}
}

type fallback struct {
	first files.System
	shell *System
	// absent means that first is of no use.
	absent atomic.Bool
}

var _ files.Namer = (*fallback)(nil)

// get runs one operation over whichever way there is.
func get[T any](f *fallback, op func(files.System) (T, error)) (T, error) {
	if !f.absent.Load() {
		v, err := op(f.first)
		if !errors.Is(err, ErrNoSFTP) {
			return v, err
		}
		f.absent.Store(true)
	}
	return op(f.shell)
}

// do is [get] for operations with no answer.
func (f *fallback) do(op func(files.System) error) error {
	_, err := get(f, func(s files.System) (struct{}, error) { return struct{}{}, op(s) })
	return err
}

// NamesOf implements [files.Namer].
func (f *fallback) NamesOf(ctx context.Context, uids, gids []int) (users, groups []string, ok bool, err error) {
	namer, can := f.first.(files.Namer)
	if !can || f.absent.Load() {
		return nil, nil, false, nil
	}
	users, groups, ok, err = namer.NamesOf(ctx, uids, gids)
	if errors.Is(err, ErrNoSFTP) {
		return nil, nil, false, nil
	}
	return users, groups, ok, err
}

// Stat implements [files.System].
func (f *fallback) Stat(ctx context.Context, path string, follow bool) (conn.FileInfo, error) {
	return get(f, func(s files.System) (conn.FileInfo, error) { return s.Stat(ctx, path, follow) })
}

// Inspect implements [files.System].
func (f *fallback) Inspect(ctx context.Context, path string, l conn.Look) (conn.Inspection, error) {
	return get(f, func(s files.System) (conn.Inspection, error) { return s.Inspect(ctx, path, l) })
}

// ReadLink implements [files.System].
func (f *fallback) ReadLink(ctx context.Context, path string) (string, error) {
	return get(f, func(s files.System) (string, error) { return s.ReadLink(ctx, path) })
}

// ReadDir implements [files.System].
func (f *fallback) ReadDir(ctx context.Context, path string) ([]string, error) {
	return get(f, func(s files.System) ([]string, error) { return s.ReadDir(ctx, path) })
}

// Open implements [files.System].
func (f *fallback) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	return get(f, func(s files.System) (io.ReadCloser, error) { return s.Open(ctx, path) })
}

// Write implements [files.System]. Content that was read cannot be sent again.
func (f *fallback) Write(ctx context.Context, path string, content io.Reader, a files.Attr) error {
	in := &watched{r: content}
	return f.do(func(s files.System) error {
		if in.read.Load() {
			return ErrNoSFTP
		}
		return s.Write(ctx, path, in, a)
	})
}

// watched is a reader that knows whether it was read from.
type watched struct {
	r    io.Reader
	read atomic.Bool
}

// Read implements [io.Reader].
func (w *watched) Read(p []byte) (int, error) {
	w.read.Store(true)
	return w.r.Read(p)
}

// Copy implements [files.System].
func (f *fallback) Copy(ctx context.Context, from, to string, a files.Attr) error {
	return f.do(func(s files.System) error { return s.Copy(ctx, from, to, a) })
}

// Mkdir implements [files.System].
func (f *fallback) Mkdir(ctx context.Context, path string, a files.Attr) error {
	return f.do(func(s files.System) error { return s.Mkdir(ctx, path, a) })
}

// SetAttr implements [files.System].
func (f *fallback) SetAttr(ctx context.Context, path string, a files.Attr) error {
	return f.do(func(s files.System) error { return s.SetAttr(ctx, path, a) })
}

// Symlink implements [files.System].
func (f *fallback) Symlink(ctx context.Context, target, path string) error {
	return f.do(func(s files.System) error { return s.Symlink(ctx, target, path) })
}

// Rename implements [files.System].
func (f *fallback) Rename(ctx context.Context, from, to string) error {
	return f.do(func(s files.System) error { return s.Rename(ctx, from, to) })
}

// Remove implements [files.System].
func (f *fallback) Remove(ctx context.Context, path string) error {
	return f.do(func(s files.System) error { return s.Remove(ctx, path) })
}

// RemoveAll implements [files.System].
func (f *fallback) RemoveAll(ctx context.Context, path string) error {
	return f.do(func(s files.System) error { return s.RemoveAll(ctx, path) })
}
