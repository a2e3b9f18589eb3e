package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// System is a host's files over SFTP. What the protocol has no request for runs
// as a command of the same user. It is safe for concurrent use.
type System struct {
	session *Session
	run     func(context.Context, conn.Cmd) (conn.Output, error)

	mu sync.Mutex
	// plain is the sizes of files that are known to be regular ones, see
	// [System.foreseen].
	plain map[string]int64
}

var (
	_ files.System = (*System)(nil)
	_ files.Namer  = (*System)(nil)
)

// NewSystem returns the files over s; run runs commands as the user of s.
func NewSystem(s *Session, run func(context.Context, conn.Cmd) (conn.Output, error)) *System {
	return &System{session: s, run: run, plain: map[string]int64{}}
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

// Rename implements [files.System].
func (s *System) Rename(ctx context.Context, from, to string) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	return s.rename(ctx, c, from, to)
}

// moveScript is started with two paths. It does not move into a directory.
const moveScript = `if [ -d "$2" ] && ! [ -d "$1" ]; then echo "there is a directory" >&2; exit 1; fi
exec mv -f -- "$1" "$2"`

// rename replaces a file at the new path. The protocol's own request does not,
// which is why servers without OpenSSH's may need a command.
func (s *System) rename(ctx context.Context, c *client, from, to string) error {
	f := c.flight()
	if c.offers[extRename] {
		f.extended(extRename, typeStatus, from, to)
		return f.wait(ctx)
	}
	f.two(typeRename, from, to)
	err := f.wait(ctx)
	if _, ok := errors.AsType[*statusError](err); !ok {
		return err
	}
	return s.command(ctx, "/bin/sh", "-c", moveScript, "jet", from, to)
}

// Remove implements [files.System].
func (s *System) Remove(ctx context.Context, path string) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	f := c.flight()
	file := f.on(typeRemove, typeStatus, path)
	dir := f.on(typeRmdir, typeStatus, path)
	if err := f.send(ctx); err != nil {
		return err
	}
	ferr, derr := f.second(ctx, file, dir)
	switch {
	case ferr == nil || derr == nil:
		return nil
	case failure(ferr) && !errors.Is(derr, fs.ErrNotExist):
		return derr // no file, but a directory
	}
	return ferr
}

// second waits for the answers to two requests.
func (f *flight) second(ctx context.Context, a, b *call) (aerr, berr error) {
	_, aerr = f.c.wait(ctx, a)
	_, berr = f.c.wait(ctx, b)
	return aerr, berr
}

// RemoveAll implements [files.System]. A tree costs one command rather than a
// round trip for every level of it; and unlike requests that name paths, rm does
// not follow a link that somebody puts in a directory's place meanwhile.
func (s *System) RemoveAll(ctx context.Context, path string) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	f := c.flight()
	stat := f.stat(path, false)
	file := f.on(typeRemove, typeStatus, path)
	dir := f.on(typeRmdir, typeStatus, path)
	if err := f.send(ctx); err != nil {
		return err
	}
	before, err := c.wait(ctx, stat)
	ferr, derr := f.second(ctx, file, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case ferr == nil || derr == nil:
		return nil
	case !before.info.Mode.IsDir():
		return ferr
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.command(ctx, "rm", "-rf", "--", path)
}

// Symlink implements [files.System].
func (s *System) Symlink(ctx context.Context, target, path string) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	f := c.flight()
	f.symlink(target, path)
	err = f.wait(ctx)
	if !failure(err) {
		return err
	}
	// The code for most failures may stand for something being there already.
	look := c.flight()
	look.stat(path, false)
	if look.wait(ctx) == nil {
		return fs.ErrExist
	}
	return s.explain(ctx, c, path, err)
}
