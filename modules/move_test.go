package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/local"
)

// here returns a connection to this machine.
func here(t *testing.T) conn.Conn {
	t.Helper()
	c, err := local.Dialer{}.Dial(t.Context(), conn.Target{Local: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// enact queries a module and applies its plan.
func enact(t *testing.T, m engine.Module, h *engine.Host) (engine.Plan, engine.Result, error) {
	t.Helper()
	if v, ok := m.(engine.Validator); ok {
		if err := v.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	p, err := m.Query(t.Context(), h)
	if err != nil || p.Need == engine.Matched {
		return p, engine.Result{}, err
	}
	r, err := m.Apply(t.Context(), h, p)
	return p, r, err
}

func TestMoveBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, dest := filepath.Join(dir, "src"), filepath.Join(dir, "dest")
	write(t, src+"/new", "new")
	write(t, dest+"/old", "old")
	h := &engine.Host{Conn: here(t)}
	m := move{Src: hostPath(src), Dest: hostPath(dest), Backup: true}
	_, res, err := enact(t, &m, h)
	if err != nil {
		t.Fatal(err)
	}
	backup, _ := res.Data["backup"].(string)
	if !strings.HasPrefix(backup, dest+".20") {
		t.Errorf("backup is %q", backup)
	}
	if got := read(t, dest+"/new") + read(t, backup+"/old"); got != "newold" {
		t.Errorf("files hold %q", got)
	}
	again := move{Src: hostPath(src), Dest: hostPath(dest), Backup: true}
	if p, _, err := enact(t, &again, h); err != nil || p.Need != engine.Matched {
		t.Errorf("second run: %v, %v", p, err)
	}
}

func TestBackupPathIsFree(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "f")
	now := time.Date(2025, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	write(t, name+".20250203T030506Z", "")
	got, err := backupPath(t.Context(), here(t), name, now)
	if want := name + ".20250203T030506Z-2"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// apart is a host on which two paths are on different file systems, and cp may
// be broken.
type apart struct {
	conn.Conn
	from   string
	broken bool
}

func (a apart) Rename(ctx context.Context, from, to string) error {
	if from == a.from {
		return syscall.EXDEV
	}
	return a.Conn.Rename(ctx, from, to)
}

func (a apart) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	if a.broken && c.Argv[0] == "cp" {
		write := conn.Cmd{Argv: append([]string{"mkdir"}, c.Argv[len(c.Argv)-1])}
		if _, err := a.Conn.Run(ctx, write); err != nil {
			return conn.Output{}, err
		}
		return conn.Output{Code: 1, Stderr: []byte("disk full")}, nil
	}
	return a.Conn.Run(ctx, c)
}

func TestMoveAcrossFileSystems(t *testing.T) {
	t.Parallel()
	for _, broken := range []bool{false, true} {
		dir := t.TempDir()
		src, dest := filepath.Join(dir, "-src x"), filepath.Join(dir, "dest")
		write(t, src+"/sub/new", "new")
		old := time.Unix(1e9, 0)
		if err := os.Chtimes(src+"/sub/new", old, old); err != nil {
			t.Fatal(err)
		}
		write(t, dest+"/old", "old")
		h := &engine.Host{Conn: apart{here(t), src, broken}}
		m := move{Src: hostPath(src), Dest: hostPath(dest), Force: true}
		_, _, err := enact(t, &m, h)
		names, _ := filepath.Glob(dir + "/*")
		hidden, _ := filepath.Glob(dir + "/.*")
		if broken {
			if !errors.Is(err, syscall.EXDEV) || !strings.Contains(err.Error(), "disk full") {
				t.Errorf("error is %v", err)
			}
			if len(names) != 2 || read(t, dest+"/old") != "old" || read(t, src+"/sub/new") != "new" {
				t.Errorf("left behind: %q", names)
			}
		} else {
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(dest + "/sub/new")
			if len(names) != 1 || err != nil || !info.ModTime().Equal(old) {
				t.Errorf("left behind: %q; %v, %v", names, info, err)
			}
		}
		if len(hidden) > 0 {
			t.Errorf("temporary files remain: %q", hidden)
		}
	}
}

// TestMoveHardLink moves a file over another name of the same file, which
// renaming alone leaves as it is.
func TestMoveHardLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, dest := filepath.Join(dir, "src"), filepath.Join(dir, "dest")
	write(t, src, "x")
	if err := os.Link(src, dest); err != nil {
		t.Fatal(err)
	}
	h := &engine.Host{Conn: here(t)}
	for _, want := range []engine.Need{engine.Modify, engine.Matched} {
		m := move{Src: hostPath(src), Dest: hostPath(dest), Force: true}
		if p, _, err := enact(t, &m, h); err != nil || p.Need != want {
			t.Errorf("got %v, %v, want %v", p.Need, err, want)
		}
	}
	if _, err := os.Lstat(src); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("src: %v", err)
	}
	if got := read(t, dest); got != "x" {
		t.Errorf("dest holds %q", got)
	}
}

// TestMoveLink leaves the file alone that a link names.
func TestMoveLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/target", "x")
	if err := os.Symlink("target", dir+"/from"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []engine.Need{engine.Create, engine.Matched} {
		m := move{
			Src: hostPath(dir + "/from"), Dest: hostPath(dir + "/to"),
			Mode: engine.Mode{Given: true, Perm: 0o600}, Owner: fmt.Sprint(os.Getuid()),
		}
		if p, _, err := enact(t, &m, &engine.Host{Conn: here(t)}); err != nil || p.Need != want {
			t.Errorf("%v, %v; want %v", p, err, want)
		}
	}
	if info, err := os.Stat(dir + "/target"); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file behind the link: %v, %v", info, err)
	}
}
