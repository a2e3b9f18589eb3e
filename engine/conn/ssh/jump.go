package ssh

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// jumps are the open connections to jump hosts. The zero value is ready to use.
type jumps struct {
	mu   sync.Mutex
	open map[jumpKey]*jump
}

// jumpKey tells connections to jump hosts apart: those for other credentials are
// not shared.
type jumpKey struct {
	id, before          string
	keyFile, keyComment string
}

// jump is a connection to a jump host, or one that is being made.
type jump struct {
	// made is closed when t or err is there.
	made chan struct{}
	t    *transport
	err  error
	// given says that err is the end of its maker's own context.
	given bool
	users int
}

// maxJumps bounds how many hosts a connection goes through.
const maxJumps = 16

// checkJumps refuses ways that come by the same host again. It goes before the
// first connection: hosts that wait for each other would wait for ever.
func (d *Dialer) checkJumps(e *endpoint) error {
	seen := map[string]bool{}
	for {
		if seen[e.id()] || len(seen) == maxJumps {
			return fmt.Errorf("%w: the jump hosts go in a circle, through %s again", conn.ErrUnreachable, e.id())
		}
		if e.jump == nil {
			return nil
		}
		seen[e.id()] = true
		via, err := d.endpoint(*e.jump)
		if err != nil {
			return fmt.Errorf("jump host %s: %w", e.jump.Address, err)
		}
		e = via
	}
}

// jumpError is a jump host that was not reached. That was tried often enough.
type jumpError struct {
	host string
	err  error
}

func (e *jumpError) Error() string { return "jump host " + e.host + ": " + e.err.Error() }
func (e *jumpError) Unwrap() error { return e.err }

// through connects to e by way of its jump host.
func (d *Dialer) through(ctx context.Context, e *endpoint, deadline time.Time) (net.Conn, error) {
	via, err := d.endpoint(*e.jump)
	if err != nil {
		return nil, fmt.Errorf("jump host %s: %w", e.jump.Address, err)
	}
	via.jumpHost = true
	t, release, err := d.jump(ctx, via)
	if err != nil {
		return nil, &jumpError{via.host, err}
	}
	within, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	c, err := t.client.DialContext(within, "tcp", e.address())
	if err != nil {
		release()
		if ctx.Err() == nil && within.Err() != nil {
			err = fmt.Errorf("no connection within %s: %w", e.timeout, err)
		}
		return nil, unreachable(ctx, fmt.Errorf("from jump host %s: %w", via.host, err))
	}
	return &jumped{Conn: c, release: sync.OnceFunc(release)}, nil
}

// jumped is a connection through a jump host.
type jumped struct {
	net.Conn
	release func()
}

// Close implements [net.Conn], and gives the jump host's connection back.
func (j *jumped) Close() error {
	err := j.Conn.Close()
	j.release()
	return err
}

// jump returns the connection to a jump host, making it if there is none.
func (d *Dialer) jump(ctx context.Context, via *endpoint) (*transport, func(), error) {
	key := jumpKey{
		id: via.id(), before: via.target.Jump, keyFile: via.target.KeyFile, keyComment: via.target.KeyComment,
	}
	for {
		j, mine := d.jumps.enter(key)
		if mine {
			j.t, j.err = d.connect(ctx, via)
			j.given = ctx.Err() != nil
			close(j.made)
		}
		select {
		case <-j.made:
		case <-ctx.Done():
			d.jumps.leave(key, j)
			return nil, nil, context.Cause(ctx)
		}
		if j.err == nil {
			return j.t, func() { d.jumps.leave(key, j) }, nil
		}
		d.jumps.leave(key, j)
		if mine || !j.given {
			return nil, nil, j.err
		}
	}
}

// enter counts one more user of a connection; mine says that the caller is the
// first, and has to make it.
func (js *jumps) enter(key jumpKey) (j *jump, mine bool) {
	js.mu.Lock()
	defer js.mu.Unlock()
	j, ok := js.open[key]
	if ok && j.over() {
		ok = false
	}
	if !ok {
		if js.open == nil {
			js.open = map[jumpKey]*jump{}
		}
		j = &jump{made: make(chan struct{})}
		js.open[key] = j
	}
	j.users++
	return j, !ok
}

// over reports whether a connection failed or is lost.
func (j *jump) over() bool {
	select {
	case <-j.made:
	default:
		return false
	}
	if j.err != nil {
		return true
	}
	select {
	case <-j.t.lost:
		return true
	default:
		return false
	}
}

// leave counts one user less; the last one closes the connection.
func (js *jumps) leave(key jumpKey, j *jump) {
	js.mu.Lock()
	j.users--
	last := j.users == 0
	if last && js.open[key] == j {
		delete(js.open, key)
	}
	js.mu.Unlock()
	if !last {
		return
	}
	// Whoever leaves before it is made is not its maker, so that is still counted.
	if j.t != nil {
		j.t.close()
	}
}
