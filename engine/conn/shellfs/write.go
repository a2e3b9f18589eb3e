package shellfs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// small is the content that is gathered before it is sent, so that its size is
// known.
const small = 64 << 10

// id is an id as the scripts take it.
func id(n int) string {
	if n < 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// mode is a mode as the scripts take it.
func mode(m *fs.FileMode) string {
	if m == nil {
		return ""
	}
	return octal(*m)
}

// temporary is a name that nobody else picks.
func temporary() string { return ".jet-" + strings.ToLower(rand.Text()) }

// Write implements [files.System]: one command.
func (s *System) Write(ctx context.Context, path string, content io.Reader, a files.Attr) error {
	in := &input{r: files.Reader(ctx, content)}
	defer func() { _ = in.shut() }()
	head := make([]byte, small+1)
	n, err := io.ReadFull(in, head)
	head = head[:n]
	size, mark := "", ""
	stdin := io.Reader(bytes.NewReader(head))
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		size = strconv.Itoa(n)
	case err != nil:
		return err
	default:
		mark = "jet-" + rand.Text()
		// The mark is only sent if all the content was.
		stdin = io.MultiReader(stdin, in, strings.NewReader(mark))
	}
	_, err = s.start(ctx, conn.Cmd{Stdin: stdin}, putScript,
		[]string{path, temporary(), size, mark, mode(a.Mode), id(a.UID), id(a.GID), ""})
	if ferr := in.shut(); ferr != nil && ctx.Err() == nil {
		return ferr
	}
	return err
}

// input is a caller's reader. What went wrong with it is remembered, since those
// who read it as a command's input take its end for the end.
type input struct {
	mu     sync.Mutex
	r      io.Reader
	err    error
	closed bool
}

// Read implements [io.Reader].
func (in *input) Read(p []byte) (int, error) {
	in.mu.Lock()
	closed, err := in.closed, in.err
	in.mu.Unlock()
	if closed || err != nil {
		return 0, errors.Join(err, io.ErrClosedPipe)
	}
	n, err := in.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		in.mu.Lock()
		in.err = err
		in.mu.Unlock()
	}
	return n, err
}

// shut ends the reading, and returns what went wrong with it.
func (in *input) shut() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	return in.err
}

// Copy implements [files.System].
func (s *System) Copy(ctx context.Context, from, to string, a files.Attr) error {
	return s.do(ctx, putScript, to, temporary(), "", "", mode(a.Mode), id(a.UID), id(a.GID), from)
}

// Mkdir implements [files.System].
func (s *System) Mkdir(ctx context.Context, path string, a files.Attr) error {
	return s.do(ctx, mkdirScript, path, mode(a.Mode), id(a.UID), id(a.GID))
}

// SetAttr implements [files.System].
func (s *System) SetAttr(ctx context.Context, path string, a files.Attr) error {
	link := ""
	if a.NoFollow {
		link = "h"
	}
	return s.do(ctx, attrScript, path, mode(a.Mode), id(a.UID), id(a.GID), link)
}

// Symlink implements [files.System].
func (s *System) Symlink(ctx context.Context, target, path string) error {
	return s.do(ctx, symlinkScript, path, target)
}

// Rename implements [files.System].
func (s *System) Rename(ctx context.Context, from, to string) error {
	return s.do(ctx, renameScript, from, to)
}

// Remove implements [files.System].
func (s *System) Remove(ctx context.Context, path string) error {
	return s.do(ctx, removeScript, path)
}

// RemoveAll implements [files.System].
func (s *System) RemoveAll(ctx context.Context, path string) error {
	return s.do(ctx, removeAllScript, path)
}
