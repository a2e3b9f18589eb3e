package modules_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/local"
)

// TestOwnership needs root, who alone may give files away.
func TestOwnership(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		conntest.Missing(t, "root is needed")
	}
	dir := t.TempDir()
	touch := func(name string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	setuid := touch("setuid", 0o755|os.ModeSetuid)
	theirs := touch("theirs", 0o640)
	if err := os.Chown(theirs, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	deep := touch("tree/sub/deep", 0o644)
	target := touch("target", 0o644)
	if err := os.Symlink(target, filepath.Join(dir, "tree/link")); err != nil {
		t.Fatal(err)
	}
	tasks := fmt.Sprintf(`
    - !copy {content: x, dest: %[1]s/new, attributes: {owner: 12345, group: 12346}}
    - !file {path: %[1]s/setuid, attributes: {owner: 12345, mode: 0o4755}}
    - !copy {content: x, dest: %[1]s/theirs}
    - !directory {path: %[1]s/tree, recurse: true, attributes: {owner: 12345, group: root}}
`, dir)

	want := []string{"created", "modified(Owner)", "modified(Content)", "modified(Owner)"}
	for _, run := range []string{"first", "second"} {
		for i, e := range playTasks(t, t.TempDir(), local.Dialer{}, tasks) {
			if got := outcome(e); got != want[i] {
				t.Errorf("%s run: task %d: got %s, want %s", run, i, got, want[i])
			}
		}
		want = []string{"matched", "matched", "matched", "matched"}
	}
	for path, id := range map[string][2]uint32{
		filepath.Join(dir, "new"): {12345, 12346},
		setuid:                    {12345, 0},
		theirs:                    {12345, 12346},
		deep:                      {12345, 0},
		target:                    {0, 0},
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if got := [2]uint32{st.Uid, st.Gid}; got != id {
			t.Errorf("%s: got owner and group %v, want %v", path, got, id)
		}
	}
	if info, err := os.Stat(setuid); err != nil || info.Mode()&os.ModeSetuid == 0 {
		t.Errorf("setuid is lost: %v, %v", info.Mode(), err)
	}
}

func TestTemplateMustBeText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, dest := filepath.Join(dir, "binary"), filepath.Join(dir, "dest")
	if err := os.WriteFile(src, []byte("a\xffb"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := last(t, playTasks(t, dir, local.Dialer{}, fmt.Sprintf("    - !template {src: %s, dest: %s}\n", src, dest)))
	if e.Status != engine.StatusFailed || !strings.Contains(e.Message, "is not UTF-8 text") {
		t.Errorf("got %s: %s", e.Status, e.Message)
	}
	if _, err := os.Stat(dest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("dest: %v", err)
	}
}

// TestCopyStreams copies more than fits in any buffer, byte for byte.
func TestCopyStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, dest := filepath.Join(dir, "src"), filepath.Join(dir, "dest")
	data := strings.Repeat("\x00\xff\r\n0123456789", 1<<18)
	if err := os.WriteFile(src, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	task := fmt.Sprintf("    - !copy {src: %s, dest: %s}\n", src, dest)
	for _, want := range []string{"created", "matched"} {
		if got := outcome(last(t, playTasks(t, t.TempDir(), local.Dialer{}, task))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got, err := os.ReadFile(dest); err != nil || string(got) != data {
		t.Errorf("the copy differs (%d bytes of %d): %v", len(got), len(data), err)
	}
	// One byte in the middle, the size unchanged.
	if err := os.WriteFile(dest, []byte(data[:len(data)/2]+"?"+data[len(data)/2+1:]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := outcome(last(t, playTasks(t, t.TempDir(), local.Dialer{}, task))); got != "modified(Content)" {
		t.Errorf("got %s, want modified(Content)", got)
	}
}
