package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// system is this machine's calls.
type system struct{}

var _ files.System = system{}

func info(fi fs.FileInfo) conn.FileInfo {
	out := conn.FileInfo{Mode: fi.Mode(), Size: fi.Size(), ModTime: fi.ModTime()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		out.UID, out.GID = int(st.Uid), int(st.Gid)
	}
	return out
}

// absent makes a path through a file, which cannot exist, a missing one.
func absent(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, syscall.ENOTDIR)
	}
	return err
}

func (system) Stat(_ context.Context, path string) (conn.FileInfo, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return conn.FileInfo{}, absent(err)
	}
	return info(fi), nil
}

func (system) Lstat(_ context.Context, path string) (conn.FileInfo, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return conn.FileInfo{}, absent(err)
	}
	return info(fi), nil
}

func (system) ReadLink(_ context.Context, path string) (string, error) { return os.Readlink(path) }

func (system) ReadDir(_ context.Context, path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (system) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, absent(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{files.Reader(ctx, f), f}, nil
}

func (s system) Checksum(ctx context.Context, path string) ([]byte, error) {
	r, err := s.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

func (system) Create(_ context.Context, path string) (files.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, absent(err)
	}
	return file{f}, nil
}

func (s system) Fill(ctx context.Context, to files.File, from string) error {
	r, err := s.Open(ctx, from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return to.Write(ctx, r)
}

func (system) Mkdir(_ context.Context, path string) error { return os.Mkdir(path, 0o700) }

func (system) Chmod(_ context.Context, path string, mode fs.FileMode) error {
	return os.Chmod(path, mode)
}

func (system) Chown(_ context.Context, path string, uid, gid int) error {
	return os.Chown(path, uid, gid)
}

func (system) Symlink(_ context.Context, target, path string) error {
	return cause(os.Symlink(target, path))
}

func (system) Rename(_ context.Context, from, to string) error { return cause(os.Rename(from, to)) }

// cause takes the two paths out of an error that is going to name them.
func cause(err error) error {
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

func (system) Remove(_ context.Context, path string) error { return os.Remove(path) }

func (system) RemoveTree(_ context.Context, path string) error { return os.RemoveAll(path) }

// file is a file being written.
type file struct{ f *os.File }

func (f file) Path() string { return f.f.Name() }

func (f file) Write(ctx context.Context, r io.Reader) error {
	_, err := io.Copy(f.f, files.Reader(ctx, r))
	return err
}

func (f file) Stat(context.Context) (conn.FileInfo, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return conn.FileInfo{}, err
	}
	return info(fi), nil
}

func (f file) Chmod(_ context.Context, mode fs.FileMode) error { return f.f.Chmod(mode) }

func (f file) Chown(_ context.Context, uid, gid int) error { return f.f.Chown(uid, gid) }

func (f file) Sync(context.Context) error { return f.f.Sync() }

func (f file) Close(context.Context) error { return f.f.Close() }
