package program

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// maxLine bounds a line of the program, without its end.
	maxLine = 256 << 10
	// maxSaid bounds a line of standard error as it is logged, in bytes.
	maxSaid = 4 << 10
	// tailLines of standard error go into an error, each of maxShown characters.
	tailLines, maxShown = 3, 200
)

// line is one line of output, without its end.
type line struct {
	text []byte
	// long is true if it was larger than maxLine; text is its beginning then.
	long bool
	// open is true if the output ended before the line did.
	open bool
}

// readLines gives the lines of r to whoever takes them, the next when the one before
// was taken, and closes lines at the end. Once quit is closed it reads on and gives
// nothing, so that whoever writes is not held up.
func readLines(r io.Reader, lines chan<- line, quit <-chan struct{}) {
	defer close(lines)
	in := bufio.NewReaderSize(r, maxLine+2) // with its end
	for {
		l, err := nextLine(in)
		if len(bytes.TrimSpace(l.text)) > 0 {
			select {
			case lines <- l:
			case <-quit:
			}
		}
		if err != nil {
			return
		}
	}
}

// nextLine reads a line. One that is too long is read to its end.
func nextLine(in *bufio.Reader) (line, error) {
	text, err := in.ReadSlice('\n')
	l := line{text: bytes.Clone(text)}
	for errors.Is(err, bufio.ErrBufferFull) {
		l.long, l.text = true, l.text[:min(len(l.text), maxShown)]
		_, err = in.ReadSlice('\n')
	}
	l.open = err != nil
	if !l.long {
		l.text = bytes.TrimSuffix(bytes.TrimSuffix(l.text, []byte("\n")), []byte("\r"))
		l.long = len(l.text) > maxLine
	}
	return l, err
}

// tail keeps the last lines of standard error. They may be asked for when it was read
// to its end.
type tail struct{ lines []string }

// read reads r to its end and gives each line to said, cut short.
func (t *tail) read(r io.Reader, said func(line string)) {
	in := bufio.NewReaderSize(r, maxSaid)
	for {
		text, more, err := in.ReadLine()
		begin := strings.TrimSpace(strings.ToValidUTF8(string(text), "\uFFFD"))
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		if begin != "" {
			said(begin)
			t.lines = append(t.lines, source.Clip(begin, maxShown))
			t.lines = t.lines[max(len(t.lines)-tailLines, 0):]
		}
		if err != nil {
			return
		}
	}
}

// last returns the last lines as one.
func (t *tail) last() string { return strings.Join(t.lines, " | ") }
