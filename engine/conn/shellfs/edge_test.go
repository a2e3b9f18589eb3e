package shellfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
	"github.com/jet-bus/jet-bus/engine/conn/shellfs"
)

// A connection that breaks in the middle of a write just ends the input: neither
// a part of the content nor a temporary file may be left.
func TestBrokenWrite(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		c := here(t)
		for _, size := range []int{1, 1000, 64 << 10, 64<<10 + 1, 300_000} {
			for _, cut := range []int{0, size / 2, size - 1, size} {
				dir := t.TempDir()
				file := filepath.Join(dir, "file")
				h := overRun(c, bin, func(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
					if cmd.Stdin != nil {
						cmd.Stdin = io.LimitReader(cmd.Stdin, int64(cut))
					}
					return c.Run(ctx, cmd)
				})
				err := h.WriteFile(t.Context(), file, bytes.NewReader(make([]byte, size)), conn.Attr{})
				// Small content has no mark behind it.
				if whole := cut == size && size <= 64<<10; whole != (err == nil) {
					t.Errorf("%d of %d bytes: %v", cut, size, err)
				}
				if err == nil {
					continue
				}
				if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
					t.Errorf("%d of %d bytes leave %v, %v", cut, size, names, err)
				}
			}
		}
	})
}

// Content that ends with the bytes that tell its end, or holds NUL bytes, arrives
// like any other.
func TestContent(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		h := over(here(t), bin)
		file := filepath.Join(t.TempDir(), "file")
		for _, content := range [][]byte{
			{},
			{0},
			[]byte("\n\n\n"), bytes.Repeat([]byte{0}, 64<<10), bytes.Repeat([]byte("jet-\n"), 64<<10),
			slices.Concat(bytes.Repeat([]byte{0xff}, 70_000), []byte("\n")),
		} {
			if err := h.WriteFile(t.Context(), file, bytes.NewReader(content), conn.Attr{}); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes arrive as %d: %v", len(content), len(got), err)
			}
			for _, limit := range []int64{int64(len(content)) - 1, int64(len(content))} {
				found, err := h.Inspect(t.Context(), file, conn.Look{Content: limit, Sum: true, Size: -1})
				want := content
				if limit < int64(len(content)) || limit <= 0 {
					want = nil
				}
				if err != nil || !bytes.Equal(found.Content, want) || len(found.Sum) != 32 {
					t.Errorf("inspect with %d of %d: %d bytes, sum %x, %v", limit, len(content), len(found.Content), found.Sum, err)
				}
			}
		}
	})
}

