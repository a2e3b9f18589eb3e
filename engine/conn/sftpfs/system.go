package sftpfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/pkg/sftp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// hashHere is the size up to which a file is read to be hashed: beyond it, one
// command on the host is faster.
const hashHere = 256 << 10

// System is a host's calls over SFTP. What the protocol has no call for runs as
// a command of the same user.
type System struct {
	session *Session
	run     func(context.Context, conn.Cmd) (conn.Output, error)
}

// NewSystem returns the calls over s; run runs commands as the user of s.
func NewSystem(s *Session, run func(context.Context, conn.Cmd) (conn.Output, error)) *System {
	return &System{session: s, run: run}
}

var _ files.System = (*System)(nil)

// do runs one exchange with no answer.
func (s *System) do(ctx context.Context, do func(*sftp.Client) error) error {
	_, err := call(ctx, s.session, func(c *sftp.Client) (struct{}, error) { return struct{}{}, do(c) })
	return err
}

func info(fi os.FileInfo) conn.FileInfo {
	out := conn.FileInfo{Mode: fi.Mode(), Size: fi.Size(), ModTime: fi.ModTime()}
	if st, ok := fi.Sys().(*sftp.FileStat); ok {
		out.UID, out.GID = int(st.UID), int(st.GID)
	}
	return out
}

// Stat implements [files.System].
func (s *System) Stat(ctx context.Context, path string) (conn.FileInfo, error) {
	fi, err := s.stat(ctx, path, (*sftp.Client).Stat)
	return fi, s.looped(ctx, path, err)
}

// Lstat implements [files.System].
func (s *System) Lstat(ctx context.Context, path string) (conn.FileInfo, error) {
	return s.stat(ctx, path, (*sftp.Client).Lstat)
}

func (s *System) stat(ctx context.Context, path string, stat func(*sftp.Client, string) (os.FileInfo, error),
) (conn.FileInfo, error) {
	fi, err := call(ctx, s.session, func(c *sftp.Client) (os.FileInfo, error) { return stat(c, path) })
	if err != nil {
		return conn.FileInfo{}, err
	}
	return info(fi), nil
}

// ReadLink implements [files.System].
func (s *System) ReadLink(ctx context.Context, path string) (string, error) {
	return call(ctx, s.session, func(c *sftp.Client) (string, error) { return c.ReadLink(path) })
}

// ReadDir implements [files.System].
func (s *System) ReadDir(ctx context.Context, path string) ([]string, error) {
	entries, err := call(ctx, s.session, func(c *sftp.Client) ([]os.FileInfo, error) {
		return c.ReadDirContext(ctx, path)
	})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Mkdir implements [files.System].
func (s *System) Mkdir(ctx context.Context, path string) error {
	return s.exists(ctx, path, s.do(ctx, func(c *sftp.Client) error { return c.Mkdir(path) }))
}

// Symlink implements [files.System].
func (s *System) Symlink(ctx context.Context, target, path string) error {
	return s.exists(ctx, path, s.do(ctx, func(c *sftp.Client) error { return c.Symlink(target, path) }))
}

// exists finds out whether the protocol's one code for most failures stood for
// something being at path already.
func (s *System) exists(ctx context.Context, path string, err error) error {
	if _, ok := errors.AsType[*sftp.StatusError](err); !ok {
		return err
	}
	if _, serr := s.Lstat(ctx, path); serr == nil {
		return fs.ErrExist
	}
	return err
}

// Chmod implements [files.System].
func (s *System) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	return s.do(ctx, func(c *sftp.Client) error { return c.Chmod(path, mode) })
}

// Chown implements [files.System].
func (s *System) Chown(ctx context.Context, path string, uid, gid int) error {
	return s.do(ctx, func(c *sftp.Client) error { return c.Chown(path, uid, gid) })
}

// Rename implements [files.System].
func (s *System) Rename(ctx context.Context, from, to string) error {
	return s.do(ctx, func(c *sftp.Client) error {
		if _, ok := c.HasExtension("posix-rename@openssh.com"); !ok {
			return errors.New("the host's SFTP server cannot rename over a file (posix-rename@openssh.com)")
		}
		return c.PosixRename(from, to)
	})
}

// Remove implements [files.System].
func (s *System) Remove(ctx context.Context, path string) error {
	return s.do(ctx, func(c *sftp.Client) error { return c.Remove(path) })
}

// RemoveTree implements [files.System]. A tree costs one command rather than a
// round trip for every file in it.
func (s *System) RemoveTree(ctx context.Context, path string) error {
	return s.command(ctx, "rm", "-rf", "--", path)
}

// command runs a command that prints nothing when it succeeds.
func (s *System) command(ctx context.Context, argv ...string) error {
	out, err := s.run(ctx, conn.Cmd{Argv: argv})
	if err != nil {
		return err
	}
	if out.Code == 0 {
		return nil
	}
	said := strings.TrimSpace(string(out.Stderr))
	for text, err := range map[string]error{
		"Permission denied":         fs.ErrPermission,
		"Operation not permitted":   fs.ErrPermission,
		"No such file or directory": fs.ErrNotExist,
	} {
		if strings.HasSuffix(said, text) {
			return fmt.Errorf("%s: %w", argv[0], err)
		}
	}
	return fmt.Errorf("%s: exit status %d: %s", argv[0], out.Code, said)
}

// Checksum implements [files.System].
func (s *System) Checksum(ctx context.Context, path string) ([]byte, error) {
	fi, err := s.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	if fi.Mode.IsDir() {
		return nil, fmt.Errorf("it is a directory: %w", fs.ErrInvalid)
	}
	if fi.Size > hashHere {
		// The name goes in by redirection: sha256sum escapes some names.
		out, err := s.run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", `exec sha256sum <"$1"`, "jet", path}})
		if err != nil {
			return nil, err
		}
		sum, err := hex.DecodeString(strings.TrimSuffix(strings.TrimSpace(string(out.Stdout)), "  -"))
		if out.Code == 0 && err == nil && len(sum) == sha256.Size {
			return sum, nil
		}
	}
	r, err := s.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
