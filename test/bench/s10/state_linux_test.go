package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEndStates(t *testing.T) {
	t.Parallel()
	write := func(dir, name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		write(dir, "d/same", "text", 0o644)
		write(dir, "mode", "text", 0o644)
		write(dir, "content", "text", 0o644)
	}
	write(a, "gone", "text", 0o644)
	write(b, "mode", "text", 0o600)
	write(b, "content", "TEXT", 0o644)
	write(b, "more", "text", 0o644)
	one, err := look(a)
	if err != nil {
		t.Fatal(err)
	}
	two, err := look(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := one.differences(one); len(d) > 0 {
		t.Errorf("a state differs from itself: %v", d)
	}
	var paths []string
	for _, line := range one.differences(two) {
		path, _, _ := strings.Cut(line, " ")
		paths = append(paths, path)
	}
	if diff := cmp.Diff([]string{"content", "gone", "mode", "more"}, paths); diff != "" {
		t.Error(diff)
	}

	if err := os.Chtimes(filepath.Join(a, "content"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	later, err := look(a)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"content"}, one.touched(later)); diff != "" {
		t.Error(diff)
	}
	if none, err := look(filepath.Join(a, "nothing")); err != nil || len(none) > 0 {
		t.Errorf("what is not there: %v, %v", none, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	full := endState{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		full[name] = entry{size: 1}
	}
	want := map[string]endState{}
	if err := check(want, map[string]endState{"h": {}}); err == nil {
		t.Error("a first tool that did nothing is believed")
	}
	if err := check(want, map[string]endState{"h": full}); err != nil {
		t.Error(err)
	}
	if err := check(want, map[string]endState{"h": {}}); err == nil || !strings.Contains(err.Error(), "g is missing") {
		t.Errorf("a second tool that did nothing: %v", err)
	}
}

func TestOwnGroup(t *testing.T) {
	t.Parallel()
	const own = "4:memory:/jobs\n2:cpu,cpuacct:/jobs/7\n0::/user.slice\n"
	for controller, want := range map[string]string{"cpuacct": "/jobs/7", "memory": "/jobs", "": "/user.slice"} {
		if got, ok := ownGroup(own, controller); !ok || got != want {
			t.Errorf("group for %q is %q", controller, got)
		}
	}
	if _, ok := ownGroup(own, "pids"); ok {
		t.Error("a group where there is none")
	}
	if n, ok := field("nr 1\nusage_usec 42\n", "usage_usec"); !ok || n != 42 {
		t.Errorf("field is %d", n)
	}
}
