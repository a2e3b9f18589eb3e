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
)

// Conn is one user on a host. The connection of the login user owns those of the
// others.
type Conn struct {
	*files.FS

	t     *transport
	names *files.HostNames
	user  string
	// become is the user for sudo; it is empty for the login user.
	become  string
	session *sftpfs.Session
	login   *Conn

	mu     sync.Mutex
	others map[conn.Become]*Conn
	closed bool
	// running holds the commands of all users; it is the login user's that counts.
	running launch.Running
}

var _ conn.Conn = (*Conn)(nil)

func newConn(login string, t *transport) *Conn {
	c := &Conn{t: t, user: login, others: map[conn.Become]*Conn{}}
	c.login = c
	// The names' own questions change nothing that they would have to forget.
	c.names = files.NewHostNames(c.run)
	c.attach()
	return c
}

// attach makes the file operations of c.
func (c *Conn) attach() {
	c.session = sftpfs.NewSession(c.openSFTP)
	c.FS = files.New(sftpfs.NewSystem(c.session, c.run), c.names)
}

// User implements [conn.Conn].
func (c *Conn) User() string { return c.user }

// As implements [conn.Conn]. Sudo is asked when the first operation needs it: a
// refusal is that operation's error and wraps [conn.ErrBecome].
func (c *Conn) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	login := c.login
	switch b.User {
	case "":
		return c, nil
	case login.user:
		return login, nil
	}
	if err := launch.CheckUser(b.User); err != nil {
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
		o = &Conn{t: login.t, names: login.names, user: b.User, become: b.User, login: login}
		o.attach()
		login.others[b] = o
	}
	return o, nil
}

// RTT implements [conn.Conn].
func (c *Conn) RTT() time.Duration { return 0 }

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
	request, payload := "subsystem", "sftp"
	if c.become != "" {
		request, payload = "exec", launch.Line(launch.SFTPServer(c.become))
	}
	s, err := c.t.start(ctx, request, payload)
	if err != nil {
		if _, ok := errors.AsType[*refusedError](err); ok && c.become == "" {
			return nil, errors.New("the host offers no SFTP: enable the sftp subsystem in its sshd_config")
		}
		return nil, err
	}
	complaint := &complaint{done: make(chan struct{})}
	if !c.t.own(func() {
		defer close(complaint.done)
		_, _ = io.Copy(complaint, s.Stderr())
	}) {
		return nil, errLost
	}
	return &sftpfs.Pipe{
		In: s, Out: s,
		Close: s.Close,
		Explain: func(err error) error {
			said := complaint.text(linger)
			switch {
			case c.become != "" && len(said) > 0:
				return launch.Refused(c.become, said)
			case len(said) > 0:
				return fmt.Errorf("the host's SFTP server says: %s", said)
			}
			select {
			case <-c.t.lost:
				return errLost
			default:
				return err
			}
		},
	}, nil
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
