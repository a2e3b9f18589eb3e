package sftpfs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// The extensions that are made use of.
const (
	extRename   = "posix-rename@openssh.com"
	extSync     = "fsync@openssh.com"
	extSpace    = "statvfs@openssh.com"
	extLinkAttr = "lsetstat@openssh.com"
	extCopy     = "copy-data"
	extNames    = "users-groups-by-id@openssh.com"
)

// client speaks to one server. One goroutine writes requests, one reads answers;
// both end with the session.
type client struct {
	pipe   *Pipe
	offers map[string]bool
	lastID atomic.Uint32
	// orders is what the writer shall write. That it takes an order says that the
	// one before is written.
	orders chan []byte
	// over is closed when the session has ended, and fault set.
	over chan struct{}
	// root is the question after the names of the ids 0.
	root *call

	mu      sync.Mutex
	fault   error
	pending map[uint32]*call
	handles handles
	// late is the handles that were given out for nobody, to be closed.
	late []string
	// rtt is the shortest time that an answer took.
	rtt time.Duration
}

// call is a request.
type call struct {
	id uint32
	// want is the type of the answer, besides a status.
	want byte
	// most is how much data the answer may hold.
	most int
	// guess is the handle that is expected.
	guess string
	sent  time.Time
	// done is closed when there is an answer, or an error instead.
	done   chan struct{}
	answer answer
	fault  error

	// Both belong to the client's mutex.
	answered, dropped bool
}

// greet shakes hands with the server at the other end of the pipe. The caller
// starts the two goroutines.
func greet(pipe *Pipe) (*client, *bufio.Reader, error) {
	hello := []byte{0, 0, 0, 5, typeInit, 0, 0, 0, protocol}
	if _, err := pipe.In.Write(hello); err != nil {
		return nil, nil, err
	}
	const buffer = 4 << 10
	r := bufio.NewReaderSize(pipe.Out, buffer)
	kind, size, err := header(r)
	if errors.Is(err, errMalformed) {
		return nil, nil, errNoServer
	}
	if err != nil {
		return nil, nil, err
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, err
	}
	d := decoder{rest: body}
	version := d.number()
	c := &client{
		pipe:    pipe,
		offers:  map[string]bool{},
		orders:  make(chan []byte),
		over:    make(chan struct{}),
		pending: map[uint32]*call{},
	}
	for len(d.rest) > 0 {
		name := string(d.bytes())
		d.bytes() // the extension's version: all have the first
		c.offers[name] = true
	}
	if kind != typeVersion || d.bad || version < protocol {
		return nil, nil, errNoServer
	}
	if !c.offers[extRename] {
		c.handles.misses = maxMisses // not OpenSSH's
	}
	return c, r, nil
}

// errNoServer is text in a protocol's place, most of the time.
var errNoServer = errors.New("what answers is no SFTP server of version 3 " +
	"(a start-up file of the user's shell may print something)")

// header reads the first part of a packet: its type, and the size of the rest.
func header(r io.Reader) (kind byte, size int, err error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < 1 || n > maxPacket {
		return 0, 0, fmt.Errorf("packet of %d bytes: %w", n, errMalformed)
	}
	return h[4], int(n - 1), nil
}

// write passes orders on until the session is over.
func (c *client) write() {
	for {
		select {
		case p := <-c.orders:
			if _, err := c.pipe.In.Write(p); err != nil {
				c.end(err)
				return
			}
		case <-c.over:
			return
		}
	}
}

// read takes answers until the session is over.
func (c *client) read(r io.Reader) {
	for {
		if err := c.receive(r); err != nil {
			c.end(err)
			return
		}
	}
}

// receive takes one answer.
func (c *client) receive(r io.Reader) error {
	kind, size, err := header(r)
	if err != nil {
		return err
	}
	var id [4]byte
	if size < len(id) {
		return fmt.Errorf("packet of %d bytes: %w", size, errMalformed)
	}
	if _, err := io.ReadFull(r, id[:]); err != nil {
		return err
	}
	c.mu.Lock()
	q := c.pending[binary.BigEndian.Uint32(id[:])]
	c.mu.Unlock()
	if q == nil {
		return fmt.Errorf("to a request that was not made: %w", errMalformed)
	}
	a, err := answerIn(r, kind, size-len(id))
	switch {
	case err != nil:
	case kind != typeStatus && kind != q.want:
		err = fmt.Errorf("packet of type %d, not %d: %w", kind, q.want, errMalformed)
	case kind == typeStatus && a.status == statusOK && q.want != typeStatus:
		err = fmt.Errorf("success and no answer: %w", errMalformed)
	case kind == typeData && len(a.data) > q.most:
		err = fmt.Errorf("%d bytes where %d were asked for: %w", len(a.data), q.most, errMalformed)
	}
	if err != nil {
		return err
	}
	c.settle(q, a)
	return nil
}

// answerIn reads the rest of an answer. Content goes where it will stay.
func answerIn(r io.Reader, kind byte, size int) (answer, error) {
	if kind != typeData {
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return answer{}, err
		}
		return decode(kind, body)
	}
	var length [4]byte
	if size < len(length) {
		return answer{}, fmt.Errorf("content of %d bytes: %w", size, errMalformed)
	}
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return answer{}, err
	}
	size -= len(length)
	if n := binary.BigEndian.Uint32(length[:]); int64(n) != int64(size) {
		return answer{}, fmt.Errorf("content of %d bytes in %d: %w", n, size, errMalformed)
	}
	data := make([]byte, size)
	_, err := io.ReadFull(r, data)
	return answer{data: data}, err
}

// settle gives a call its answer.
func (c *client) settle(q *call, a answer) {
	took := time.Since(q.sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return
	}
	delete(c.pending, q.id)
	if c.rtt == 0 || took < c.rtt {
		c.rtt = took
	}
	c.handles.opened(q.guess, a.handle)
	if q.dropped {
		if a.handle != "" {
			c.late = append(c.late, a.handle)
		}
		return
	}
	q.answer, q.answered = a, true
	close(q.done)
}

// end ends the session: whoever waits for an answer gets err.
func (c *client) end(err error) {
	c.mu.Lock()
	if c.fault == nil {
		c.fault = errEnded
		if errors.Is(err, errMalformed) {
			c.fault = fmt.Errorf("the sftp session ended: %w: %w", err, conn.ErrUnreachable)
		}
		for _, q := range c.pending {
			q.fault, q.answered = c.fault, true
			close(q.done)
		}
		c.pending = nil
		close(c.over)
	}
	c.mu.Unlock()
	_ = c.pipe.Close()
}

// wait waits for a call's answer. When ctx ends it is given up: an answer that
// comes later is dropped.
func (c *client) wait(ctx context.Context, q *call) (answer, error) {
	select {
	case <-q.done:
	case <-ctx.Done():
		c.drop(q)
		return answer{}, context.Cause(ctx)
	}
	if q.fault != nil {
		return answer{}, q.fault
	}
	return q.answer, q.answer.err()
}

// drop gives calls up. A handle that one of them got, or gets later, is closed
// with the next flight.
func (c *client) drop(calls ...*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range calls {
		if q.answered && !q.dropped && q.answer.handle != "" {
			c.late = append(c.late, q.answer.handle)
		}
		q.dropped = true
	}
}

// distance is about how long an answer takes; zero while that is not known.
func (c *client) distance() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rtt
}
