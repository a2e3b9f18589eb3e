package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	pathpkg "path"
	"syscall"

	"github.com/pkg/sftp"
)

// maxLinks is how many symbolic links a host follows for one path, as Linux does.
const maxLinks = 40

// fullError is a file system with no space left.
type fullError struct{}

func (fullError) Error() string { return "no space left on the device" }
func (fullError) Unwrap() error { return syscall.ENOSPC }

// explain says more about a failed write to path, for which the protocol has one
// code, whatever the reason.
func (s *System) explain(ctx context.Context, path string, err error) error {
	status, ok := errors.AsType[*sftp.StatusError](err)
	if !ok || status.FxCode() != sftp.ErrSSHFxFailure {
		return err
	}
	room, serr := call(ctx, s.session, func(c *sftp.Client) (*sftp.StatVFS, error) {
		return c.StatVFS(pathpkg.Dir(path))
	})
	// File systems without a fixed number of files say that they have none.
	if serr == nil && (room.Bavail*room.Frsize < packetSize || room.Files > 0 && room.Favail == 0) {
		return fullError{}
	}
	return fmt.Errorf("the host gave no reason: %w", err)
}

// looped tells a loop of symbolic links at path from a missing file: the protocol
// has one code for both. Loops above the path are not looked for.
func (s *System) looped(ctx context.Context, path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for range maxLinks {
		fi, lerr := s.Lstat(ctx, path)
		if lerr != nil || fi.Mode.Type() != fs.ModeSymlink {
			return err
		}
		target, lerr := s.ReadLink(ctx, path)
		if lerr != nil {
			return err
		}
		if !pathpkg.IsAbs(target) {
			// Not path.Join: what .. means is for the host to say.
			dir, _ := pathpkg.Split(path)
			target = dir + target
		}
		path = target
	}
	return syscall.ELOOP
}
