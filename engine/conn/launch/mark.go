package launch

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// maxNoise bounds what is kept of a login shell's chatter before the mark.
const maxNoise = 64 << 10

// Mark is the writer for a command's standard output. It takes the line with
// the process group out of it and passes on what follows.
type Mark struct {
	c    *Command
	w    io.Writer
	seen chan struct{}
	// asked receives sudo's questions for the password.
	asked chan struct{}

	mu   sync.Mutex
	done bool
	head []byte
	pgid int
	fail error
	// errors is where standard error goes, once what sudo has to say is over;
	// until then it is kept in said.
	errors io.Writer
	said   []byte
	wrong  bool
}

// Mark returns the writer for c's standard output; the command's own goes to w.
func (c *Command) Mark(w io.Writer) *Mark {
	return &Mark{c: c, w: w, seen: make(chan struct{}), asked: make(chan struct{}, 2)}
}

// Seen is closed when the command was about to run: sudo let it, and its
// directory was entered or found wanting.
func (m *Mark) Seen() <-chan struct{} { return m.seen }

// Started reports whether Seen is closed.
func (m *Mark) Started() bool {
	select {
	case <-m.seen:
		return true
	default:
		return false
	}
}

// Group is the command's process group, or zero when it is not known.
func (m *Mark) Group() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pgid
}

// Err says why the command was not run once it was seen: nil, or an error that
// wraps [fs.ErrNotExist] or [fs.ErrPermission] for its directory.
func (m *Mark) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fail
}

// Instead is what was printed in the place of a command that was not seen: a
// forced command or a shell for no logins says why on its standard output.
func (m *Mark) Instead() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.TrimSpace(bytes.Clone(m.head))
}

// Repeats reports whether text shows the command line, whose words may be secret.
func (m *Mark) Repeats(text []byte) bool { return bytes.Contains(text, []byte(m.c.token)) }

// Write implements [io.Writer].
func (m *Mark) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done {
		return m.w.Write(p)
	}
	m.head = append(m.head, p...)
	value, rest, ok := m.find()
	if !ok {
		m.head = tail(m.head)
		return len(p), nil
	}
	m.take(value)
	m.done, m.head = true, nil
	close(m.seen)
	if len(m.said) > 0 {
		_, _ = m.errors.Write(m.said)
		m.said = nil
	}
	if len(rest) > 0 {
		if _, err := m.w.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// find returns what stands behind the token, and what comes after that line. A
// host that repeats the command line instead of running it (a forced command
// may) prints the token too, with other words behind it.
func (m *Mark) find() (value string, rest []byte, ok bool) {
	for rest = m.head; ; {
		_, behind, found := bytes.Cut(rest, []byte(m.c.token+" "))
		line, after, whole := bytes.Cut(behind, []byte("\n"))
		if !found || !whole {
			return "", nil, false
		}
		if value = strings.TrimSpace(string(line)); verdict().MatchString(value) {
			return value, after, true
		}
		rest = behind
	}
}

// verdict is what the script prints behind the token.
var verdict = lazyregexp.New(`^([EP]|\d*)$`)

// tail bounds what is kept while waiting for a word in it.
func tail(b []byte) []byte {
	if over := len(b) - maxNoise; over > 0 {
		return append([]byte(nil), b[over:]...)
	}
	return b
}

func (m *Mark) take(value string) {
	switch value {
	case "E":
		m.fail = fs.ErrNotExist
		return
	case "P":
		m.fail = fs.ErrPermission
		return
	}
	pgid, err := strconv.Atoi(value)
	if err != nil || pgid <= 1 {
		// Without a group there is nothing safe to signal: closing the session
		// has to do.
		return
	}
	m.pgid = pgid
}

// DirError is the error of a command whose directory could not be entered.
func DirError(dir string, err error) error {
	return fmt.Errorf("change directory to %q: %w", dir, err)
}
