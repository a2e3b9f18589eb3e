package engine

import (
	"context"
	"errors"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// line is the connection that an attempt uses; it is made on first use.
type line struct {
	x    *execution
	vars map[string]any
	at   *place

	target conn.Target
	conn   conn.Conn // as the login user
	// acting is the connection as the user of the task, for changes.
	acting conn.Conn
}

// get returns the connection as the user of the task, for its query: reads may
// have been made before.
func (l *line) get(ctx context.Context) (conn.Conn, error) {
	b, err := l.x.become(l.vars, l.at)
	if err != nil {
		return nil, fault{err}
	}
	if l.target, err = l.x.target(l.at); err != nil {
		return nil, fault{err}
	}
	env, err := l.x.set.environ.render(l.vars)
	if err != nil {
		return nil, fault{err}
	}
	c, err := l.x.links.get(ctx, l.target)
	if err != nil {
		return nil, err
	}
	l.conn = c
	if !l.at.delegated {
		l.x.lookAhead(ctx, l.target, c)
	}
	if b != (conn.Become{}) {
		if c, err = c.As(ctx, b); err != nil {
			return nil, err
		}
	}
	l.acting = withEnviron(c, env)
	if l.at.delegated {
		return l.acting, nil
	}
	return withEnviron(l.x.host.foresight.memory.Query(c), env), nil
}

// again gives h another connection in the place of one that may have broken.
func (l *line) again(ctx context.Context, h *Host) error {
	if l.conn != nil {
		l.x.links.drop(l.target, l.conn)
		l.conn = nil
	}
	if _, err := l.get(ctx); err != nil {
		return err
	}
	h.Conn = l.acting
	return nil
}

// lost says whether err means that a connection broke, which then is forgotten.
func (l *line) lost(err error) bool {
	if l.conn == nil || !errors.Is(err, conn.ErrUnreachable) {
		return false
	}
	l.x.links.drop(l.target, l.conn)
	l.conn = nil
	return true
}
