package modules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn/local"
)

// archived is a tree with names that tools stumble over.
const archived = `0o755 sub/
0o600 sub/it's_"quoted" "x\n"
0o755 sub/-rf "#!/bin/sh\n"
0o644 $(touch_x) ""
0o644 ünïcode "é"
link -> sub/-rf
0o700 empty/
`

// TestArchiveFormats unpacks what was archived, in every format.
func TestArchiveFormats(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "tgz"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			src := filepath.Join(dir, "tree")
			buildTree(t, src, archived)
			// One file that is read as a stream, and one whose name has a line in it.
			if err := os.WriteFile(filepath.Join(src, "large"), []byte(strings.Repeat("large ", 200_000)), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(src, "two\nlines"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(filepath.Join(src, "pipe"), 0o644); err != nil {
				t.Fatal(err)
			}
			tasks := fmt.Sprintf(`    - !archive {paths: [%[1]s/tree], dest: %[1]s/a.%[2]s}
    - !unpack {src: %[1]s/a.%[2]s, dest: %[1]s/out}
`, dir, format)
			for i, want := range []string{"created", "matched"} {
				for _, e := range playTasks(t, t.TempDir(), local.Dialer{}, tasks) {
					if got := outcome(e); got != want {
						t.Fatalf("run %d: %s says %s, want %s", i, e.Module, got, want)
					}
				}
			}
			if err := os.Remove(filepath.Join(src, "pipe")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(readTree(t, src), readTree(t, filepath.Join(dir, "out/tree"))); diff != "" {
				t.Errorf("-archived +unpacked:\n%s", diff)
			}
		})
	}
}

// TestArchiveFollowsItsInputs changes what was archived, and the archive.
func TestArchiveFollowsItsInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := filepath.Join(dir, "tree")
	buildTree(t, src, archived)
	name := filepath.Join(src, "backup.tar") // in the tree itself
	run := func(want string) {
		t.Helper()
		tasks := fmt.Sprintf("    - !archive {paths: [%s], dest: %s, attributes: {mode: 0o640}}\n", src, name)
		if got := outcome(last(t, playTasks(t, t.TempDir(), local.Dialer{}, tasks))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run("created")
	run("matched")
	try(os.Chmod(name, 0o600))
	run("modified(Mode)")
	file := filepath.Join(src, "sub", "-rf")
	try(os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)))
	run("modified(Content)")
	try(os.Chmod(file, 0o700))
	run("modified(Content)")
	try(os.WriteFile(filepath.Join(src, "sub", "new"), nil, 0o644))
	run("modified(Content)")
	try(os.Remove(filepath.Join(src, "link")))
	run("modified(Content)")
	try(os.WriteFile(name, []byte("not an archive"), 0o640))
	run("modified(Content)")
	try(os.Remove(name))
	run("created")
	run("matched")
	try(os.WriteFile(filepath.Join(src, ".jet-installed.json"), []byte("{"), 0o600))
	run("modified(Content)")
	run("matched")
}

// TestStoreIsNoLink sees to it that what was installed is not noted through a link
// that someone else put there.
func TestStoreIsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	buildTree(t, dir, "0o644 victim \"precious\"\n.jet-installed.json -> victim\n0o644 x \"x\"\n")
	got := outcome(last(t, playTasks(t, t.TempDir(), local.Dialer{},
		fmt.Sprintf("    - !archive {paths: [%[1]s/x], dest: %[1]s/x.zip}\n", dir))))
	if want := "failed: " + dir + "/.jet-installed.json is no regular file"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "victim")); err != nil || string(text) != "precious" {
		t.Errorf("the file behind the link holds %q, %v", text, err)
	}
}
