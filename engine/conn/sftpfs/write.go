package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// Write implements [files.System]. It is three flights: what is at the path,
// with the temporary file made at once; the content, the attributes and all that
// ends the file; and the renaming, which must not be sent before the rest is
// known to have succeeded.
func (s *System) Write(ctx context.Context, path string, content io.Reader, a files.Attr) error {
	var size int64
	err := s.replace(ctx, path, a, replacement{
		fill: func(ctx context.Context, t *temporary) error {
			var err error
			size, err = t.stream(ctx, content)
			return err
		},
	})
	if err == nil {
		s.remember(path, conn.FileInfo{Size: size})
	} else {
		s.forget(path)
	}
	return err
}

// replacement is what comes in the place of a file.
type replacement struct {
	// ask, which may be nil, adds requests to the first flight, and check looks
	// at their answers.
	ask   func(*flight)
	check func(context.Context, *client) error
	// fill gives a temporary file its content and finishes it.
	fill func(context.Context, *temporary) error
}

// temporary is a new file that is to replace another one.
type temporary struct {
	sys  *System
	c    *client
	path string
	// handle is empty before the file is open and once it is closed.
	handle string
	// made says that the file is there, or may be.
	made bool
	want files.Attr
}

var errLinks = errors.New("too many symbolic links")

// replace puts a new file in the place of whatever path leads to.
func (s *System) replace(ctx context.Context, path string, a files.Attr, r replacement) error {
	c, err := s.session.client(ctx)
	if err != nil {
		return err
	}
	for range files.MaxLinks {
		t := &temporary{sys: s, c: c, path: files.Temporary(path), want: a}
		link, err := t.replace(ctx, path, r)
		if link == "" {
			return err
		}
		path = beside(path, link)
	}
	return errLinks
}

// replace puts t in the place of the file at path. If there is a symbolic link,
// it returns its target instead.
func (t *temporary) replace(ctx context.Context, path string, r replacement) (link string, err error) {
	c := t.c
	f := c.flight()
	stat := f.stat(path, false)
	open := f.open(t.path, openWrite|openCreate|openNew)
	var mine *call
	if (t.want.UID < 0) != (t.want.GID < 0) {
		// The protocol sets owner and group together.
		mine = f.stat(t.path, false)
	}
	if r.ask != nil {
		r.ask(f)
	}
	if err := f.send(ctx); err != nil {
		return "", err
	}
	t.made = true
	defer func() {
		if err != nil && t.made {
			err = t.undo(ctx, err)
		}
	}()
	old, serr := c.wait(ctx, stat)
	made, err := c.wait(ctx, open)
	t.handle, t.made = made.handle, err == nil || ctx.Err() != nil
	isLink := serr == nil && old.info.Mode.Type() == fs.ModeSymlink
	switch {
	case ctx.Err() != nil && err != nil:
		return "", err
	case serr != nil && !missing(serr):
		return "", serr
	case isLink:
		return t.follow(ctx, path)
	case serr == nil && !old.info.Mode.IsRegular():
		return "", fmt.Errorf("there is something else than a regular file: %w", fs.ErrExist)
	case err != nil:
		return "", fmt.Errorf("create a temporary file beside it: %w", t.sys.explain(ctx, c, path, err))
	}
	if r.check != nil {
		if err := r.check(ctx, c); err != nil {
			return "", err
		}
	}
	if serr == nil {
		t.want = t.want.Over(&old.info)
	} else {
		t.want = t.want.Over(nil)
	}
	if mine != nil {
		a, err := c.wait(ctx, mine)
		if err != nil {
			return "", err
		}
		t.want = t.want.Over(&a.info)
	}
	if err := r.fill(ctx, t); err != nil {
		return "", err
	}
	return "", t.sys.rename(ctx, c, t.path, path)
}

