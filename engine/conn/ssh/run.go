package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
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
	// settling is how long output that has arrived may take to be passed on.
	settling = 100 * time.Millisecond
	// maxLine is how long a command line may be. OpenSSH ends the connection over a
	// request of more than 256 KiB. (Linux runs none above 128 KiB; it says so.)
	maxLine = 255 << 10
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
	if n := len(prepared.Line()); n > maxLine {
		return conn.Output{}, fmt.Errorf("its command line of %d bytes is longer than SSH takes, %d bytes", n, maxLine)
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
	p, err := c.begin(ctx, prepared, cmd, streams)
	if err != nil {
		release()
		return conn.Output{}, err
	}
	code, err := c.wait(ctx, p)
	p.done()
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
	case !p.mark.Started() && c.become.User != "":
		return conn.Output{}, p.mark.Refused(out.Stderr)
	case !p.mark.Started():
		return out, c.notStarted(p.mark, code, out.Stderr)
	case p.mark.Err() != nil:
		return conn.Output{}, launch.DirError(cmd.Dir, p.mark.Err())
	}
	return out, fault
}

// notStarted is the error of a command that the login user's shell did not start,
// with the end of what was printed instead, unless that shows the command.
func (c *Conn) notStarted(mark *launch.Mark, code int, stderr []byte) error {
	const most = 400
	why := fmt.Sprintf("the login shell of %s did not start it (exit status %d)", c.user, code)
	for _, said := range [][]byte{bytes.TrimSpace(stderr), mark.Instead()} {
		if len(said) > 0 && !mark.Repeats(said) {
			return fmt.Errorf("%s, it says: %s", why, said[max(0, len(said)-most):])
		}
	}
	return errors.New(why)
}

// process is a command that runs on the host.
type process struct {
	*session
	mark *launch.Mark
	// drained is closed when both outputs are at their end.
	drained chan struct{}
	// fed is closed when nothing more is written to the command.
	fed chan struct{}
	// done takes back what the command was lent.
	done func()
}

// begin starts a command and the goroutines that move its data. They end with
// the session; one that waits for the caller's stdin ends with that.
func (c *Conn) begin(ctx context.Context, prepared *launch.Command, cmd conn.Cmd, streams *launch.Streams,
) (*process, error) {
	s, err := c.t.session(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{session: s, mark: prepared.Mark(streams.Stdout), drained: make(chan struct{}), fed: make(chan struct{}), done: func() {}}
	if cmd.ForwardAgent {
		p.done = c.t.lend(s) //nolint:contextcheck // the way to the agent outlives the command that opened it
	}
	stderr := p.mark.Stderr(streams.Stderr)
	var outputs atomic.Int32
	move := func(to io.Writer, from io.Reader) func() {
		return func() {
			_, _ = io.Copy(to, from)
			if outputs.Add(1) == 2 {
				close(p.drained)
			}
		}
	}
	if !c.t.own(move(p.mark, s)) || !c.t.own(move(stderr, s.Stderr())) {
		p.done()
		return nil, errLost
	}
	go func() {
		defer close(p.fed)
		// The outputs and the exit tell the rest: nobody waits for the answer but
		// who writes, as the request must come first.
		if s.ask("exec", prepared.Line()) == nil {
			p.mark.Feed(s, s.CloseWrite, cmd.Stdin, p.drained)
		}
	}()
	c.t.refill()
	return p, nil
}

// wait waits for a command's end, or brings it about when ctx ends.
func (c *Conn) wait(ctx context.Context, p *process) (int, error) {
	defer func() { _ = p.Close() }()
	select {
	case e, ok := <-p.exited:
		if !ok {
			return 0, c.cut(p)
		}
		if !p.settle(ctx, linger) {
			c.catchUp(ctx)
			if !p.settle(ctx, settling) && ctx.Err() != nil {
				c.kill(ctx, p)
				return e.code, context.Cause(ctx)
			}
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

// cut is the error of a command whose session ended without an exit status.
func (c *Conn) cut(p *process) error {
	<-p.granted
	if _, refused := errors.AsType[*refusedError](p.refusal); refused {
		return p.refusal
	}
	c.t.over()
	return errCut
}

// catchUp gives a host that is late with a command's last output, because it has
// much to do, the time it needs: sshd looks for output before it answers, so what
// was printed by now comes before the second answer.
func (c *Conn) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	for range 2 {
		if c.login.Ping(ctx) != nil {
			return
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

// endInput closes the command's input, and the session with it while someone
// still writes: the library does not let two do both.
func (p *process) endInput() {
	select {
	case <-p.fed:
		_ = p.CloseWrite()
	default:
		_ = p.Close()
	}
}

// kill ends a command's process group from a session of its own; closing the
// command's session would let it run on.
func (c *Conn) kill(ctx context.Context, p *process) {
	// Whatever goes wrong here, the lifeline ends the command too.
	defer p.endInput()
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
	streams := launch.NewStreams(conn.Cmd{})
	k, err := c.begin(ctx, launch.Kill(c.become, group, grace), conn.Cmd{}, streams)
	if err != nil {
		return
	}
	defer func() { _ = k.Close() }()
	select {
	case <-k.exited:
	case <-ctx.Done():
	}
}
