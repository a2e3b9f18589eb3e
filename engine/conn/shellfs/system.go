package shellfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// System is a host's files over its shell. It is safe for concurrent use if the
// function it was made with is.
type System struct {
	run func(context.Context, conn.Cmd) (conn.Output, error)
}

var _ files.System = (*System)(nil)

// New returns the files of the host that run runs commands on, as the user that
// they run as.
func New(run func(context.Context, conn.Cmd) (conn.Output, error)) *System { return &System{run: run} }

// look runs a script that changes nothing, and returns what it printed.
func (s *System) look(ctx context.Context, script string, args ...string) ([]byte, error) {
	return s.start(ctx, conn.Cmd{ReadOnly: true}, script, args)
}

// do runs a script.
func (s *System) do(ctx context.Context, script string, args ...string) error {
	_, err := s.start(ctx, conn.Cmd{}, script, args)
	return err
}

func (s *System) start(ctx context.Context, c conn.Cmd, script string, args []string) ([]byte, error) {
	c.Argv = append([]string{"/bin/sh", "-c", prelude + script, "jet"}, args...)
	out, err := s.run(ctx, c)
	if err != nil {
		return nil, err
	}
	return out.Stdout, reason(out)
}

// errSurplus is what a script answers when it did not get its input whole.
var errSurplus = errors.New("the content did not arrive whole")

// reason is why a script failed, nil when it did not.
func reason(out conn.Output) error {
	switch out.Code {
	case 0:
		return nil
	case invalid:
		return fmt.Errorf("it is not a regular file: %w", fs.ErrInvalid)
	case notExist:
		return fs.ErrNotExist
	case exist:
		return fs.ErrExist
	case permission:
		return fs.ErrPermission
	case notDir:
		// A path through a file cannot exist.
		return fmt.Errorf("%w: %w", fs.ErrNotExist, syscall.ENOTDIR)
	case loop:
		return syscall.ELOOP
	case isDir:
		return syscall.EISDIR
	case short:
		return errSurplus
	case changed:
		return errors.New("the file was replaced while it was read")
	case noTool:
		return errors.New("the host has no readlink program")
	}
	return said(out)
}

// said makes an error of the last line that a tool printed. Its language is
// English, as the scripts ask for; where a host answers otherwise, only the kind
// of the error is lost.
func said(out conn.Output) error {
	lines := strings.Split(string(bytes.TrimSpace(out.Stderr)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	for _, kind := range []struct {
		text string
		err  error
	}{
		{"Permission denied", fs.ErrPermission},
		{"Operation not permitted", fs.ErrPermission},
		{"No such file or directory", fs.ErrNotExist},
		{"File exists", fs.ErrExist},
		{"Too many levels of symbolic links", syscall.ELOOP},
		{"Symbolic link loop", syscall.ELOOP},
		{"Is a directory", syscall.EISDIR},
	} {
		if strings.HasSuffix(last, kind.text) {
			return kind.err
		}
	}
	if last == "" {
		return fmt.Errorf("the host's shell ended with status %d", out.Code)
	}
	return fmt.Errorf("the host says: %s", last)
}