// A file that is replaced while it is read is not mixed with its successor.
func TestReplacedWhileRead(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		h := over(here(t), bin)
		file := filepath.Join(t.TempDir(), "file")
		for _, replace := range []bool{false, true} {
			if err := os.WriteFile(file, make([]byte, 3<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := h.Open(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := h.WriteFile(t.Context(), file, strings.NewReader("new"), conn.Attr{}); err != nil {
					t.Fatal(err)
				}
			}
			n, err := io.Copy(io.Discard, r)
			if replace && (err == nil || !strings.Contains(err.Error(), "replaced")) || !replace && (err != nil || n != 3<<20) {
				t.Errorf("replaced %v: %d bytes, %v", replace, n, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestReasons(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		h := over(here(t), bin)
		dir := t.TempDir()
		at := func(name string) string { return dir + "/" + name }
		for name, link := range map[string]string{"a": "b", "b": "a", "up": "../" + filepath.Base(dir) + "/real"} {
			if err := os.Symlink(link, at(name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range []string{"real", "empty"} {
			if err := os.Mkdir(at(d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(at("real/file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		stat := func(path string) error { _, err := h.Stat(ctx, path); return err }
		open := func(path string) error { _, err := h.Open(ctx, path); return err }
		list := func(path string) error { _, err := h.ReadDir(ctx, path); return err }
		link := func(path string) error { _, err := h.ReadLink(ctx, path); return err }
		write := func(path string) error { return h.WriteFile(ctx, path, strings.NewReader("x"), conn.Attr{}) }
		any := errors.New("any error")
		for name, tt := range map[string]struct{ err, want error }{
			"a way through a loop":        {stat(at("a/x")), syscall.ELOOP},
			"a way through a file":        {stat(at("up/file/x")), fs.ErrNotExist},
			"a way that is there":         {stat(at("up/../real/./file")), nil},
			"a way that is not":           {stat(at("up/none/file")), fs.ErrNotExist},
			"reading a directory":         {open(at("real")), syscall.EISDIR},
			"reading through a loop":      {open(at("a")), syscall.ELOOP},
			"listing a file":              {list(at("real/file")), fs.ErrNotExist},
			"the target of a file":        {link(at("real/file")), any},
			"writing to a FIFO":           {write(at("fifo")), fs.ErrExist},
			"writing to a directory":      {write(at("up")), fs.ErrExist},
			"writing through a loop":      {write(at("a")), syscall.ELOOP},
			"writing through a link":      {write(at("up/new")), nil},
			"writing below a file":        {write(at("real/file/x")), fs.ErrNotExist},
			"a directory in a loop":       {h.Mkdir(ctx, at("a/x"), conn.Attr{}), syscall.ELOOP},
			"a directory over a loop":     {h.Mkdir(ctx, at("a"), conn.Attr{}), fs.ErrExist},
			"a link in a link":            {h.Symlink(ctx, "x", at("up/link")), nil},
			"a link over a directory":     {h.Symlink(ctx, "x", at("real")), fs.ErrExist},
			"a link that looks an option": {h.Symlink(ctx, "-sf", at("option")), nil},
			"a file over a directory":     {h.Rename(ctx, at("real/file"), at("empty")), any},
			"a directory over a full one": {h.Rename(ctx, at("empty"), at("real")), any},
			"a file over itself":          {h.Rename(ctx, at("real/file"), at("real/file")), nil},
			"a copy of a FIFO":            {h.Copy(ctx, at("fifo"), at("copy"), conn.Attr{}), fs.ErrInvalid},
			"a copy of a directory":       {h.Copy(ctx, at("real"), at("copy"), conn.Attr{}), fs.ErrInvalid},
			"attributes through a loop":   {h.SetAttr(ctx, at("a"), conn.Attr{Owner: "0"}), syscall.ELOOP},
			"removing below a file":       {h.Remove(ctx, at("real/file/x")), fs.ErrNotExist},
		} {
			if !errors.Is(tt.err, tt.want) && (tt.err == nil || !errors.Is(tt.want, any)) {
				t.Errorf("%s: %v, want %v", name, tt.err, tt.want)
			}
		}
		got, err := h.ReadDir(ctx, dir)
		want := []string{"a", "b", "empty", "fifo", "option", "real", "up"}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("files (-want +got), %v:\n%s", err, diff)
		}
	})
}

// A directory is renamed over an empty one, a link over a link, as the system's
// call does it, and never into it.
func TestRename(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		h := over(here(t), bin)
		dir := t.TempDir()
		at := func(name string) string { return dir + "/" + name }
		for _, d := range []string{"full/x", "empty"} {
			if err := os.MkdirAll(at(d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("full", at("link")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct{ from, to, want string }{
			{"file", "link", "empty full link"},
			{"full", "empty", "empty link"},
			{"link", "new", "empty new"},
			{"empty", "-", "- new"},
		} {
			if err := h.Rename(t.Context(), at(step.from), at(step.to)); err != nil {
				t.Fatal(err)
			}
			names, err := h.ReadDir(t.Context(), dir)
			if got := strings.Join(names, " "); got != step.want || err != nil {
				t.Errorf("%s to %s: %s, want %s; %v", step.from, step.to, got, step.want, err)
			}
		}
		if fi, err := h.Lstat(t.Context(), at("new")); err != nil || !fi.Mode.IsRegular() {
			t.Errorf("a file renamed over a link is %+v, %v", fi, err)
		}
	})
}

// What is no file of bytes is described, not opened: that could wait for ever.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		h := over(here(t), bin)
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{
			fifo:        fs.ModeNamedPipe,
			"/dev/null": fs.ModeDevice | fs.ModeCharDevice,
			"/":         fs.ModeDir,
		} {
			found, err := h.Inspect(t.Context(), path, conn.Look{Sum: true, Size: -1, Content: 1 << 20})
			if err != nil || found.Mode.Type() != want || found.Sum != nil || found.Content != nil {
				t.Errorf("%s is %+v, %v", path, found, err)
			}
		}
		// Files of the kernel say that they are empty.
		r, err := h.Open(t.Context(), "/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || !bytes.HasPrefix(text, []byte("Name:")) {
			t.Errorf("read %q, %v", text, err)
		}
	})
}

// refusing is a system that is not there.
type refusing struct {
	files.System
	asked *atomic.Int64
	reads bool
}

func (r refusing) Stat(context.Context, string, bool) (conn.FileInfo, error) {
	r.asked.Add(1)
	return conn.FileInfo{}, errors.Join(shellfs.ErrNoSFTP)
}

func (r refusing) Write(_ context.Context, _ string, content io.Reader, _ files.Attr) error {
	if r.reads {
		_, _ = content.Read(make([]byte, 1))
	}
	return shellfs.ErrNoSFTP
}

func TestFallback(t *testing.T) {
	t.Parallel()
	c := here(t)
	var asked atomic.Int64
	f := shellfs.Fallback(refusing{asked: &asked}, c.Run)
	for range 2 {
		if fi, err := f.Stat(t.Context(), "/", true); err != nil || !fi.Mode.IsDir() {
			t.Errorf("stat: %+v, %v", fi, err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	// Half a content is not taken for the whole.
	file := filepath.Join(t.TempDir(), "file")
	f = shellfs.Fallback(refusing{asked: &asked, reads: true}, c.Run)
	if err := f.Write(t.Context(), file, strings.NewReader("x"), files.Attr{UID: -1, GID: -1}); !errors.Is(err, shellfs.ErrNoSFTP) {
		t.Errorf("write: %v", err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}
