package sftpfs

import (
	"context"
	"errors"
	"io"
)

const (
	// inFlight is how many packets of content are under way to the host at a time,
	// and writeNear how many to one that is near: sshd keeps what its SFTP server
	// has not read yet, and to make that buffer grow costs it more than the content.
	inFlight  = 64
	writeNear = 12
	// readAhead is how many are under way from it, and readNear how many from one
	// that is near: they may all be here before the first is looked at.
	readAhead = 32
	readNear  = 8
)

// source is a file open for reading, in order.
type source struct {
	c *client
	// handle is empty until the server has given it out.
	handle string
	open   *call
	// stat asks how large the file is; nil until the handle is known, or guessed.
	stat *call
	// ahead is the reads that were asked for, at what offset the first of them
	// begins, and how many there shall be.
	ahead  []*call
	offset int64
	window int
	// size is how much is asked for at a time.
	size  int
	ended bool
}

// openAhead adds to a flight what opens a file and, where the handle can be
// foreseen, reads its first packets. That is harmless whatever the handle turns
// out to be: reads at an offset change nothing.
func (f *flight) openAhead(path string, packets int) *source {
	s := &source{c: f.c, open: f.open(path, openRead), window: packets, size: dataSize}
	if s.open.guess != "" {
		s.stat = f.on(typeFstat, typeAttrs, s.open.guess)
		s.ask(f, s.open.guess)
	}
	return s
}

// ask adds the reads that are missing from the window.
func (s *source) ask(f *flight, handle string) {
	at := s.offset
	for _, q := range s.ahead {
		at += int64(q.most)
	}
	for ; len(s.ahead) < s.window; at += int64(s.size) {
		s.ahead = append(s.ahead, f.read(handle, at, s.size))
	}
}

// opened waits until the file is open.
func (s *source) opened(ctx context.Context) error {
	a, err := s.c.wait(ctx, s.open)
	if err != nil {
		s.stop()
		return err
	}
	s.handle = a.handle
	if s.handle != s.open.guess {
		s.forget()
	}
	return nil
}

// next returns the content that follows, or io.EOF.
func (s *source) next(ctx context.Context) ([]byte, error) {
	if s.ended {
		return nil, io.EOF
	}
	if len(s.ahead) <= s.window/2 {
		f := s.c.flight()
		if s.stat == nil {
			s.stat = f.on(typeFstat, typeAttrs, s.handle)
		}
		s.ask(f, s.handle)
		if err := f.send(ctx); err != nil {
			return nil, err
		}
		s.window = min(2*s.window, s.most())
	}
	q := s.ahead[0]
	s.ahead = s.ahead[1:]
	a, err := s.c.wait(ctx, q)
	if err == nil && len(a.data) == 0 {
		err = io.EOF
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.offset += int64(len(a.data))
	if len(a.data) < q.most {
		return a.data, s.short(ctx, len(a.data))
	}
	return a.data, nil
}

// most is how many packets there may be in the window.
func (s *source) most() int {
	if s.c.distance() < farAway {
		return max(readNear, s.window)
	}
	return max(readAhead, s.window)
}

// short deals with an answer that holds less than was asked for. It is the end of
// the file if that is no larger; else the server gives no more at a time. What is
// made when it is read (in /proc) says that it is empty, and comes in pieces of any
// size: only an answer from where the last one ended tells its end.
func (s *source) short(ctx context.Context, size int) error {
	a, err := s.c.wait(ctx, s.stat)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && a.info.Size > 0 && s.offset >= a.info.Size {
		s.stop()
		return nil
	}
	s.c.drop(s.ahead...)
	s.ahead = nil
	const least = 4 << 10
	s.size = max(least, min(s.size, size))
	return nil
}

// forget gives up what was asked for ahead.
func (s *source) forget() {
	s.c.drop(s.ahead...)
	s.ahead = nil
	if s.stat != nil {
		s.c.drop(s.stat)
		s.stat = nil
	}
}

// stop ends the reading.
func (s *source) stop() {
	s.forget()
	s.ended = true
}

// close closes the file; nobody waits for that.
func (s *source) close(ctx context.Context) {
	s.stop()
	if s.handle == "" {
		s.c.drop(s.open)
		return
	}
	f := s.c.flight()
	f.leave(s.handle)
	s.handle = ""
	// One that is not sent now goes with the next flight, or the session.
	_ = f.send(ctx)
}

// Open implements [files.System].
func (s *System) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	src, err := s.open(ctx, path)
	if err != nil {
		return nil, err
	}
	return &reader{
		next:  func() ([]byte, error) { return src.next(ctx) },
		close: func() { src.close(context.WithoutCancel(ctx)) },
	}, nil
}

func (s *System) open(ctx context.Context, path string) (*source, error) {
	c, err := s.session.client(ctx)
	if err != nil {
		return nil, err
	}
	f := c.flight()
	src := f.openAhead(path, 2)
	if err := f.send(ctx); err != nil {
		return nil, err
	}
	if err := src.opened(ctx); err != nil {
		if missing(err) || failure(err) {
			return nil, s.unfollowed(ctx, c, path, err)
		}
		return nil, err
	}
	return src, nil
}

// unfollowed finds out whether a loop of links is why a path led nowhere.
func (s *System) unfollowed(ctx context.Context, c *client, path string, err error) error {
	if lerr := s.looped(ctx, c, path); !missing(lerr) {
		return lerr
	}
	return err
}

// reader is a source as others read it; its functions keep the context that the
// file was opened with.
type reader struct {
	next  func() ([]byte, error)
	close func()
	rest  []byte
	err   error
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements [io.WriterTo], which saves a copy of the content.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for {
		switch err := r.fill(); {
		case errors.Is(err, io.EOF):
			return written, nil
		case err != nil:
			return written, err
		}
		n, err := w.Write(r.rest)
		written += int64(n)
		r.rest = r.rest[n:]
		if err != nil {
			return written, err
		}
	}
}

// fill sees to it that there is something to hand out.
func (r *reader) fill() error {
	for len(r.rest) == 0 {
		if r.err != nil {
			return r.err
		}
		r.rest, r.err = r.next()
	}
	return nil
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.rest, r.err = nil, errClosedFile
	r.close()
	return nil
}

var errClosedFile = errors.New("the file is closed")
