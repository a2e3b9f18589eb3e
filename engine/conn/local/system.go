package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
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

// bare takes the paths out of an error that is going to name them.
func bare(err error) error {
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// cause is [bare], with a path through a file, which cannot exist, as a missing
// one.
func cause(err error) error {
	err = bare(err)
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// Stat implements [files.System].
func (system) Stat(_ context.Context, path string, follow bool) (conn.FileInfo, error) {
	look := os.Lstat
	if follow {
		look = os.Stat
	}
	fi, err := look(path)
	if err != nil {
		return conn.FileInfo{}, cause(err)
	}
	return info(fi), nil
}

// Inspect implements [files.System].
func (s system) Inspect(ctx context.Context, path string, l conn.Look) (conn.Inspection, error) {
	fi, err := s.Stat(ctx, path, !l.NoFollow)
	if err != nil {
		return conn.Inspection{}, err
	}
	found := conn.Inspection{FileInfo: fi}
	content := l.Content > 0 && fi.Size <= l.Content
	summed := l.Sum && (l.Size < 0 || l.Size == fi.Size)
	if !fi.Mode.IsRegular() || !content && !summed {
		return found, nil
	}
	r, err := s.Open(ctx, path)
	if err != nil {
		return conn.Inspection{}, err
	}
	defer func() { _ = r.Close() }()
	var sum hash.Hash
	if summed {
		sum = sha256.New()
	}
	if err := read(r, &found, sum, content, l.Content); err != nil {
		return conn.Inspection{}, err
	}
	if summed {
		found.Sum = sum.Sum(nil)
	}
	return found, nil
}

// read reads a file for its content, unless that is more than most, and its sum,
// which may be nil.
func read(r io.Reader, found *conn.Inspection, sum hash.Hash, content bool, most int64) error {
	if !content {
		_, err := io.Copy(sum, r)
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return err
	}
	if int64(len(text)) <= most {
		found.Content = text
	}
	if sum == nil {
		return nil
	}
	sum.Write(text)
	_, err = io.Copy(sum, r)
	return err
}

// ReadLink implements [files.System].
func (system) ReadLink(_ context.Context, path string) (string, error) {
	target, err := os.Readlink(path)
	return target, cause(err)
}

// ReadDir implements [files.System].
func (system) ReadDir(_ context.Context, path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, bare(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Open implements [files.System].
func (system) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{files.Reader(ctx, f), f}, nil
}

// Mkdir implements [files.System].
func (s system) Mkdir(ctx context.Context, path string, a files.Attr) error {
	const private = 0o700
	if err := os.Mkdir(path, private); err != nil {
		return cause(err)
	}
	err := s.SetAttr(ctx, path, a)
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// Symlink implements [files.System].
func (system) Symlink(_ context.Context, target, path string) error {
	return cause(os.Symlink(target, path))
}

// Rename implements [files.System].
func (system) Rename(_ context.Context, from, to string) error { return cause(os.Rename(from, to)) }

// Remove implements [files.System].
func (system) Remove(_ context.Context, path string) error { return cause(os.Remove(path)) }

// RemoveAll implements [files.System].
func (system) RemoveAll(_ context.Context, path string) error {
	err := os.RemoveAll(path)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil // a path through a file: nothing is there
	}
	return bare(err)
}
