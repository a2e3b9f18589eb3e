package sftpfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Pipe leads to an SFTP server.
type Pipe struct {
	// In is the server's input, Out its output.
	In  io.WriteCloser
	Out io.Reader
	// Close ends the server at once, whatever state it is in.
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
	turn   chan struct{}
	mu     sync.Mutex
	live   *live
	closed bool
}

type live struct {
	client *sftp.Client
	pipe   *Pipe
	gone   chan struct{}
}

// NewSession returns a session over the pipe that open makes. The pipe must
// outlive open's context.
func NewSession(open func(context.Context) (*Pipe, error)) *Session {
	return &Session{open: open, turn: make(chan struct{}, 1)}
}

// client returns the live client.
func (s *Session) client(ctx context.Context) (*sftp.Client, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	l, closed := s.live, s.closed
	s.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("the connection is closed: %w", conn.ErrUnreachable)
	}
	if l != nil {
		select {
		case <-l.gone:
			_ = l.pipe.Close()
		default:
			return l.client, nil
		}
	}
	l, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.shut()
		return nil, fmt.Errorf("the connection is closed: %w", conn.ErrUnreachable)
	}
	s.live = l
	return l.client, nil
}

func (s *Session) connect(ctx context.Context) (*live, error) {
	pipe, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = pipe.Close() })
	client, err := sftp.NewClientPipe(pipe.Out, private(pipe.In),
		sftp.UseConcurrentWrites(true), sftp.UseConcurrentReads(true))
	if !stop() && err == nil {
		_ = client.Close()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		_ = pipe.Close()
		if pipe.Explain != nil {
			err = pipe.Explain(err)
		}
		return nil, fmt.Errorf("start sftp: %w", err)
	}
	l := &live{client: client, pipe: pipe, gone: make(chan struct{})}
	go func() {
		defer close(l.gone)
		_ = client.Wait()
	}()
	return l, nil
}

// shut ends the server and waits for the client's goroutines.
func (l *live) shut() {
	_ = l.pipe.Close()
	_ = l.client.Close()
	<-l.gone
}

// Close ends the session; operations under way fail.
func (s *Session) Close() error {
	s.mu.Lock()
	l := s.live
	s.live, s.closed = nil, true
	s.mu.Unlock()
	if l != nil {
		l.shut()
	}
	return nil
}

// call runs one exchange with the server, or gives up on it when ctx ends. An
// exchange that was given up ends at the latest with the session.
func call[T any](ctx context.Context, s *Session, do func(*sftp.Client) (T, error)) (T, error) {
	var zero T
	c, err := s.client(ctx)
	if err != nil {
		return zero, err
	}
	return await(ctx, func() (T, error) { return do(c) })
}

// await runs do and gives up on it when ctx ends.
func await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	var zero T
	if ctx.Err() != nil {
		return zero, context.Cause(ctx)
	}
	if ctx.Done() == nil {
		v, err := do()
		return v, plain(err)
	}
	done := make(chan answer, 1)
	go func() {
		v, err := do()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.v, plain(a.err)
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	}
}

// awaitErr is [await] for exchanges with no answer.
func awaitErr(ctx context.Context, do func() error) error {
	_, err := await(ctx, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// plain gives the library's errors the meaning that callers ask for.
func plain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, io.EOF):
		return fmt.Errorf("the sftp session ended: %w", conn.ErrUnreachable)
	}
	status, ok := errors.AsType[*sftp.StatusError](err)
	if !ok {
		return err
	}
	switch status.FxCode() {
	case sftp.ErrSSHFxNoSuchFile:
		return fs.ErrNotExist
	case sftp.ErrSSHFxPermissionDenied:
		return fs.ErrPermission
	case sftp.ErrSSHFxConnectionLost, sftp.ErrSSHFxNoConnection:
		return fmt.Errorf("the sftp session ended: %w", conn.ErrUnreachable)
	}
	return err
}

// patience is how long a write that was told to stop is waited for.
const patience = time.Second
