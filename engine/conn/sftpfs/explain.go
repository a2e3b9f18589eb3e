package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	pathpkg "path"
	"syscall"

	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// fullError is a file system with no space left.
type fullError struct{}

func (fullError) Error() string { return "no space left on the device" }
func (fullError) Unwrap() error { return syscall.ENOSPC }

// explain says more about a failed write to path, for which the protocol has one
// code, whatever the reason.
func (s *System) explain(ctx context.Context, c *client, path string, err error) error {
	if !failure(err) {
		return err
	}
	if c.offers[extSpace] {
		f := c.flight()
		space := f.extended(extSpace, typeReply, pathpkg.Dir(path))
		if f.send(ctx) == nil {
			if a, serr := c.wait(ctx, space); serr == nil && full(a.data) {
				return fullError{}
			}
		}
	}
	return fmt.Errorf("the host gave no reason: %w", err)
}

// full reads the answer about a file system's space.
func full(reply []byte) bool {
	d := decoder{rest: reply}
	d.long() // the preferred block size
	unit := d.long()
	d.long() // all blocks
	d.long() // free ones, root's own among them
	blocks := d.long()
	files := d.long()
	d.long() // free ones
	free := d.long()
	// File systems without a fixed number of files say that they have none.
	return !d.bad && (blocks == 0 || blocks < dataSize/max(unit, 1) || files > 0 && free == 0)
}

// looped tells a loop of symbolic links at path from a link to nothing: the
// protocol has one code for both. Loops above the path are not looked for.
func (s *System) looped(ctx context.Context, c *client, path string) error {
	for range files.MaxLinks {
		f := c.flight()
		stat, link := f.stat(path, false), f.on(typeReadlink, typeName, path)
		if err := f.send(ctx); err != nil {
			return err
		}
		a, err := c.wait(ctx, stat)
		l, lerr := c.wait(ctx, link)
		if err != nil || lerr != nil || a.info.Mode.Type() != fs.ModeSymlink || len(l.names) == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fs.ErrNotExist
		}
		path = beside(path, l.names[0])
	}
	return syscall.ELOOP
}

// beside is the path that a link at path leads to.
func beside(path, target string) string {
	if pathpkg.IsAbs(target) {
		return target
	}
	// Not path.Join: what .. means is for the host to say.
	dir, _ := pathpkg.Split(path)
	return dir + target
}

// missing reports whether err is that of a file that is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
