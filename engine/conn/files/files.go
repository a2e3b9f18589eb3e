package files

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Names translates between ids and names on the host. Decimal text is an id.
type Names interface {
	UserID(ctx context.Context, name string) (int, error)
	GroupID(ctx context.Context, name string) (int, error)
	// Fill sets Owner and Group from UID and GID. It may ask by, which may be nil,
	// rather than the host by a command.
	Fill(ctx context.Context, fi *conn.FileInfo, by Namer) error
}

// Namer is a [System] that may know the names of ids itself.
type Namer interface {
	// NamesOf returns the names in the order of the ids, empty for an id that has
	// none. It is not ok when the system cannot tell.
	NamesOf(ctx context.Context, uids, gids []int) (users, groups []string, ok bool, err error)
}

// FS is the file operations of a [conn.Conn]. It is safe for concurrent use if
// its parts are.
type FS struct {
	sys   System
	names Names
	namer Namer
}

// New returns the file operations over sys.
func New(sys System, names Names) *FS {
	namer, _ := sys.(Namer)
	return &FS{sys: sys, names: names, namer: namer}
}

// fail names the operation and the path, once.
func fail(op, name string, err error) error {
	return fmt.Errorf("%s %q: %w", op, name, err)
}

// check refuses paths that no operation takes.
func check(ctx context.Context, paths ...string) error {
	for _, p := range paths {
		if !path.IsAbs(p) {
			return fmt.Errorf("the path is not absolute: %w", fs.ErrInvalid)
		}
		if strings.ContainsRune(p, 0) {
			return fmt.Errorf("the path holds a NUL byte: %w", fs.ErrInvalid)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// ReadLink implements [conn.Conn].
func (f *FS) ReadLink(ctx context.Context, name string) (string, error) {
	if err := check(ctx, name); err != nil {
		return "", fail("read link", name, err)
	}
	target, err := f.sys.ReadLink(ctx, name)
	if err != nil {
		return "", fail("read link", name, err)
	}
	return target, nil
}

// ReadDir implements [conn.Conn].
func (f *FS) ReadDir(ctx context.Context, name string) ([]string, error) {
	if err := check(ctx, name); err != nil {
		return nil, fail("read directory", name, err)
	}
	names, err := f.sys.ReadDir(ctx, name)
	if err != nil {
		return nil, fail("read directory", name, err)
	}
	slices.Sort(names)
	return names, nil
}

// Open implements [conn.Conn].
func (f *FS) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := check(ctx, name); err != nil {
		return nil, fail("open", name, err)
	}
	r, err := f.sys.Open(ctx, name)
	if err != nil {
		return nil, fail("open", name, err)
	}
	return r, nil
}

// Symlink implements [conn.Conn].
func (f *FS) Symlink(ctx context.Context, target, name string) error {
	err := check(ctx, name)
	if err == nil && (target == "" || strings.ContainsRune(target, 0)) {
		err = fmt.Errorf("the target %q cannot be linked to: %w", target, fs.ErrInvalid)
	}
	if err == nil {
		err = f.sys.Symlink(ctx, target, name)
	}
	if err != nil {
		return fail("symlink", name, err)
	}
	return nil
}

// Rename implements [conn.Conn].
func (f *FS) Rename(ctx context.Context, from, to string) error {
	err := check(ctx, from, to)
	if err == nil {
		err = f.sys.Rename(ctx, from, to)
	}
	if err != nil {
		return fail("rename", from, fmt.Errorf("to %q: %w", to, err))
	}
	return nil
}

// Remove implements [conn.Conn].
func (f *FS) Remove(ctx context.Context, name string) error {
	err := check(ctx, name)
	if err == nil {
		err = f.sys.Remove(ctx, name)
	}
	if err != nil {
		return fail("remove", name, err)
	}
	return nil
}

// RemoveAll implements [conn.Conn].
func (f *FS) RemoveAll(ctx context.Context, name string) error {
	err := check(ctx, name)
	if err == nil && path.Clean(name) == "/" {
		err = fmt.Errorf("the root directory is not removed: %w", fs.ErrInvalid)
	}
	if err == nil {
		err = f.sys.RemoveAll(ctx, path.Clean(name))
	}
	if err != nil {
		return fail("remove all", name, err)
	}
	return nil
}
