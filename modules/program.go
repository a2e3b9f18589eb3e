package modules

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// programDir is where programs are copied to, in a folder of their own.
	programDir = "/tmp"
	// busyTries is how often a program is started that the host still takes for
	// being written, and busyWait what lies between.
	busyTries = 20
	busyWait  = 10 * time.Millisecond
)

// program is an executable file of this machine that is to run on the host.
type program struct {
	file string
	// dir is where it is copied to; empty means programDir.
	dir   hostPath
	args  []string
	chdir hostPath
	// input is what the program reads on its standard input; nil means nothing.
	input []byte
}

// run copies the program to a folder on the host that only the task's user can
// enter, runs it, and takes the folder away, also when the run is stopped.
func (p program) run(ctx context.Context, c conn.Conn) (out conn.Output, err error) {
	err = scratch(ctx, c, cmp.Or(string(p.dir), programDir), "the program", func(dir string) error {
		out, err = p.runIn(ctx, c, dir)
		return err
	})
	return out, err
}

func (p program) runIn(ctx context.Context, c conn.Conn, dir string) (out conn.Output, err error) {
	f, err := os.Open(p.file)
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close() }()
	private := fs.FileMode(0o700)
	name := path.Join(dir, filepath.Base(p.file))
	if err := c.WriteFile(ctx, name, untilDone(ctx, f), conn.Attr{Mode: &private}); err != nil {
		return out, fmt.Errorf("copying the program: %w", err)
	}
	return p.start(ctx, c, name)
}

// start runs the copy. A process of the host that was being started while the
// copy was written can hold it open a moment longer.
func (p program) start(ctx context.Context, c conn.Conn, name string) (conn.Output, error) {
	for try := 1; ; try++ {
		cmd := conn.Cmd{Argv: append([]string{name}, p.args...), Dir: string(p.chdir), MaxOutput: maxOutput}
		if p.input != nil {
			cmd.Stdin = bytes.NewReader(p.input)
		}
		out, err := c.Run(ctx, cmd)
		busy := errors.Is(err, syscall.ETXTBSY) ||
			out.Code == 126 && bytes.Contains(bytes.ToLower(out.Stderr), []byte("text file busy"))
		if err != nil && !busy {
			return out, fmt.Errorf("running the program: %w", err)
		}
		if !busy || try == busyTries {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-time.After(busyWait):
		}
	}
}
