package ssh

import "context"

// Lost reports whether the connection is known to be over.
func (c *Conn) Lost() bool {
	select {
	case <-c.t.lost:
		return true
	default:
		return false
	}
}

// Ping asks the host for a sign of life. Its error wraps [conn.ErrUnreachable],
// or is the context's cause.
func (c *Conn) Ping(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	answered := make(chan error, 1)
	if !c.t.own(func() {
		// Any answer is a sign of life, a refusal too.
		_, _, err := c.t.client.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}) {
		return errLost
	}
	select {
	case err := <-answered:
		if err != nil {
			return errLost
		}
		return nil
	case <-c.t.lost:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Forget drops what is remembered of the host's users and groups.
func (c *Conn) Forget() { c.names.Forget() }
