package launch

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// patience is how long sudo, or a template's command, may take to ask for the
// password or to start the command: behind a question of another kind it would
// wait for ever.
const patience = 30 * time.Second

// Stderr returns the writer for the command's standard error, whose own goes to
// w. What sudo prints before and with its question is taken out.
func (m *Mark) Stderr(w io.Writer) io.Writer {
	if m.c.prompt == "" {
		return w
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors = w
	return (*questions)(m)
}

// questions is a mark as the writer for standard error.
type questions Mark

// Write implements [io.Writer].
func (q *questions) Write(p []byte) (int, error) {
	m := (*Mark)(q)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done {
		return m.errors.Write(p)
	}
	m.said = append(m.said, p...)
	for {
		_, rest, ok := bytes.Cut(m.said, []byte(m.c.prompt))
		if !ok {
			break
		}
		m.said = rest
		select {
		case m.asked <- struct{}{}:
		default:
		}
	}
	m.said = tail(m.said)
	return len(p), nil
}

// Feed writes what the command reads: the password when sudo asks for it, then
// Input, then stdin, which may be nil. In the end it calls end to close the
// input, unless that is a lifeline. A command may end without reading: that is no
// failure, its exit status speaks. over is closed when the command has ended.
//
// The password is sent after the question and never before: where sudo does not
// ask, it would be the command's to read. A second question means that it was
// wrong; to send it again would lock the account.
func (m *Mark) Feed(w io.Writer, end func() error, stdin io.Reader, over <-chan struct{}) {
	if !m.answer(w, over) {
		_ = end()
		return
	}
	var err error
	if len(m.c.Input) > 0 {
		_, err = w.Write(m.c.Input)
	}
	if m.c.Lifeline {
		if m.c.become.Template != "" && !m.starts(over) {
			_ = end()
		}
		return
	}
	if err == nil && stdin != nil {
		_, _ = io.Copy(w, stdin)
	}
	_ = end()
}

// starts reports whether the command is started in good time. A template's
// command may ask for a password that nobody has: on a lifeline it would wait for
// ever, at the end of its input it gives up.
func (m *Mark) starts(over <-chan struct{}) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-m.seen:
	case <-over:
	case <-late.C:
		return false
	}
	return true
}

// answer reports whether the command has started, once sudo's question is
// answered.
func (m *Mark) answer(w io.Writer, over <-chan struct{}) bool {
	if m.c.prompt == "" {
		return true
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for answered := false; ; answered = true {
		select {
		case <-m.seen:
			return true
		case <-over:
			return false
		case <-late.C:
			return false
		case <-m.asked:
		}
		if answered {
			m.mu.Lock()
			m.wrong = true
			m.mu.Unlock()
			return false
		}
		if _, err := w.Write([]byte(m.c.become.Password + "\n")); err != nil {
			return false
		}
	}
}

// Asks reports whether sudo may ask for a password before it starts the command:
// nothing may be written to it before it is seen.
func (c *Command) Asks() bool { return c.prompt != "" }

// Refused is the error for a command that was not started as the other user;
// stderr is what was printed.
func (m *Mark) Refused(stderr []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wrong {
		return fmt.Errorf("become %s: sudo does not accept the password: %w", m.c.become.User, conn.ErrBecome)
	}
	said := bytes.TrimSpace(append(bytes.Clone(stderr), m.said...))
	if len(said) == 0 {
		// Shells for no logins speak there.
		said = m.head
	}
	return Refused(m.c.become, m.without(said))
}

// without returns text without the command line, which may hold secrets: sudo
// repeats it when it says that a user may not run it.
func (m *Mark) without(text []byte) []byte {
	if !m.Repeats(text) {
		return text
	}
	before, _, _ := bytes.Cut(text, []byte("sh -c "))
	before = before[bytes.LastIndexByte(before, '\n')+1:]
	before, _, _ = bytes.Cut(before, []byte("/"))
	if before = bytes.TrimRight(before, " '\""); len(before) == 0 {
		return []byte("the command is refused")
	}
	return append(bytes.Clone(before), " this command"...)
}

// Reader returns r from behind the mark: what a server prints on r that was
// started as another user. The mark is seen with the first byte that is read.
func (m *Mark) Reader(r io.Reader) io.Reader { return &behind{m: m, r: r} }

// behind drops what comes before the mark.
type behind struct {
	m *Mark
	r io.Reader
}

// Read implements [io.Reader].
func (b *behind) Read(p []byte) (int, error) {
	if err := b.m.Await(b.r); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

// Await reads from r, the command's standard output, up to the mark and no
// further. Once the mark is seen it does nothing.
func (m *Mark) Await(r io.Reader) error {
	var one [1]byte
	for !m.Started() {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return err
		}
		if _, err := m.Write(one[:]); err != nil {
			return err
		}
	}
	return nil
}

// Login answers sudo's question for a server that was started as another user,
// and returns when it serves. stdout is read up to the mark and no further; end
// closes the server's input.
func (m *Mark) Login(stdin io.Writer, end func() error, stdout io.Reader) error {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if !m.answer(stdin, over) {
			_ = end()
		}
	}()
	err := m.Await(stdout)
	close(over)
	<-done
	return err
}
