package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine"
)

// redraw is how often live lines are drawn at most.
const redraw = 100 * time.Millisecond

// Live keeps lines at the bottom of a terminal that say which hosts are at work
// on what. What is written to it scrolls above them, up to a tenth of a second
// later. It is safe for concurrent use, and must be closed.
type Live struct {
	size   func() (width, height int)
	colour bool

	mu   sync.Mutex
	w    io.Writer
	work work
	// text waits to be written.
	text bytes.Buffer
	// drawn are the lines on the terminal, at the time last.
	drawn []string
	last  time.Time
	err   error

	closed bool
	stop   chan struct{}
	wg     sync.WaitGroup
}

// NewLive returns live lines on the terminal w, whose size is asked for whenever
// they are drawn. forks is how many hosts the engine works on at once.
func NewLive(w io.Writer, size func() (width, height int), colour bool, forks int) *Live {
	l := &Live{size: size, colour: colour, w: w, work: work{forks: max(1, forks)}, stop: make(chan struct{})}
	l.wg.Go(l.tick)
	return l
}

// tick draws anew while time passes.
func (l *Live) tick() {
	t := time.NewTicker(redraw / 2)
	defer t.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-t.C:
			l.mu.Lock()
			l.due()
			l.mu.Unlock()
		}
	}
}

// Step follows the engine by one step.
func (l *Live) Step(e engine.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work.step(e, time.Now())
	l.due()
}

// Write takes whole lines of text. An error is that of an earlier write.
func (l *Live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.closed {
		l.flush(nil)
	}
	if l.err != nil {
		return 0, l.err
	}
	return len(p), nil
}

// due shows the present lines, under what was written, unless that was done just
// now.
func (l *Live) due() {
	if l.closed || time.Since(l.last) < redraw {
		return
	}
	width, height := l.size()
	lines := frame(l.work, width-1, height, time.Now()) // not the last column: some terminals wrap there
	if l.text.Len() > 0 || !slices.Equal(lines, l.drawn) {
		l.flush(lines)
	}
}

// flush replaces the lines on the terminal by the text that waits and by lines,
// in one write.
func (l *Live) flush(lines []string) {
	var out bytes.Buffer
	if len(l.drawn) > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", l.rows())
	}
	_, _ = l.text.WriteTo(&out)
	for _, line := range lines {
		if l.colour {
			line = "\x1b[2m" + line + "\x1b[0m"
		}
		out.WriteString(line + "\n")
	}
	l.drawn, l.last = lines, time.Now()
	if out.Len() == 0 || l.err != nil {
		return
	}
	_, l.err = l.w.Write(out.Bytes())
}

// rows is how many rows the drawn lines take now: a terminal that became narrower
// has broken them.
func (l *Live) rows() int {
	width, height := l.size()
	if width < 1 {
		return len(l.drawn) // nobody knows
	}
	n := 0
	for _, line := range l.drawn {
		n += max(1, (columns(line)+width-1)/width)
	}
	return min(n, max(1, height-1))
}

// Close erases the lines and returns the first error of writing. What is written
// later is written at once.
func (l *Live) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		l.flush(nil)
		close(l.stop)
	}
	l.mu.Unlock()
	l.wg.Wait()
	return l.err
}
