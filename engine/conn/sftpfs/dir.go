package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// ReadDir implements [files.System].
func (s *System) ReadDir(ctx context.Context, path string) ([]string, error) {
	c, err := s.session.client(ctx)
	if err != nil {
		return nil, err
	}
	f := c.flight()
	open := f.opendir(path)
	if err := f.send(ctx); err != nil {
		return nil, err
	}
	dir, err := c.wait(ctx, open)
	if err != nil {
		return nil, err
	}
	names := []string{}
	// Two answers are what most directories take: the names, and that there are
	// no more.
	for ahead := 2; ; ahead = min(2*ahead, inFlight) {
		f := c.flight()
		for range ahead {
			f.on(typeReaddir, typeName, dir.handle)
		}
		err := f.send(ctx)
		for _, q := range f.calls {
			if err != nil {
				c.drop(q)
				continue
			}
			if q.dropped {
				continue
			}
			var a answer
			a, err = c.wait(ctx, q)
			for _, name := range a.names {
				if name == "." || name == ".." {
					continue
				}
				// A name is about to become part of a path.
				if name == "" || strings.ContainsAny(name, "/\x00") {
					err = fmt.Errorf("the host gives %q for a name: %w", name, fs.ErrInvalid)
					break
				}
				names = append(names, name)
			}
		}
		if err != nil {
			c.leave(dir.handle)
			if errors.Is(err, io.EOF) {
				return names, nil
			}
			return nil, err
		}
	}
}

// ReadLink implements [files.System].
func (s *System) ReadLink(ctx context.Context, path string) (string, error) {
	c, err := s.session.client(ctx)
	if err != nil {
		return "", err
	}
	f := c.flight()
	link := f.on(typeReadlink, typeName, path)
	if err := f.send(ctx); err != nil {
		return "", err
	}
	a, err := c.wait(ctx, link)
	if err == nil && len(a.names) != 1 {
		err = fmt.Errorf("%d targets of one link: %w", len(a.names), errMalformed)
	}
	if err != nil {
		return "", err
	}
	return a.names[0], nil
}

// Mkdir implements [files.System]. The directory is made with the mode that it
// shall have, from which the host may take something away: so one look tells
// whether more is to be done. That cannot be in the same flight, as it would
// change a directory that was there before.
func (s *System) Mkdir(ctx context.Context, path string, a files.Attr) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	first := *a.Mode & fs.ModePerm
	if a.UID >= 0 || a.GID >= 0 {
		first &= 0o700 // until it is its owner's
	}
	f := c.flight()
	mkdir, stat := f.mkdir(path, first), f.stat(path, false)
	if err := f.send(ctx); err != nil {
		return err
	}
	_, err = c.wait(ctx, mkdir)
	made, serr := c.wait(ctx, stat)
	switch {
	case ctx.Err() != nil && err != nil && errors.Is(err, context.Cause(ctx)):
		// It may be there by now or not, and be ours or not: an empty directory
		// that is left behind is better than one of another's that is removed.
		return err
	case err != nil && serr == nil:
		return fs.ErrExist
	case err != nil:
		return s.explain(ctx, c, path, err)
	case serr != nil:
		err = serr
	default:
		err = s.finishDir(ctx, c, path, a, made)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), files.CleanupTime)
		defer cancel()
		f := c.flight()
		f.on(typeRmdir, typeStatus, path)
		_ = f.wait(ctx)
	}
	return err
}

// finishDir gives a new directory what it lacks.
func (s *System) finishDir(ctx context.Context, c *client, path string, a files.Attr, made answer) error {
	f := c.flight()
	want := a.Over(&made.info)
	set := atPath(path)
	var own *call
	if want.UID != made.info.UID || want.GID != made.info.GID {
		own = set.own(f, want.UID, want.GID)
	}
	if own != nil || *want.Mode != files.Permissions(made.info.Mode) {
		set.permit(f, *want.Mode)
	}
	if len(f.calls) == 0 {
		return nil
	}
	return f.waitOwned(ctx, own, want)
}

// waitOwned is [flight.wait]; it says so when it was own that failed.
func (f *flight) waitOwned(ctx context.Context, own *call, want files.Attr) error {
	err := f.wait(ctx)
	if err != nil && own != nil && own.isDone() && own.fault == nil && own.answer.err() != nil {
		return fmt.Errorf("set owner %d and group %d: %w", want.UID, want.GID, own.answer.err())
	}
	return err
}

// leave closes a handle with the next flight.
func (c *client) leave(handle string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = append(c.late, handle)
}
