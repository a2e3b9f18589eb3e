package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
	"github.com/jet-bus/jet-bus/engine/conn/sftpfs"
	"github.com/jet-bus/jet-bus/engine/conn/shellfs"
)

// other is this machine as another user.
type other struct {
	*files.FS

	parent  *Conn
	user    string
	become  conn.Become
	session *sftpfs.Session
}

func newOther(parent *Conn, b conn.Become) *other {
	o := &other{parent: parent, user: b.User, become: b}
	o.session = sftpfs.NewSession(o.openSFTP)
	o.FS = files.New(shellfs.Fallback(sftpfs.NewSystem(o.session, o.Run), o.Run), names{})
	return o
}

// User implements [conn.Conn].
func (o *other) User() string { return o.user }

// As implements [conn.Conn].
func (o *other) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	if b.User == "" || b == o.become {
		return o, nil
	}
	return o.parent.As(ctx, b)
}

// RTT implements [conn.Conn].
func (o *other) RTT() time.Duration { return 0 }

// Close implements [conn.Conn]; the parent's Close ends the connection.
func (o *other) Close() error { return nil }

// Run implements [conn.Conn].
func (o *other) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	ctx, done, ok := o.parent.running.Begin(ctx)
	if !ok {
		return conn.Output{}, errClosed
	}
	defer done()
	prepared, err := launch.Prepare(o.become, c)
	if err != nil {
		return conn.Output{}, fmt.Errorf("run %s: %w", launch.Name(c), err)
	}
	if ctx.Err() != nil {
		return conn.Output{}, fmt.Errorf("run %s: %w", launch.Name(c), context.Cause(ctx))
	}
	streams := launch.NewStreams(c)
	mark := prepared.Mark(streams.Stdout)
	//nolint:gosec // running the user's commands is what this package is for
	cmd := exec.CommandContext(ctx, prepared.Argv[0], prepared.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = mark, mark.Stderr(streams.Stderr)
	grouped(cmd)
	cmd.Cancel = func() error {
		cmd.WaitDelay = 2 * grace
		return o.kill(context.WithoutCancel(ctx), cmd.Process.Pid, mark)
	}
	if prepared.Lifeline || prepared.Asks() {
		err = runFed(cmd, mark, c.Stdin)
	} else {
		cmd.Stdin = input(prepared.Input, c.Stdin)
		err = cmd.Run()
	}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return conn.Output{}, fmt.Errorf("become %s: this machine has no sudo: %w", o.user, conn.ErrBecome)
	case ctx.Err() == nil && cmd.ProcessState != nil && !mark.Started():
		_, stderr, _ := streams.Close()
		return conn.Output{}, mark.Refused(stderr)
	case ctx.Err() == nil && mark.Err() != nil:
		return conn.Output{}, fmt.Errorf("run %s: %w", launch.Name(c), launch.DirError(c.Dir, mark.Err()))
	}
	return outcome(ctx, cmd, c, streams, err)
}

// input returns head and what rest, which may be nil, adds to it.
func input(head []byte, rest io.Reader) io.Reader {
	if rest == nil {
		return bytes.NewReader(head)
	}
	return io.MultiReader(bytes.NewReader(head), rest)
}

// kill ends the group that sudo's child runs in. Sudo itself belongs to root and
// often cannot be signalled from here, the other user's processes only by that
// user.
func (o *other) kill(ctx context.Context, sudo int, mark *launch.Mark) error {
	ctx, cancel := context.WithTimeout(ctx, 2*grace)
	defer cancel()
	select {
	case <-mark.Seen():
	case <-time.After(grace / 2):
	}
	if group := mark.Group(); group > 0 {
		prepared := launch.Kill(o.become, group, grace)
		//nolint:gosec // a fixed script
		kill := exec.CommandContext(ctx, prepared.Argv[0], prepared.Argv[1:]...)
		mark := prepared.Mark(io.Discard)
		kill.Stdout, kill.Stderr = mark, mark.Stderr(io.Discard)
		_ = runFed(kill, mark, nil)
	}
	_ = syscall.Kill(-sudo, syscall.SIGTERM)
	return nil
}

// openSFTP starts the other user's sftp-server.
func (o *other) openSFTP(context.Context) (*sftpfs.Pipe, error) {
	prepared := launch.SFTPServer(o.become)
	//nolint:gosec,noctx // a fixed command, which lives as long as the connection
	cmd := exec.Command(prepared.Argv[0], prepared.Argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = linger
	mark := prepared.Mark(io.Discard)
	var stderr bytes.Buffer
	cmd.Stderr = mark.Stderr(&stderr)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start sftp-server: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start sftp-server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("become %s: this machine has no sudo: %w", o.user, conn.ErrBecome)
		}
		return nil, fmt.Errorf("start sftp-server: %w", err)
	}
	end := sync.OnceValue(func() error {
		// The end of its input ends the server, whoever owns it.
		_ = in.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = out.Close()
		return cmd.Wait()
	})
	pipe := &sftpfs.Pipe{
		In: in, Out: mark.Reader(out),
		Close: end,
		Explain: func(err error) error {
			_ = end()
			said := bytes.TrimSpace(stderr.Bytes())
			switch {
			case !mark.Started():
				return mark.Refused(said)
			case len(said) > 0:
				return fmt.Errorf("%w: its server says: %s", shellfs.ErrNoSFTP, said)
			}
			return fmt.Errorf("%w: %w", shellfs.ErrNoSFTP, err)
		},
	}
	if prepared.Asks() {
		if err := mark.Login(in, in.Close, out); err != nil {
			return nil, pipe.Explain(err)
		}
	}
	return pipe, nil
}
