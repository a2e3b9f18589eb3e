package modules_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// fakeHost is a host with a few files to read and commands to run. It is its
// own dialer. A call of anything else panics.
type fakeHost struct {
	conn.Conn
	files    map[string]string
	commands map[string]conn.Output // by argv, joined with blanks
}

func (f *fakeHost) Dial(context.Context, conn.Target) (conn.Conn, error) { return f, nil }

func (f *fakeHost) User() string { return "root" }

func (f *fakeHost) As(context.Context, conn.Become) (conn.Conn, error) { return f, nil }

func (f *fakeHost) RTT() time.Duration { return 0 }

func (f *fakeHost) Close() error { return nil }

func (f *fakeHost) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	out, ok := f.commands[strings.Join(c.Argv, " ")]
	if !ok {
		return conn.Output{Code: 127, Stderr: fmt.Appendf(nil, "%q: not found\n", c.Argv)}, nil
	}
	return out, nil
}

func (f *fakeHost) Inspect(_ context.Context, path string, _ conn.Look) (conn.Inspection, error) {
	text, ok := f.files[path]
	if !ok {
		return conn.Inspection{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	return conn.Inspection{FileInfo: conn.FileInfo{Size: int64(len(text))}, Content: []byte(text)}, nil
}
