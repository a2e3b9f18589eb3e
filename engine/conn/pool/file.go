package pool

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// file is a file open for reading on a leased connection.
type file struct {
	io.ReadCloser
	l      *lease
	end    context.CancelCauseFunc
	closed sync.Once
}

// Open implements [conn.Conn]. A file that is still open when the connection is
// closed ends with it.
func (u *user) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, end := context.WithCancelCause(ctx)
	f := &file{l: u.l, end: end}
	if !u.l.add(f) {
		end(nil)
		return nil, errClosed
	}
	r, err := u.c.Open(ctx, path)
	if err != nil {
		f.note(err)
		f.release()
		return nil, err
	}
	f.ReadCloser = r
	return f, nil
}

// add registers a file, unless the connection was given back.
func (l *lease) add(f *file) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return false
	}
	if l.open == nil {
		l.open = map[*file]struct{}{}
	}
	l.open[f] = struct{}{}
	return true
}

// release takes the file off the lease.
func (f *file) release() {
	f.l.mu.Lock()
	delete(f.l.open, f)
	f.l.mu.Unlock()
	f.end(nil)
}

func (f *file) note(err error) {
	if errors.Is(err, conn.ErrUnreachable) {
		f.l.spoilt.Store(true)
	}
}

// Read implements [io.Reader].
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.note(err)
	return n, err
}

// WriteTo implements [io.WriterTo]: the file beneath may know a faster way than
// reading piece by piece.
func (f *file) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, f.ReadCloser)
	f.note(err)
	return n, err
}

// Close implements [io.Closer].
func (f *file) Close() error {
	err := f.ReadCloser.Close()
	f.closed.Do(f.release)
	return err
}
