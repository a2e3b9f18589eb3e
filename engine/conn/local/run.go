package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
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
	// poll is the pace at which a group is watched dying.
	poll = 20 * time.Millisecond
)

// run runs a command as the process's own user.
func run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	argv, err := launch.Argv(c)
	if err == nil {
		err = launch.CheckEnv(c.Env)
	}
	if err != nil {
		return conn.Output{}, fmt.Errorf("run %s: %w", launch.Name(c), err)
	}
	if ctx.Err() != nil {
		return conn.Output{}, fmt.Errorf("run %s: %w", launch.Name(c), context.Cause(ctx))
	}
	if c.Dir != "" {
		if err := enter(c.Dir); err != nil {
			return conn.Output{}, fmt.Errorf("run %s: %w", launch.Name(c), err)
		}
	}
	lifeline := c.Stdin == nil && !c.ReadOnly
	if lifeline {
		argv = launch.Guard(argv)
	}
	streams := launch.NewStreams(c)
	//nolint:gosec // running the user's commands is what this package is for
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), "LANG=C")
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, streams.Stdout, streams.Stderr
	grouped(cmd)
	if lifeline {
		err = runFed(cmd, nil, nil)
	} else {
		err = cmd.Run()
	}
	if cmd.Process != nil && ctx.Err() != nil {
		endGroup(cmd.Process.Pid)
	}
	return outcome(ctx, cmd, c, streams, err)
}

// runFed runs cmd with an input that stays open until it has ended: when this
// process dies before, the input's end kills a command on a lifeline. What mark
// has to write, which may be nil, and then stdin, is written to it.
func runFed(cmd *exec.Cmd, mark *launch.Mark, stdin io.Reader) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	over, fed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(fed)
		if mark != nil {
			mark.Feed(in, in.Close, stdin, over)
		}
	}()
	// Wait closes the pipe, which ends the feeding.
	err = cmd.Wait()
	close(over)
	if stdin == nil {
		// One that reads what the caller gave ends with that.
		<-fed
	}
	return err
}

// enter checks a directory, since what os/exec says about a missing one reads as
// if the program were missing.
func enter(dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return launch.DirError(dir, err)
	}
	if !fi.IsDir() {
		return launch.DirError(dir, syscall.ENOTDIR)
	}
	return nil
}

// grouped starts cmd in a process group of its own, which gets SIGTERM when its
// context ends. The group's leader is killed after the grace; [endGroup] takes
// care of the others.
func grouped(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = linger
	cmd.Cancel = func() error {
		cmd.WaitDelay = grace
		return ignoreGone(syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM))
	}
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// endGroup waits for what is left of a signalled group, and kills it after the
// grace.
func endGroup(pgid int) {
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if syscall.Kill(-pgid, 0) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			_ = syscall.Kill(-pgid, syscall.SIGKILL)
			return
		}
	}
}

// outcome makes an Output of how a process ended.
func outcome(ctx context.Context, cmd *exec.Cmd, c conn.Cmd, streams *launch.Streams, err error) (conn.Output, error) {
	var out conn.Output
	var fault error
	out.Stdout, out.Stderr, fault = streams.Close()
	if cmd.ProcessState != nil {
		out.Code = exitCode(cmd.ProcessState)
	}
	_, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return out, fmt.Errorf("run %s: %w", launch.Name(c), context.Cause(ctx))
	case err == nil, exited, errors.Is(err, exec.ErrWaitDelay):
		if fault != nil {
			return out, fmt.Errorf("run %s: %w", launch.Name(c), fault)
		}
		return out, nil
	case cmd.ProcessState != nil:
		return out, fmt.Errorf("run %s: feed its standard input: %w", launch.Name(c), err)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return notStarted(c, 127, "not found")
	case errors.Is(err, fs.ErrPermission):
		return notStarted(c, 126, "permission denied")
	case errors.Is(err, syscall.EISDIR):
		return notStarted(c, 126, "is a directory")
	case errors.Is(err, syscall.ENOEXEC):
		return notStarted(c, 126, "not in a format that can be executed")
	}
	return out, fmt.Errorf("run %s: %w", launch.Name(c), err)
}

// notStarted is what a shell would have answered.
func notStarted(c conn.Cmd, code int, why string) (conn.Output, error) {
	text := fmt.Appendf(nil, "%s: %s\n", launch.Name(c), why)
	out := conn.Output{Stderr: text, Code: code}
	if c.Stderr != nil {
		if _, err := c.Stderr.Write(text); err != nil {
			return out, fmt.Errorf("run %s: pass on the command's output: %w", launch.Name(c), err)
		}
	}
	return out, nil
}

func exitCode(ps *os.ProcessState) int {
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ps.ExitCode()
}
