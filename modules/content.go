package modules

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// content is what a file on the host shall hold. It may be opened repeatedly.
type content struct {
	size int64
	open func() (io.ReadCloser, error)
	// name is that of the local file that holds it, if one does.
	name string
}

// textContent is a content held in memory.
func textContent(s string) content {
	return content{size: int64(len(s)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(s)), nil
	}}
}

// localContent is the content of a file of this machine.
func localContent(name string) (content, error) {
	info, err := os.Stat(name)
	if err != nil {
		return content{}, err
	}
	return content{size: info.Size(), name: name, open: func() (io.ReadCloser, error) { return os.Open(name) }}, nil
}

func (c content) checksum(ctx context.Context, h *engine.Host) ([]byte, error) {
	if c.name != "" {
		return h.SourceSum(ctx, c.name)
	}
	r, err := c.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, untilDone(ctx, r)); err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	return sum.Sum(nil), nil
}

// query says what is to be done so that dest holds the content and has the
// attributes.
func (c content) query(ctx context.Context, h *engine.Host, dest filePath, a attributes) (engine.Plan, error) {
	look := conn.Look{Sum: true, Size: c.size}
	if h.Diff {
		look.Content = maxDiff
	}
	info, err := h.Conn.Inspect(ctx, string(dest), look)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		diffs, err := c.diffs(h, dest, conn.Inspection{Content: []byte{}})
		return engine.Plan{Need: engine.Create, Diffs: diffs}, err
	case err != nil:
		return engine.Plan{}, err
	case info.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is a directory: write the path of the file itself in dest, such as %s",
			dest, path.Join(string(dest), "NAME"))
	case !info.Mode.IsRegular():
		return engine.Plan{}, fmt.Errorf("%s is not a regular file and is not replaced", dest)
	}
	var fields []string
	var diffs []engine.Diff
	same, err := c.matches(ctx, h, info)
	if err != nil {
		return engine.Plan{}, err
	}
	if !same {
		fields = append(fields, fieldContent)
		if diffs, err = c.diffs(h, dest, info); err != nil {
			return engine.Plan{}, err
		}
	}
	fields = append(fields, a.diff(info.FileInfo)...)
	if len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	return engine.Plan{Need: engine.Modify, Fields: fields, Diffs: diffs}, nil
}

// matches reports whether what was found on the host is the content.
func (c content) matches(ctx context.Context, h *engine.Host, found conn.Inspection) (bool, error) {
	if found.Size != c.size || found.Sum == nil {
		return false, nil
	}
	want, err := c.checksum(ctx, h)
	if err != nil {
		return false, err
	}
	return bytes.Equal(found.Sum, want), nil
}

// maxDiff is the size of the largest file that is compared line by line.
const maxDiff = 256 << 10

// diffs returns the difference between what was found and the content, if it is
// asked for.
func (c content) diffs(h *engine.Host, dest filePath, found conn.Inspection) ([]engine.Diff, error) {
	if !h.Diff {
		return nil, nil
	}
	d := engine.Diff{Path: string(dest), Before: shown(found.Content, found.Size)}
	if c.size > maxDiff {
		d.After = shown(nil, c.size)
		return []engine.Diff{distinct(d)}, nil
	}
	r, err := c.open()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	d.After = shown(text, int64(len(text)))
	return []engine.Diff{distinct(d)}, nil
}

// shown is content as a diff shows it: what is too large, or no text, is named.
func shown(content []byte, size int64) string {
	if content == nil || !utf8.Valid(content) {
		return fmt.Sprintf("(%d bytes, not shown)\n", size)
	}
	return string(content)
}

// distinct makes contents that are not the same, but not shown either, look it.
// An empty file that is made stays one without a difference.
func distinct(d engine.Diff) engine.Diff {
	if d.Before == d.After && d.Before != "" {
		d.Before = "(as it was, not shown)\n"
	}
	return d
}

// apply carries out the plan that query made.
func (c content) apply(ctx context.Context, h *engine.Host, dest filePath, a attributes, p engine.Plan) error {
	if p.Need == engine.Modify && p.Fields[0] != fieldContent {
		// All of them, not only those that differ: a change of owner clears
		// setuid and setgid.
		return h.Conn.SetAttr(ctx, string(dest), a.attr())
	}
	r, err := c.open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return writeFile(ctx, h.Conn, string(dest), r, a)
}

// writeFile writes a file and says what to do when its directory is missing.
// That is found out here, not by a query, because in check mode an earlier task
// of the play may be the one that would make the directory.
func writeFile(ctx context.Context, c conn.Conn, dest string, r io.Reader, a attributes) error {
	return whyNotWritten(ctx, c, dest, c.WriteFile(ctx, dest, r, a.attr()))
}

// whyNotWritten is what writeFile says of an error of writing a file, or one
// that is to take its place.
func whyNotWritten(ctx context.Context, c conn.Conn, dest string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := path.Dir(dest)
	info, statErr := c.Stat(ctx, dir)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return fmt.Errorf("writing %s: the directory %s does not exist; make it first with the directory module", dest, dir)
	case statErr == nil && !info.Mode.IsDir():
		return fmt.Errorf("writing %s: %s is not a directory", dest, dir)
	}
	return err
}

// readerFunc is a function that reads.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// untilDone returns a reader of r that ends when the context does.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(p)
	})
}
