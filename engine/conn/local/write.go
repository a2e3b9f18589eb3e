package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	pathpkg "path"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// Write implements [files.System].
func (s system) Write(ctx context.Context, path string, content io.Reader, a files.Attr) error {
	return s.replace(ctx, path, content, a)
}

// Copy implements [files.System].
func (s system) Copy(ctx context.Context, from, to string, a files.Attr) error {
	fi, err := s.Stat(ctx, from, true)
	if err != nil {
		return err
	}
	if !fi.Mode.IsRegular() {
		return fmt.Errorf("the source is not a regular file: %w", fs.ErrInvalid)
	}
	r, err := s.Open(ctx, from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return s.replace(ctx, to, r, a)
}

// replace puts a new file in the place of whatever path leads to.
func (s system) replace(ctx context.Context, path string, content io.Reader, a files.Attr) (err error) {
	target, old, err := s.follow(ctx, path)
	if err != nil {
		return err
	}
	const private = 0o600
	tmp, err := os.OpenFile(files.Temporary(target), os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return fmt.Errorf("create a temporary file beside it: %w", cause(err))
	}
	defer func() {
		if err == nil {
			return
		}
		_ = tmp.Close()
		if rerr := os.Remove(tmp.Name()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("%w (and the temporary file could not be removed: %w)", err, rerr)
		}
	}()
	if err := fill(ctx, tmp, content, a.Over(old)); err != nil {
		return err
	}
	return cause(os.Rename(tmp.Name(), target))
}

// fill writes a temporary file, and closes it.
func fill(ctx context.Context, tmp *os.File, content io.Reader, want files.Attr) error {
	if _, err := io.Copy(tmp, files.Reader(ctx, content)); err != nil {
		return err
	}
	// The owner first: a change of owner takes the setuid bits away.
	if want.UID >= 0 || want.GID >= 0 {
		if err := tmp.Chown(want.UID, want.GID); err != nil {
			return fmt.Errorf("set owner %d and group %d: %w", want.UID, want.GID, bare(err))
		}
	}
	if err := tmp.Chmod(*want.Mode); err != nil {
		return bare(err)
	}
	if err := tmp.Sync(); err != nil {
		return bare(err)
	}
	return bare(tmp.Close())
}

var errLinks = errors.New("too many symbolic links")

// follow finds the path that a write to path ends at, and what is there now. A
// link to a file that is not there yet ends at that file.
func (s system) follow(ctx context.Context, path string) (string, *conn.FileInfo, error) {
	for range files.MaxLinks {
		fi, err := s.Stat(ctx, path, false)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil, nil
		case err != nil:
			return "", nil, err
		case fi.Mode.IsRegular():
			return path, &fi, nil
		case fi.Mode.Type() != fs.ModeSymlink:
			return "", nil, fmt.Errorf("there is something else than a regular file: %w", fs.ErrExist)
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", nil, bare(err)
		}
		if !pathpkg.IsAbs(link) {
			// Not path.Join: what .. means is for the system to say.
			dir, _ := pathpkg.Split(path)
			link = dir + link
		}
		path = link
	}
	return "", nil, errLinks
}
