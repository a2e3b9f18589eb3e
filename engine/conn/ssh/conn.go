package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
	"github.com/jet-bus/jet-bus/engine/conn/sftpfs"
	"github.com/jet-bus/jet-bus/engine/conn/shellfs"
)

// Conn is one user on a host. The connection of the login user owns those of the
// others.
type Conn struct {
	*files.FS

	t     *transport
	names *files.HostNames
	user  string
	// become is the identity taken on; it is empty for the login user.
	become  conn.Become
	session *sftpfs.Session
	login   *Conn

	mu     sync.Mutex
	others map[conn.Become]*Conn
	closed bool
	// running holds the commands of all users; it is the login user's that counts.
	running launch.Running
}

var _ conn.Conn = (*Conn)(nil)

// farAway is the round trip from which on the login user's SFTP server is started
// before anything asks for it. Nearer hosts are spared one that may not be needed.
const farAway = time.Millisecond

func newConn(login string, t *transport, filesAhead bool) *Conn {
	c := &Conn{t: t, user: login, others: map[conn.Become]*Conn{}}
	c.login = c
	// The names' own questions change nothing that they would have to forget.
	c.names = files.NewHostNames(c.run)
	c.attach()
	t.refill()
	if rtt := t.rtt.get(); filesAhead || rtt == 0 || rtt >= farAway {
		// What goes wrong here goes wrong again for whoever needs it.
		t.own(func() { _ = c.session.Start(context.Background()) })
	}
	return c
}

// attach makes the file operations of c.
func (c *Conn) attach() {
	c.session = sftpfs.NewSession(c.openSFTP)
	c.FS = files.New(shellfs.Fallback(sftpfs.NewSystem(c.session, c.run), c.run), c.names)
}

// User implements [conn.Conn].
func (c *Conn) User() string { return c.user }

// As implements [conn.Conn]. Sudo is asked when the first operation needs it: a
// refusal is that operation's error and wraps [conn.ErrBecome].
func (c *Conn) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	login := c.login
	switch b.User {
	case "", c.user:
		return c, nil
	case login.user:
		return login, nil
	}
	if err := launch.Check(b); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	login.mu.Lock()
	defer login.mu.Unlock()
	if login.closed {
		return nil, errLost
	}
	o, ok := login.others[b]
	if !ok {
		o = &Conn{t: login.t, names: login.names, user: b.User, become: b, login: login}
		o.attach()
		login.others[b] = o
	}
	return o, nil
}

// RTT implements [conn.Conn].
func (c *Conn) RTT() time.Duration { return c.t.rtt.get() }

// Close implements [conn.Conn]. On another user's connection it does nothing:
// that lives as long as the login user's.
func (c *Conn) Close() error {
	if c.login != c {
		return nil
	}
	c.mu.Lock()
	others := c.others
	c.others, c.closed = nil, true
	c.mu.Unlock()
	c.running.Close(errLost)
	// Without the connection the sessions end at once; a farewell to each would
	// cost a round trip.
	c.t.close()
	_ = c.session.Close()
	for _, o := range others {
		_ = o.session.Close()
	}
	return nil
}

// openSFTP starts the user's SFTP server.
func (c *Conn) openSFTP(ctx context.Context) (*sftpfs.Pipe, error) {
	if c.become.User != "" {
		return c.openOtherSFTP(ctx)
	}
	s, err := c.t.start(ctx, "subsystem", "sftp")
	if err != nil {
		if _, ok := errors.AsType[*refusedError](err); ok {
			return nil, shellfs.ErrNoSFTP
		}
		return nil, err
	}
	said, err := c.listen(s, nil)
	if err != nil {
		return nil, err
	}
	return &sftpfs.Pipe{In: s, Out: s, Close: s.Close, Explain: func(err error) error {
		return c.serverless(said.text(linger), err)
	}}, nil
}

// openOtherSFTP starts an SFTP server as the other user.
func (c *Conn) openOtherSFTP(ctx context.Context) (*sftpfs.Pipe, error) {
	prepared := launch.SFTPServer(c.become)
	s, err := c.t.start(ctx, "exec", prepared.Line())
	if err != nil {
		return nil, err
	}
	mark := prepared.Mark(io.Discard)
	said, err := c.listen(s, mark)
	if err != nil {
		return nil, err
	}
	explain := func(err error) error {
		text := said.text(linger)
		if err := c.t.explain(nil); err != nil && len(text) == 0 {
			return err
		}
		if !mark.Started() {
			return mark.Refused(text)
		}
		return c.serverless(text, err)
	}
	if prepared.Asks() {
		stop := context.AfterFunc(ctx, func() { _ = s.Close() })
		err := mark.Login(s, s.CloseWrite, s)
		if !stop() {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			_ = s.Close()
			return nil, explain(err)
		}
	}
	return &sftpfs.Pipe{In: s, Out: mark.Reader(s), Close: s.Close, Explain: explain}, nil
}

// serverless is why there is no SFTP server to talk to, on a connection in order:
// the host has none, or what it started in its place does not speak SFTP.
func (c *Conn) serverless(said []byte, err error) error {
	if lost := c.t.explain(nil); lost != nil {
		return lost
	}
	if len(said) > 0 {
		return fmt.Errorf("%w: its server says: %s", shellfs.ErrNoSFTP, said)
	}
	return fmt.Errorf("%w: %w", shellfs.ErrNoSFTP, err)
}

// listen keeps what a server prints on its standard error; a mark takes its part
// of that first.
func (c *Conn) listen(s *session, mark *launch.Mark) (*complaint, error) {
	said := &complaint{done: make(chan struct{})}
	var w io.Writer = said
	if mark != nil {
		w = mark.Stderr(said)
	}
	if !c.t.own(func() {
		defer close(said.done)
		_, _ = io.Copy(w, s.Stderr())
	}) {
		return nil, errLost
	}
	return said, nil
}

// complaint keeps the first part of what a server prints.
type complaint struct {
	done chan struct{}
	mu   sync.Mutex
	buf  []byte
}

const maxComplaint = 4 << 10

// Write implements [io.Writer].
func (c *complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = append(c.buf, p[:min(len(p), maxComplaint-len(c.buf))]...)
	return len(p), nil
}

// text is what was printed, once the server is done or the wait is over.
func (c *complaint) text(wait time.Duration) []byte {
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-c.done:
	case <-late.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.TrimSpace(bytes.Clone(c.buf))
}
