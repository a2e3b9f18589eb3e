package sftpfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// flight is requests that are sent at once.
type flight struct {
	c     *client
	buf   []byte
	start int
	calls []*call
	// long is set when a path is longer than any host takes.
	long bool
}

// flight returns an empty flight.
func (c *client) flight() *flight { return &flight{c: c} }

// send sends the flight. It is not sent at all when ctx ends before its turn.
func (f *flight) send(ctx context.Context) error {
	c := f.c
	c.mu.Lock()
	late := c.late
	c.late = nil
	c.mu.Unlock()
	for _, h := range late {
		f.leave(h)
	}
	var err error
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case f.long:
		err = fmt.Errorf("the path is too long: %w", fs.ErrInvalid)
	default:
		err = c.expect(f.calls)
	}
	if err == nil {
		select {
		case c.orders <- f.buf:
			return nil
		case <-c.over:
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.fault
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range f.calls {
		delete(c.pending, q.id)
		c.handles.opened(q.guess, "")
	}
	c.late = append(c.late, late...)
	return err
}

// expect notes that answers will come.
func (c *client) expect(calls []*call) error {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return c.fault
	}
	for _, q := range calls {
		q.sent = now
		c.pending[q.id] = q
	}
	return nil
}

// wait sends the flight and waits for the answer to each of its requests. It
// returns the first failure.
func (f *flight) wait(ctx context.Context) error {
	if err := f.send(ctx); err != nil {
		return err
	}
	var first error
	for _, q := range f.calls {
		if q.dropped {
			continue
		}
		if _, err := f.c.wait(ctx, q); err != nil && first == nil {
			first = err
		}
		if ctx.Err() != nil && !q.isDone() {
			break
		}
	}
	return first
}

func (q *call) isDone() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// begin starts a request; its fields and end follow.
func (f *flight) begin(kind, want byte) *call {
	q := &call{id: f.c.lastID.Add(1), want: want, done: make(chan struct{})}
	f.calls = append(f.calls, q)
	f.start = len(f.buf)
	f.buf = append(f.buf, 0, 0, 0, 0, kind)
	f.number(q.id)
	return q
}

// end finishes the request q.
func (f *flight) end(q *call) *call {
	size := len(f.buf) - f.start
	f.long = f.long || size > maxRequest
	binary.BigEndian.PutUint32(f.buf[f.start:], uint32(size-4)) //nolint:gosec // bounded by what send refuses
	return q
}

func (f *flight) number(n uint32) { f.buf = binary.BigEndian.AppendUint32(f.buf, n) }

func (f *flight) text(s string) {
	f.number(uint32(len(s))) //nolint:gosec // bounded by what send refuses
	f.buf = append(f.buf, s...)
}

// on makes a request about a path or a handle, and nothing else.
func (f *flight) on(kind, want byte, object string) *call {
	q := f.begin(kind, want)
	f.text(object)
	return f.end(q)
}

// stat asks for attributes.
func (f *flight) stat(path string, follow bool) *call {
	if follow {
		return f.on(typeStat, typeAttrs, path)
	}
	return f.on(typeLstat, typeAttrs, path)
}

// open opens a file. A new one belongs to its owner alone from its first moment.
func (f *flight) open(path string, flags uint32) *call {
	const private = 0o600
	q := f.begin(typeOpen, typeHandle)
	f.text(path)
	f.number(flags)
	if flags&openCreate != 0 {
		f.number(hasMode)
		f.number(private)
	} else {
		f.number(0)
	}
	f.foresee(q)
	return f.end(q)
}

// opendir opens a directory.
func (f *flight) opendir(path string) *call {
	q := f.on(typeOpendir, typeHandle, path)
	f.foresee(q)
	return q
}

func (f *flight) foresee(q *call) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	q.guess = f.c.handles.guess()
}

// close closes a handle.
func (f *flight) close(handle string) *call {
	f.c.mu.Lock()
	f.c.handles.closed(handle)
	f.c.mu.Unlock()
	return f.on(typeClose, typeStatus, handle)
}

// leave closes a handle; nobody waits for that.
func (f *flight) leave(handle string) { f.close(handle).dropped = true }

// read asks for a part of a file.
func (f *flight) read(handle string, offset int64, size int) *call {
	q := f.begin(typeRead, typeData)
	q.most = size
	f.text(handle)
	f.buf = binary.BigEndian.AppendUint64(f.buf, uint64(offset)) //nolint:gosec // never negative
	f.number(uint32(size))                                       //nolint:gosec // at most dataSize
	return f.end(q)
}

// mkdir makes a directory, with at most these permissions.
func (f *flight) mkdir(path string, mode fs.FileMode) *call {
	q := f.begin(typeMkdir, typeStatus)
	f.text(path)
	f.number(hasMode)
	f.number(conn.PermBits(mode))
	return f.end(q)
}

// two makes a request about two paths.
func (f *flight) two(kind byte, first, second string) *call {
	q := f.begin(kind, typeStatus)
	f.text(first)
	f.text(second)
	return f.end(q)
}

// symlink makes a link. The order is that of OpenSSH, which all others follow,
// not that of the draft.
func (f *flight) symlink(target, path string) *call { return f.two(typeSymlink, target, path) }

// extended makes a request of an extension, about the given strings.
func (f *flight) extended(name string, want byte, fields ...string) *call {
	q := f.begin(typeExtended, want)
	f.text(name)
	for _, field := range fields {
		f.text(field)
	}
	return f.end(q)
}

// setter is where attributes are set.
type setter func(f *flight, flags uint32, values ...uint32) *call

// atPath sets the attributes of what is at a path, links followed.
func atPath(path string) setter {
	return func(f *flight, flags uint32, values ...uint32) *call {
		q := f.begin(typeSetstat, typeStatus)
		f.text(path)
		return f.attributes(q, flags, values)
	}
}

// atLink sets the attributes of what is at a path, be it a link.
func atLink(path string) setter {
	return func(f *flight, flags uint32, values ...uint32) *call {
		q := f.begin(typeExtended, typeStatus)
		f.text(extLinkAttr)
		f.text(path)
		return f.attributes(q, flags, values)
	}
}

// atHandle sets the attributes of an open file.
func atHandle(handle string) setter {
	return func(f *flight, flags uint32, values ...uint32) *call {
		q := f.begin(typeFsetstat, typeStatus)
		f.text(handle)
		return f.attributes(q, flags, values)
	}
}

func (f *flight) attributes(q *call, flags uint32, values []uint32) *call {
	f.number(flags)
	for _, v := range values {
		f.number(v)
	}
	return f.end(q)
}

// own sets owner and group.
func (s setter) own(f *flight, uid, gid int) *call {
	return s(f, hasOwner, uint32(uid), uint32(gid)) //nolint:gosec // ids are checked where they are made
}

// permit sets the permissions.
func (s setter) permit(f *flight, mode fs.FileMode) *call { return s(f, hasMode, conn.PermBits(mode)) }
