package launch

import (
	"fmt"
	"io"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Streams collects a command's output while passing it on. Both streams may be
// written at the same time, even when they go to the same writer.
type Streams struct {
	Stdout, Stderr io.Writer

	mu       sync.Mutex
	out, err stream
	closed   bool
	fault    error
}

type stream struct {
	of  *Streams
	buf keeper
	tee io.Writer
}

// NewStreams returns the streams for c.
func NewStreams(c conn.Cmd) *Streams {
	s := &Streams{}
	s.out = stream{of: s, tee: c.Stdout, buf: keeper{limit: c.MaxOutput}}
	s.err = stream{of: s, tee: c.Stderr, buf: keeper{limit: c.MaxOutput}}
	s.Stdout, s.Stderr = &s.out, &s.err
	return s
}

// Write collects p. A listener that fails is not written to again, and does not
// stop the command: [Streams.Close] reports it.
func (w *stream) Write(p []byte) (int, error) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	if w.of.closed {
		return len(p), nil
	}
	w.buf.write(p)
	if w.tee != nil {
		if _, err := w.tee.Write(p); err != nil {
			w.tee = nil
			if w.of.fault == nil {
				w.of.fault = fmt.Errorf("pass on the command's output: %w", err)
			}
		}
	}
	return len(p), nil
}

// Close ends the collection; what is written later is dropped. It returns what
// came so far, and the first error of a listener.
func (s *Streams) Close() (stdout, stderr []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.out.buf.bytes(), s.err.buf.bytes(), s.fault
}
