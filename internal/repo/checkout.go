package repo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/internal/content"
)

// The modes of what a commit holds.
const (
	modeFile    = "100644"
	modeProgram = "100755"
	modeLink    = "120000"
	modeModule  = "160000" // a submodule
)

// UnfitError says that a commit cannot be content, however often it is read.
type UnfitError struct{ Why string }

// Error says why.
func (e UnfitError) Error() string { return e.Why }

func unfit(format string, args ...any) error { return UnfitError{fmt.Sprintf(format, args...)} }

// entry is a file or a link of a commit.
type entry struct {
	mode, id, name string
	size           int64
}

// Checkout writes the files of a commit that was fetched into dir, which must be there and be empty. The bytes are
// those that were committed: no attribute changes them. Submodules are left out. It refuses more than a bundle may
// hold before it writes anything. An error that holds an [UnfitError] will be the same each time.
func (r *Repo) Checkout(ctx context.Context, commit, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	if !hexPattern().MatchString(commit) {
		return fmt.Errorf("%q is not the id of a commit", commit)
	}
	err := r.checkout(ctx, commit, dir)
	if _, unfit := errors.AsType[UnfitError](err); err != nil && !unfit && ctx.Err() == nil {
		// Perhaps the clone is damaged; the next fetch makes it anew.
		err = errors.Join(err, os.RemoveAll(r.o.Dir))
	}
	return err
}

func (r *Repo) checkout(ctx context.Context, commit, dir string) error {
	list, err := r.list(ctx, commit)
	if err != nil {
		return fmt.Errorf("read commit %.12s: %w", commit, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("write commit %.12s: %w", commit, err)
	}
	defer root.Close() //nolint:errcheck // a directory
	if err := r.write(ctx, root, list); err != nil {
		return fmt.Errorf("write commit %.12s: %w", commit, err)
	}
	return nil
}

// list returns what a commit holds.
func (r *Repo) list(ctx context.Context, commit string) ([]entry, error) {
	tree := commit + "^{tree}"
	if r.o.Path != "" {
		tree = commit + ":" + r.o.Path
		if _, err := r.git(ctx, "ls-tree", commit); err != nil { // the clone is damaged
			return nil, err
		}
		if kind, err := r.git(ctx, "cat-file", "-t", tree); err != nil || kind != "tree" {
			return nil, r.without(ctx)
		}
	}
	out, err := r.git(ctx, "ls-tree", "-r", "-l", "-z", "--full-tree", tree)
	if err != nil {
		return nil, err
	}
	var list []entry
	var total int64
	for record := range strings.SplitSeq(out, "\x00") {
		if record == "" {
			continue
		}
		e, err := parse(record)
		if err != nil {
			return nil, err
		}
		if e.mode == modeModule {
			continue
		}
		total += e.size
		list = append(list, e)
		if len(list) > content.MaxFiles {
			return nil, unfit("%s is one file too many, content holds at most %d", e.name, content.MaxFiles)
		}
		if total > content.MaxBytes {
			return nil, unfit("%s (%d bytes) makes it larger than %d bytes", e.name, e.size, content.MaxBytes)
		}
	}
	return list, nil
}

// without says that a commit lacks the directory that is content.
func (r *Repo) without(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return unfit("it has no directory %s", r.o.Path)
}

// parse reads a line of git ls-tree -l: mode, kind, id, size, and after a tab the name.
func parse(record string) (entry, error) {
	head, name, ok := strings.Cut(record, "\t")
	f := strings.Fields(head)
	if !ok || len(f) != 4 || !hexPattern().MatchString(f[2]) || name == "" {
		return entry{}, fmt.Errorf("git lists %q", record)
	}
	e := entry{mode: f[0], id: f[2], name: name}
	switch e.mode {
	case modeModule:
		return e, nil
	case modeFile, modeProgram, modeLink, "100664": // git itself once wrote the last
	default:
		return entry{}, unfit("%s has the mode %s", name, e.mode)
	}
	var err error
	if e.size, err = strconv.ParseInt(f[3], 10, 64); err != nil {
		return entry{}, fmt.Errorf("git lists %q", record)
	}
	return e, nil
}

// write writes the files; git is asked for one after the other, in one process.
func (r *Repo) write(ctx context.Context, root *os.Root, list []entry) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, said := r.command(ctx, nil, "cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return r.failure(ctx, err, "")
	}
	reader := bufio.NewReaderSize(out, 64<<10)
	for _, e := range list {
		if err = blob(root, in, reader, e); err != nil {
			err = fmt.Errorf("%s: %w", e.name, err)
			cancel() // it may wait for us
			break
		}
	}
	_ = in.Close()
	ended := cmd.Wait()
	if err != nil || ended == nil {
		return err
	}
	return r.failure(ctx, ended, said.String())
}

// blob asks for one file and writes it.
func blob(root *os.Root, in io.Writer, out *bufio.Reader, e entry) (err error) {
	if _, err := fmt.Fprintln(in, e.id); err != nil {
		return err
	}
	head, err := out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("git ended early: %w", err)
	}
	if want := fmt.Sprintf("%s blob %d\n", e.id, e.size); head != want {
		return fmt.Errorf("git gives %q", strings.TrimSpace(head))
	}
	if dir := path.Dir(e.name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if e.mode == modeLink {
		target := make([]byte, e.size)
		if _, err := io.ReadFull(out, target); err != nil {
			return err
		}
		if err := root.Symlink(string(target), e.name); err != nil {
			return err
		}
	} else if err := file(root, out, e); err != nil {
		return err
	}
	_, err = out.Discard(1) // the end of the line
	return err
}

func file(root *os.Root, out io.Reader, e entry) (err error) {
	mode := os.FileMode(0o600)
	if e.mode == modeProgram {
		mode = 0o700
	}
	f, err := root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyN(f, out, e.size)
	return err
}
