package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// System is the calls that a host offers. Paths are absolute, errors wrap the
// io/fs errors where one fits. FileInfo values come without Owner and Group.
type System interface {
	Stat(ctx context.Context, path string) (conn.FileInfo, error)
	Lstat(ctx context.Context, path string) (conn.FileInfo, error)
	ReadLink(ctx context.Context, path string) (string, error)
	ReadDir(ctx context.Context, path string) ([]string, error)
	Open(ctx context.Context, path string) (io.ReadCloser, error)
	Checksum(ctx context.Context, path string) ([]byte, error)

	// Create makes a new file that only its owner can read (0600).
	Create(ctx context.Context, path string) (File, error)
	// Fill copies the content of the file from into the new file to.
	Fill(ctx context.Context, to File, from string) error
	// Mkdir makes one directory that only its owner can enter (0700).
	Mkdir(ctx context.Context, path string) error
	// Chmod and Chown follow symbolic links.
	Chmod(ctx context.Context, path string, mode fs.FileMode) error
	Chown(ctx context.Context, path string, uid, gid int) error
	Symlink(ctx context.Context, target, path string) error
	// Rename replaces a file at the new path.
	Rename(ctx context.Context, from, to string) error
	Remove(ctx context.Context, path string) error
	// RemoveTree removes a directory and all below it.
	RemoveTree(ctx context.Context, path string) error
}

// File is a file being written.
type File interface {
	// Path is where the file was created.
	Path() string
	// Write replaces the content by all that r holds.
	Write(ctx context.Context, r io.Reader) error
	Stat(ctx context.Context) (conn.FileInfo, error)
	Chmod(ctx context.Context, mode fs.FileMode) error
	Chown(ctx context.Context, uid, gid int) error
	// Sync makes the content durable, where the host can.
	Sync(ctx context.Context) error
	Close(ctx context.Context) error
}

// Names translates between ids and names on the host. Decimal text is an id.
type Names interface {
	UserID(ctx context.Context, name string) (int, error)
	GroupID(ctx context.Context, name string) (int, error)
	// Fill sets Owner and Group from UID and GID.
	Fill(ctx context.Context, fi *conn.FileInfo) error
}

// FS is the file operations of a [conn.Conn]. It is safe for concurrent use if
// its parts are.
type FS struct {
	sys   System
	names Names
}

// New returns the file operations over sys.
func New(sys System, names Names) *FS { return &FS{sys: sys, names: names} }

// fail names the operation and the path, once.
func fail(op, name string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
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

// Stat implements [conn.Conn].
func (f *FS) Stat(ctx context.Context, name string) (conn.FileInfo, error) {
	return f.info(ctx, "stat", name, f.sys.Stat)
}

// Lstat implements [conn.Conn].
func (f *FS) Lstat(ctx context.Context, name string) (conn.FileInfo, error) {
	return f.info(ctx, "lstat", name, f.sys.Lstat)
}

func (f *FS) info(ctx context.Context, op, name string,
	call func(context.Context, string) (conn.FileInfo, error),
) (conn.FileInfo, error) {
	if err := check(ctx, name); err != nil {
		return conn.FileInfo{}, fail(op, name, err)
	}
	fi, err := call(ctx, name)
	if err != nil {
		return conn.FileInfo{}, fail(op, name, err)
	}
	if err := f.names.Fill(ctx, &fi); err != nil {
		return conn.FileInfo{}, fail(op, name, err)
	}
	return fi, nil
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

// Checksum implements [conn.Conn].
func (f *FS) Checksum(ctx context.Context, name string) ([]byte, error) {
	if err := check(ctx, name); err != nil {
		return nil, fail("checksum", name, err)
	}
	sum, err := f.sys.Checksum(ctx, name)
	if err != nil {
		return nil, fail("checksum", name, err)
	}
	return sum, nil
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
	if err != nil {
		return fail("remove all", name, err)
	}
	name = path.Clean(name)
	fi, err := f.sys.Lstat(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
	case fi.Mode.IsDir():
		err = f.sys.RemoveTree(ctx, name)
	default:
		err = f.sys.Remove(ctx, name)
	}
	if err != nil {
		return fail("remove all", name, err)
	}
	return nil
}
