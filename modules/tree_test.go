package modules

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
)

func TestTreeDiffIsBounded(t *testing.T) {
	t.Parallel()
	src, dest := t.TempDir(), filepath.Join(t.TempDir(), "dest")
	for i := range maxTreeDiffs + 7 {
		write(t, fmt.Sprintf("%s/%03d", src, i), "x\n")
	}
	write(t, dest+"/one", "goes")
	m := copyFile{Src: src, Dest: copyDest(dest), Delete: true}
	p, err := m.Query(t.Context(), &engine.Host{Conn: here(t), Diff: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Diffs); n != maxTreeDiffs+1 || p.Diffs[n-1].After != "(8 more files, not shown)\n" {
		t.Errorf("%d diffs, the last is %+v", n, p.Diffs[n-1])
	}
	if d := p.Diffs[0]; d.Path != dest+"/000" || d.Before != "" || d.After != "x\n" {
		t.Errorf("the first diff is %+v", d)
	}

	write(t, src+"/large", strings.Repeat("y", maxDiff+1))
	m = copyFile{Src: src + "/large", Dest: copyDest(dest + "/large")}
	p, err = m.Query(t.Context(), &engine.Host{Conn: here(t), Diff: true})
	if err != nil || len(p.Diffs) != 1 || len(p.Diffs[0].After) > 100 {
		t.Errorf("a large file: %v, %v", p, err)
	}
}

// TestTreeTypes has each kind of file in the place of each other.
func TestTreeTypes(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(name string) error{
		"none": func(string) error { return nil },
		"file": func(name string) error { return os.WriteFile(name, []byte("text"), 0o644) },
		"link": func(name string) error { return os.Symlink("/nonexistent", name) },
		"dir": func(name string) error {
			if err := os.Mkdir(name, 0o755); err != nil {
				return err
			}
			return os.WriteFile(name+"/in", nil, 0o644)
		},
		"pipe": func(name string) error { return syscall.Mkfifo(name, 0o644) },
	}
	for want := range kinds {
		for had := range kinds {
			for _, prune := range []bool{false, true} {
				t.Run(fmt.Sprint(want, " for ", had, " ", prune), func(t *testing.T) {
					t.Parallel()
					src, dest := t.TempDir(), t.TempDir()
					if err := kinds[want](src + "/it's"); err != nil {
						t.Fatal(err)
					}
					if err := kinds[had](dest + "/it's"); err != nil {
						t.Fatal(err)
					}
					m := copyFile{Src: src, Dest: copyDest(dest), Delete: prune}
					p, _, err := enact(t, &m, &engine.Host{Conn: here(t)})
					if want == "pipe" {
						if err == nil || !strings.Contains(err.Error(), "cannot be copied") {
							t.Errorf("error is %v", err)
						}
						return
					}
					blocked := !prune && want != had && (want == "dir" && had != "none" || had == "dir" && want != "none")
					if blocked {
						if err == nil || !strings.Contains(err.Error(), "is in the way") {
							t.Errorf("error is %v", err)
						}
						return
					}
					need := engine.Modify
					if want == had || want == "none" && !prune {
						need = engine.Matched
					}
					if err != nil || p.Need != need {
						t.Errorf("%v, %v", p, err)
					}
					m = copyFile{Src: src, Dest: copyDest(dest), Delete: prune}
					if p, _, err := enact(t, &m, &engine.Host{Conn: here(t)}); err != nil || p.Need != engine.Matched {
						t.Errorf("again: %v, %v", p, err)
					}
				})
			}
		}
	}
}

// TestTreeShutDirectories copies directories that nobody may write to.
func TestTreeShutDirectories(t *testing.T) {
	t.Parallel()
	src, dest := t.TempDir(), filepath.Join(t.TempDir(), "dest")
	write(t, src+"/shut/deep/file", "x")
	for _, name := range []string{"/shut/deep", "/shut"} {
		if err := os.Chmod(src+name, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, top := range []string{src, dest} {
			for _, name := range []string{"/shut", "/shut/deep"} {
				_ = os.Chmod(top+name, 0o700)
			}
		}
	})
	for _, want := range []engine.Need{engine.Create, engine.Matched} {
		m := copyFile{Src: src, Dest: copyDest(dest)}
		if p, _, err := enact(t, &m, &engine.Host{Conn: here(t)}); err != nil || p.Need != want {
			t.Fatalf("%v, %v; want %v", p, err, want)
		}
	}
	if info, err := os.Stat(dest + "/shut/deep"); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	m := copyFile{Src: src, Dest: copyDest(dest), DirectoryMode: engine.Mode{Given: true, Perm: 0o750}}
	p, _, err := enact(t, &m, &engine.Host{Conn: here(t)})
	if err != nil || !slices.Equal(p.Fields, []string{fieldMode}) {
		t.Errorf("%v, %v", p, err)
	}
}

// TestTreeReplacesLinkToDirectory has a link lead to a directory that holds what the
// tree holds.
func TestTreeReplacesLinkToDirectory(t *testing.T) {
	t.Parallel()
	src, dest, behind := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, src+"/sub/deep/file", "x")
	write(t, behind+"/deep/file", "x")
	if err := os.Symlink(behind, dest+"/sub"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []engine.Need{engine.Modify, engine.Matched} {
		m := copyFile{Src: src, Dest: copyDest(dest), Delete: true}
		if p, _, err := enact(t, &m, &engine.Host{Conn: here(t)}); err != nil || p.Need != want {
			t.Fatalf("%v, %v; want %v", p, err, want)
		}
	}
	if got := read(t, dest+"/sub/deep/file") + read(t, behind+"/deep/file"); got != "xx" {
		t.Errorf("the files hold %q", got)
	}
}
