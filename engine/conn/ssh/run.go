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
	"github.com/jet-bus/jet-bus/engine/conn/launch"
)

const (
	// grace is how long a command has between SIGTERM and SIGKILL.
	grace = 2 * time.Second
	// linger is how long output is waited for that a background process, left
	// behind by a command that has ended, may still write.
	linger = time.Second
)

// Run implements [conn.Conn]. A program that is not there or cannot be started
// gives 127 or 126, as a shell does.
func (c *Conn) Run(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
	// Whatever ran may have changed users and groups.
	defer c.names.Forget()
	return c.run(ctx, cmd)
}

func (c *Conn) run(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
	out, err := c.execute(ctx, cmd)
	if err != nil && !errors.Is(err, conn.ErrBecome) {
		err = fmt.Errorf("run %s: %w", launch.Name(cmd), err)
	}
	return out, err
}

func (c *Conn) execute(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
	prepared, err := launch.Prepare(c.become, cmd)
	if err != nil {
		return conn.Output{}, err
	}
	ctx, done, ok := c.login.running.Begin(ctx)
	if !ok {
		return conn.Output{}, errLost
	}
	defer done()
	release, err := c.t.acquire(ctx)
	if err != nil {
		return conn.Output{}, err
	}
	streams := launch.NewStreams(cmd)
	p, err := c.begin(ctx, prepared, cmd.Stdin, streams)
	if err != nil {
		release()
		return conn.Output{}, err
	}
	code, err := c.wait(ctx, p)
	// The host counts the session until both sides have closed it, which takes a
	// round trip that the caller need not wait for.
	if !c.t.own(func() { p.closed(); release() }) {
		release()
	}
	var out conn.Output
	var fault error
	out.Stdout, out.Stderr, fault = streams.Close()
	out.Code = code
	switch {
	case err != nil:
		return out, err
	case !p.mark.Started() && c.become != "":
		return conn.Output{}, launch.Refused(c.become, out.Stderr)
	case !p.mark.Started():
		return out, fmt.Errorf("the login shell of %s did not start it (exit status %d): %s",
			c.user, code, bytes.TrimSpace(out.Stderr))
	case p.mark.Err() != nil:
		return conn.Output{}, launch.DirError(cmd.Dir, p.mark.Err())
	}
	return out, fault
}

// process is a command that runs on the host.
type process struct {
	*session
	mark *launch.Mark
	// drained is closed when both outputs are at their end.
	drained chan struct{}
}

// begin starts a command and the goroutines that move its data. They end with
// the session; one that waits for the caller's stdin ends with that.
func (c *Conn) begin(ctx context.Context, prepared *launch.Command, stdin io.Reader, streams *launch.Streams,
) (*process, error) {
	select {
	case <-c.t.lost:
		return nil, errLost
	default:
	}
	s, err := c.t.start(ctx, "exec", prepared.Line())
	if errors.Is(err, errLost) {
		return nil, errCut
	}
	if err != nil {
		return nil, err
	}
	p := &process{session: s, mark: prepared.Mark(streams.Stdout), drained: make(chan struct{})}
	owned := c.t.own(func() {
		defer close(p.drained)
		var outputs sync.WaitGroup
		outputs.Go(func() { _, _ = io.Copy(p.mark, s) })
		outputs.Go(func() { _, _ = io.Copy(streams.Stderr, s.Stderr()) })
		outputs.Wait()
	})
	if !owned {
		return nil, errLost
	}
	go p.feed(prepared, stdin)
	return p, nil
}

// feed writes a command's standard input. A command may end without reading it:
// that is no failure, its exit status speaks. A lifeline stays open until the
// session is closed.
func (p *process) feed(prepared *launch.Command, stdin io.Reader) {
	_, err := p.Write(prepared.Input)
	if prepared.Lifeline {
		return
	}
	if err == nil && stdin != nil {
		_, _ = io.Copy(p, stdin)
	}
	_ = p.CloseWrite()
}

// wait waits for a command's end, or brings it about when ctx ends.
func (c *Conn) wait(ctx context.Context, p *process) (int, error) {
	defer func() { _ = p.Close() }()
	select {
	case e, ok := <-p.exited:
		if !ok {
			c.t.over()
			return 0, errCut
		}
		if !p.settle(ctx, linger) && ctx.Err() != nil {
			c.kill(ctx, p)
			return e.code, context.Cause(ctx)
		}
		return e.code, nil
	case <-ctx.Done():
		c.kill(ctx, p)
		select {
		case e := <-p.exited:
			p.settle(context.WithoutCancel(ctx), linger)
			return e.code, context.Cause(ctx)
		case <-time.After(linger):
			return 0, context.Cause(ctx)
		}
	}
}

// closed waits until the host has closed the session too.
func (p *process) closed() {
	for range p.exited {
	}
}

// settle waits for the rest of the output.
func (p *process) settle(ctx context.Context, limit time.Duration) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-p.drained:
		return true
	case <-ctx.Done():
	case <-late.C:
	}
	return false
}

// kill ends a command's process group from a session of its own; closing the
// command's session would let it run on.
func (c *Conn) kill(ctx context.Context, p *process) {
	// Whatever goes wrong here, the lifeline ends the command too.
	defer func() { _ = p.CloseWrite() }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*grace)
	defer cancel()
	select {
	case <-p.mark.Seen():
	case <-p.drained:
	case <-ctx.Done():
	}
	group := p.mark.Group()
	if group == 0 {
		return
	}
	s, err := c.t.start(ctx, "exec", launch.Line(launch.Kill(c.become, group, grace)))
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	select {
	case <-s.exited:
	case <-ctx.Done():
	}
}
