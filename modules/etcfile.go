package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxEtcFile is how large a configuration file may be, in bytes.
const maxEtcFile = 1 << 20

// etcFile is a configuration file of the host that a module changes a part of.
type etcFile struct {
	path string
	// text is what it holds; empty when it does not exist.
	text   string
	exists bool
}

// readEtc reads a configuration file, which may be missing.
func readEtc(ctx context.Context, c conn.Conn, path string) (etcFile, error) {
	found, err := c.Inspect(ctx, path, conn.Look{Content: maxEtcFile})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return etcFile{path: path}, nil
	case err != nil:
		return etcFile{}, err
	case !found.Mode.IsRegular():
		return etcFile{}, fmt.Errorf("%s is not a regular file", path)
	case found.Content == nil:
		return etcFile{}, fmt.Errorf("%s is larger than %d MiB, which is too large for it", path, maxEtcFile>>20)
	}
	return etcFile{path: path, text: string(found.Content), exists: true}, nil
}

// diff is the difference to what the file shall hold, if it is asked for and there
// is one.
func (f etcFile) diff(h *engine.Host, after string) []engine.Diff {
	if f.text == after {
		return nil
	}
	return textDiff(h, f.path, f.text, after)
}

// write makes the file hold a text. Containers have some files of /etc mounted one
// by one, and nothing can take the place of a mount point: such a file is written
// over where it is, which is not done in one step.
func (f etcFile) write(ctx context.Context, c conn.Conn, text string) error {
	err := writeFile(ctx, c, f.path, strings.NewReader(text), attributes{})
	if err == nil || !f.exists {
		return err
	}
	mounts, mountsErr := readMounts(ctx, c)
	if mountsErr != nil || len(mounts.at(f.path)) == 0 {
		return err
	}
	argv := []string{"tee", "--", f.path}
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, Stdin: strings.NewReader(text)})
	if err != nil {
		return fmt.Errorf("running %s: %w", argv[0], err)
	}
	if out.Code != 0 {
		return toolError(argv, out)
	}
	return nil
}

// readProc reads a file of the kernel's. A program does: Inspect goes by the size,
// of which such a file says nothing, and what Open reads cannot be read ahead.
func readProc(ctx context.Context, c conn.Conn, path string) (string, error) {
	argv := []string{"cat", "--", path}
	out, err := ask(ctx, c, argv...)
	switch {
	case err != nil:
		return "", err
	case out.Code == 0:
		return string(out.Stdout), nil
	case strings.Contains(text(out.Stderr), "No such file or directory"):
		return "", fmt.Errorf("reading %s: %w", path, fs.ErrNotExist)
	}
	return "", toolError(argv, out)
}

// isPlain tells whether a text is one line without control characters, so that it
// can stand in a line of a configuration file.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
