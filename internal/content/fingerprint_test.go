package content

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFingerprint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := func() string {
		t.Helper()
		m, err := Fingerprint(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	write("rules/a.yml", "one")
	last := mark()
	for _, step := range []struct {
		name    string
		do      func()
		changes bool
	}{
		{"nothing", func() {}, false},
		{"an editor's files", func() { write("rules/.a.yml.swp", "x"); write("rules/a.yml~", "x"); write(".git/HEAD", "x") }, false},
		{"an empty directory", func() {
			if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"another size", func() { write("rules/a.yml", "two and more") }, true},
		{"another time", func() {
			at := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "rules/a.yml"), at, at); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"another mode", func() {
			if err := os.Chmod(filepath.Join(dir, "rules/a.yml"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"another name", func() {
			if err := os.Rename(filepath.Join(dir, "rules/a.yml"), filepath.Join(dir, "rules/b.yml")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"one more", func() { write("p.yml", "") }, true},
	} {
		step.do()
		now := mark()
		if (now != last) != step.changes {
			t.Errorf("%s: changed %t, want %t", step.name, now != last, step.changes)
		}
		last = now
	}
	if _, err := Fingerprint(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there has a fingerprint")
	}
	// A link that leads elsewhere now, to what looks the same.
	two, link := t.TempDir(), filepath.Join(t.TempDir(), "current")
	if err := os.CopyFS(two, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	var marks []string
	for _, target := range []string{dir, two} {
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		m, err := Fingerprint(t.Context(), link)
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, m)
	}
	if marks[0] == marks[1] {
		t.Error("a link that leads elsewhere has the same fingerprint")
	}
}

// A thousand files are looked at every two seconds.
func BenchmarkFingerprint(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		name := filepath.Join(dir, string(rune('a'+i%26)), time.Duration(i).String())
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := Fingerprint(b.Context(), dir); err != nil {
			b.Fatal(err)
		}
	}
}
