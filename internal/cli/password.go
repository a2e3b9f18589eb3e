package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// passwords asks for the passwords a run wants: on the terminal, or from the
// standard input if that is none.
func (a *app) passwords(ctx context.Context, f *runFlags) (login, sudo string, err error) {
	if !f.askLogin && !f.askSudo {
		return "", "", nil
	}
	ask := a.nextLine()
	if in, ok := a.env.Stdin.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		tty, err := openTTY()
		if err != nil {
			return "", "", fmt.Errorf("asking for a password: %w", err)
		}
		defer tty.Close()
		// Signals do not end a read, so the end of the context does.
		defer context.AfterFunc(ctx, tty.interrupt)()
		ask = func(prompt string) (string, error) { return tty.ask(ctx, prompt) }
	}
	if f.askLogin {
		if login, err = ask("SSH password"); err != nil {
			return "", "", a.interrupted(err)
		}
	}
	if f.askSudo {
		if sudo, err = ask("sudo password"); err != nil {
			return "", "", a.interrupted(err)
		}
	}
	return login, sudo, nil
}

// nextLine returns what reads the standard input line by line.
func (a *app) nextLine() func(what string) (string, error) {
	lines := bufio.NewReader(a.env.Stdin)
	return func(what string) (string, error) {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			return line, nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("the standard input has no line for it")
		}
		return "", fmt.Errorf("reading the %s: %w", what, err)
	}
}

// interrupted notes that an error stands for SIGINT.
func (a *app) interrupted(err error) error {
	if stopped, ok := errors.AsType[proc.StoppedError](err); ok && stopped.Signal == os.Interrupt {
		a.exit = exitInterrupted
	}
	return err
}

// tty is the controlling terminal while it shows nothing of what is typed.
type tty struct {
	file   *os.File
	raw    syscall.RawConn
	before *term.State
	lines  *term.Terminal
}

func openTTY() (*tty, error) {
	file, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t := &tty{file: file, lines: term.NewTerminal(file, "")}
	if t.raw, err = file.SyscallConn(); err == nil {
		cerr := t.raw.Control(func(fd uintptr) { t.before, err = term.MakeRaw(int(fd)) })
		err = errors.Join(cerr, err)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return t, nil
}

// Close makes the terminal what it was.
func (t *tty) Close() {
	_ = t.raw.Control(func(fd uintptr) { _ = term.Restore(int(fd), t.before) })
	_ = t.file.Close()
}

// interrupt ends a question.
func (t *tty) interrupt() { _ = t.file.SetReadDeadline(time.Unix(1, 0)) }

func (t *tty) ask(ctx context.Context, what string) (string, error) {
	answer, err := t.lines.ReadPassword(what + ": ")
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, io.EOF): // Ctrl-C and Ctrl-D
		err = proc.StoppedError{Signal: os.Interrupt}
	}
	_, _ = io.WriteString(t.file, "\r\n")
	return "", fmt.Errorf("asking for the %s: %w", what, err)
}