// follow gives t up for a file that the link at path leads to.
func (t *temporary) follow(ctx context.Context, path string) (link string, err error) {
	f := t.c.flight()
	t.discard(f)
	q := f.on(typeReadlink, typeName, path)
	if err := f.send(ctx); err != nil {
		return "", err
	}
	a, err := t.c.wait(ctx, q)
	if err == nil && (len(a.names) != 1 || a.names[0] == "") {
		err = fmt.Errorf("no target of a link: %w", errMalformed)
	}
	if err != nil {
		return "", err
	}
	return a.names[0], nil
}

// discard adds to a flight what removes t.
func (t *temporary) discard(f *flight) *call {
	t.made = false
	if t.handle != "" {
		f.leave(t.handle)
		t.handle = ""
	}
	return f.on(typeRemove, typeStatus, t.path)
}

// undo removes t after a failure, whatever became of the caller's context.
func (t *temporary) undo(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), files.CleanupTime)
	defer cancel()
	f := t.c.flight()
	removed := t.discard(f)
	rerr := f.send(ctx)
	if rerr == nil {
		_, rerr = t.c.wait(ctx, removed)
	}
	if rerr != nil && !missing(rerr) && !errors.Is(err, conn.ErrUnreachable) {
		return fmt.Errorf("%w (and the temporary file %q could not be removed: %w)", err, t.path, rerr)
	}
	return err
}

// finish adds to a flight what completes t: the owner first, since a change of
// owner takes the setuid bits away. It returns that request.
func (t *temporary) finish(f *flight) (own *call) {
	set := atHandle(t.handle)
	if t.want.UID >= 0 && t.want.GID >= 0 {
		own = set.own(f, t.want.UID, t.want.GID)
	}
	set.permit(f, *t.want.Mode)
	if t.c.offers[extSync] {
		f.extended(extSync, typeStatus, t.handle)
	}
	f.close(t.handle)
	return own
}

// complete finishes t, waiting for the requests in calls and the flight f.
func (t *temporary) complete(ctx context.Context, calls []*call, own *call) error {
	for i, q := range calls {
		if q.dropped {
			continue
		}
		_, err := t.c.wait(ctx, q)
		switch {
		case err == nil:
			continue
		case q == own:
			err = fmt.Errorf("set owner %d and group %d: %w", t.want.UID, t.want.GID, err)
		default:
			err = t.sys.explain(ctx, t.c, t.path, err)
		}
		t.c.drop(calls[i:]...)
		return err
	}
	return nil
}

// patience is how long a read of the caller's content that was told to stop is
// waited for.
const patience = time.Second

// stream writes content to t and finishes it. What follows the last part of the
// content is in one flight with it.
func (t *temporary) stream(ctx context.Context, content io.Reader) (size int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := newPump(len(t.handle))
	go p.run(ctx, content)
	defer func() {
		cancel(io.ErrClosedPipe)
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-p.done:
		case <-late.C:
			// It is stuck in a read of its own.
		}
	}()
	most := inFlight
	if t.c.distance() < farAway {
		most = writeNear
	}
	var calls []*call
	var own *call
	var before []byte
	for {
		var part part
		select {
		case part = <-p.parts:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		if part.err != nil {
			return 0, part.err
		}
		f := &flight{c: t.c, buf: part.buf[:0]}
		if part.size > 0 {
			f.writePart(t.handle, size, part)
			size += int64(part.size)
		}
		if part.last {
			own = t.finish(f)
		}
		if err := f.send(ctx); err != nil {
			return 0, err
		}
		// The one before is written by now.
		if before != nil {
			p.free <- before
		}
		before = part.buf
		calls = append(calls, f.calls...)
		if part.last {
			t.handle = ""
			return size, t.complete(ctx, calls, own)
		}
		if ahead := len(calls) - most; ahead > 0 {
			if err := t.complete(ctx, calls[:ahead], nil); err != nil {
				return 0, err
			}
			calls = append(calls[:0], calls[ahead:]...)
		}
	}
}
