package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// special is the bits that a change of owner takes away.
const special = fs.ModeSetuid | fs.ModeSetgid

// SetAttr implements [files.System]. Everything is in one flight if the caller
// said all there is to say. Where it did not, the host is asked first: the
// protocol sets owner and group together. A setuid bit waits until the owner is
// known to be the right one.
func (s *System) SetAttr(ctx context.Context, path string, a files.Attr) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	set := atPath(path)
	if a.NoFollow {
		if !c.offers[extLinkAttr] {
			return s.setLinkAttr(ctx, path, a)
		}
		set = atLink(path)
	}
	chown := a.UID >= 0 || a.GID >= 0
	whole := !chown || a.UID >= 0 && a.GID >= 0 && (a.Mode == nil || *a.Mode&special == 0)
	f := c.flight()
	stat := f.stat(path, !a.NoFollow)
	var own, permit *call
	if chown && whole {
		own = set.own(f, a.UID, a.GID)
	}
	if a.Mode != nil && whole {
		permit = set.permit(f, *a.Mode)
	}
	if err := f.send(ctx); err != nil {
		return err
	}
	found, err := c.wait(ctx, stat)
	if err != nil {
		c.drop(f.calls...)
		return err
	}
	want := a.Over(&found.info)
	if chown && own == nil {
		f := c.flight()
		own = set.own(f, want.UID, want.GID)
		if err := f.send(ctx); err != nil {
			return err
		}
	}
	if own != nil {
		if err := c.owned(ctx, own, want, found.info); err != nil {
			return err
		}
	}
	if permit == nil && (a.Mode != nil || chown && found.info.Mode&special != 0) {
		f := c.flight()
		permit = set.permit(f, *want.Mode)
		if err := f.send(ctx); err != nil {
			return err
		}
	}
	if permit == nil {
		return nil
	}
	_, err = c.wait(ctx, permit)
	if err == nil || !a.NoFollow {
		return err
	}
	return c.permitted(ctx, path, found.info, *want.Mode, err)
}

// owned waits for a change of owner. That a file is already whose it shall be is
// no failure, whoever may change it.
func (c *client) owned(ctx context.Context, own *call, want files.Attr, found conn.FileInfo) error {
	_, err := c.wait(ctx, own)
	same := want.UID == found.UID && want.GID == found.GID
	if err == nil || same && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("set owner %d and group %d: %w", want.UID, want.GID, err)
}

// permitted deals with a mode that could not be set without following links. A
// link has none, and some hosts have no such call for other files either.
func (c *client) permitted(ctx context.Context, path string, found conn.FileInfo, mode fs.FileMode, err error) error {
	if found.Mode.Type() == fs.ModeSymlink {
		return nil
	}
	if !failure(err) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	f := c.flight()
	atPath(path).permit(f, mode)
	return f.wait(ctx)
}

// setLinkAttr changes the attributes of what is at a path, be it a link, on hosts
// whose server cannot.
func (s *System) setLinkAttr(ctx context.Context, path string, a files.Attr) error {
	found, err := s.Stat(ctx, path, false)
	if err != nil {
		return err
	}
	if found.Mode.Type() != fs.ModeSymlink {
		a.NoFollow = false
		return s.SetAttr(ctx, path, a)
	}
	want := a.Over(&found)
	if want.UID == found.UID && want.GID == found.GID {
		return nil
	}
	return s.command(ctx, "chown", "-h", "--", strconv.Itoa(want.UID)+":"+strconv.Itoa(want.GID), path)
}
