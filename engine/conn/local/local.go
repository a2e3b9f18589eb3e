package local

import (
	"context"
	"fmt"
	"os/user"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
)

// Dialer opens connections to this machine, whatever the target says. The zero
// value is ready to use.
type Dialer struct{}

var _ conn.Dialer = Dialer{}

// Dial implements [conn.Dialer].
func (Dialer) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) { return Dial(ctx, t) }

// Conn is this machine, as the user that the process runs as.
type Conn struct {
	*files.FS

	user *user.User

	mu      sync.Mutex
	others  map[conn.Become]*other
	closed  bool
	running launch.Running
}

var _ conn.Conn = (*Conn)(nil)

// Dial returns a connection to this machine. Of the target only the name
// matters, for messages: commands run as the process's own user.
func Dial(ctx context.Context, t conn.Target) (*Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("open host %s: find out the process's user: %w", t.Name, err)
	}
	return &Conn{
		FS:     files.New(system{}, names{}),
		user:   me,
		others: map[conn.Become]*other{},
	}, nil
}

// User implements [conn.Conn].
func (c *Conn) User() string { return c.user.Username }

// As implements [conn.Conn].
func (c *Conn) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	if b.User == "" || b.User == c.user.Username || b.User == c.user.Uid {
		return c, nil
	}
	if err := launch.Check(b); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	o, ok := c.others[b]
	if !ok {
		o = newOther(c, b)
		c.others[b] = o
	}
	return o, nil
}

// RTT implements [conn.Conn].
func (c *Conn) RTT() time.Duration { return 0 }

// errClosed is what a closed connection answers.
var errClosed = fmt.Errorf("the connection is closed: %w", conn.ErrUnreachable)

// Run implements [conn.Conn]. A program that is not there or cannot be started
// gives 127 or 126, as a shell does.
func (c *Conn) Run(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
	ctx, done, ok := c.running.Begin(ctx)
	if !ok {
		return conn.Output{}, errClosed
	}
	defer done()
	return run(ctx, cmd)
}

// Close implements [conn.Conn].
func (c *Conn) Close() error {
	c.mu.Lock()
	others := c.others
	c.others, c.closed = nil, true
	c.mu.Unlock()
	c.running.Close(errClosed)
	for _, o := range others {
		_ = o.session.Close()
	}
	return nil
}
