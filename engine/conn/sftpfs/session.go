package sftpfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// greetTime is how long a server may take to answer the first request: one that
// hangs would be waited for as long as the task is.
const greetTime = 30 * time.Second

// Pipe leads to an SFTP server.
type Pipe struct {
	// In is the server's input, Out its output.
	In  io.WriteCloser
	Out io.Reader
	// Close ends the server at once, whatever state it is in. It may be called
	// more than once.
	Close func() error
	// Explain makes a better error of one met before the server answered: what
	// it printed instead, say. It may be nil.
	Explain func(error) error
}

// Session is one user's SFTP session, opened when it is first needed and again
// when the server went away. It is safe for concurrent use.
type Session struct {
	open func(context.Context) (*Pipe, error)

	// turn is held while opening; it is a channel so that waiting for it can be
	// given up.
	turn chan struct{}
	mu   sync.Mutex
	live *client
	// greeted leads to a server that has not answered yet.
	greeted *Pipe
	closed  bool
	// owned is the goroutines of all clients.
	owned sync.WaitGroup
}

// NewSession returns a session over the pipe that open makes. The pipe must
// outlive open's context.
func NewSession(open func(context.Context) (*Pipe, error)) *Session {
	return &Session{open: open, turn: make(chan struct{}, 1)}
}

// Start opens the session if it is not open, so that the first operation does
// not have to. Its error is what that operation would meet.
func (s *Session) Start(ctx context.Context) error {
	_, err := s.client(ctx)
	return err
}

var errClosed = fmt.Errorf("the connection is closed: %w", conn.ErrUnreachable)

// current returns the live client; nil if there is none.
func (s *Session) current() (*client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.live == nil {
		return nil, nil
	}
	select {
	case <-s.live.over:
		return nil, nil
	default:
		return s.live, nil
	}
}

// client returns the live client, opening the session if need be.
func (s *Session) client(ctx context.Context) (*client, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if c, err := s.current(); c != nil || err != nil {
		return c, err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if c, err := s.current(); c != nil || err != nil {
		return c, err
	}
	return s.connect(ctx)
}

// connect opens the session.
func (s *Session) connect(ctx context.Context) (*client, error) {
	pipe, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	c, rest, err := s.greet(ctx, pipe)
	if err != nil {
		_ = pipe.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if pipe.Explain != nil {
			err = pipe.Explain(err)
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("it ended without a word: %w", err)
		}
		return nil, fmt.Errorf("start sftp: %w", err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = pipe.Close()
		return nil, errClosed
	}
	s.live = c
	s.owned.Go(c.write)
	s.owned.Go(func() { c.read(rest) })
	s.mu.Unlock()
	// Root's names are asked for at once: most files are root's, and the answer is
	// there before that of the first operation.
	if c.offers[extNames] {
		f := c.flight()
		c.root = f.namesOf([]int{0}, []int{0})
		if err := f.send(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// greet shakes hands with the server. To close the pipe need not end a read of
// it: that lasts until the host agrees, and so may outlive greet.
func (s *Session) greet(ctx context.Context, pipe *Pipe) (*client, *bufio.Reader, error) {
	type answer struct {
		c    *client
		rest *bufio.Reader
		err  error
	}
	answered := make(chan answer, 1)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, nil, errClosed
	}
	s.greeted = pipe
	s.owned.Go(func() {
		c, rest, err := greet(pipe)
		answered <- answer{c, rest, err}
	})
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.greeted = nil
		s.mu.Unlock()
	}()
	late := time.NewTimer(greetTime)
	defer late.Stop()
	select {
	case a := <-answered:
		return a.c, a.rest, a.err
	case <-late.C:
		return nil, nil, fmt.Errorf("no answer within %s", greetTime)
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

// Close ends the session; operations under way fail.
func (s *Session) Close() error {
	s.mu.Lock()
	c, greeted := s.live, s.greeted
	s.live, s.closed = nil, true
	s.mu.Unlock()
	if c != nil {
		c.end(errClosed)
	}
	if greeted != nil {
		_ = greeted.Close()
	}
	s.owned.Wait()
	return nil
}
