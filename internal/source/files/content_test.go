package files

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
)

func TestContent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, kind, text string
		content, problem string // the content as JSON, or a part of the problem
	}{
		{"none", "none", "x", "", ""},
		{"text", "text", "a\n\"b\"é", `"a\n\"b\"é"`, ""},
		{"empty text", "text", "", `""`, ""},
		{"text of the most bytes", "text", strings.Repeat("x", mostContent), `"` + strings.Repeat("x", mostContent) + `"`, ""},
		{"too large", "text", strings.Repeat("x", mostContent+1), "", "the file has 131073 bytes; at most 131072 go into an event"},
		{"large as JSON", "text", strings.Repeat("\x01", mostContent), "", "takes 786434 bytes as JSON; at most 196608"},
		{"not UTF-8", "text", "a\xff", "", "the file is not UTF-8"},
		{"JSON", "json", " [1, {\"a\": 12345678901234567890}]\n", `[1,{"a":12345678901234567890}]`, ""},
		{"JSON null", "json", "null", "null", ""},
		{"no JSON", "json", "{a: 1}", "", "the file is not JSON: invalid character 'a'"},
		{"empty JSON", "json", "", "", "the file is not JSON: unexpected end"},
		{"two documents", "json", "{} {}", "", "the file is not JSON"},
		{"JSON not UTF-8", "json", "\"\xff\"", "", "not UTF-8"},
		{"deep", "json", strings.Repeat("[", 60_000), "", "the file is not JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, f := t.TempDir(), &sourcetest.Feed{}
			w := life(t, f, dir, now+"content: "+tt.kind+"\n")
			w.mustLook(t)
			write(t, dir, "f", tt.text)
			w.mustLook(t)
			if len(f.Stored()) != 1 {
				t.Fatalf("%d events", len(f.Stored()))
			}
			e := f.Stored()[0]
			var file events.File
			if err := e.DataAs(&file); err != nil {
				t.Fatal(err)
			}
			if string(file.Content) != tt.content || !strings.Contains(file.ContentError, tt.problem) || (tt.problem == "") != (file.ContentError == "") {
				t.Errorf("content %.200s, error %q", file.Content, file.ContentError)
			}
			if text, err := json.Marshal(e); err != nil || len(text) > 256<<10 {
				t.Errorf("event of %d bytes, %v", len(text), err)
			}
		})
	}
}

// TestMoved reads a file that is not any more what was seen.
func TestMoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := parse(dir, "content: text\n")
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	p := write(t, dir, "f", "x")
	info, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	seen := statOf(info)
	if content, problem, err := d.read(root, "f", seen); string(content) != `"x"` || problem != "" || err != nil {
		t.Fatalf("%s, %s, %v", content, problem, err)
	}
	for name, change := range map[string]func(){
		"grown":  func() { write(t, dir, "f", "xyz") },
		"gone":   func() {},
		"a pipe": func() { _ = syscall.Mkfifo(p, 0o600) },
	} {
		_ = os.RemoveAll(p)
		change()
		if _, _, err := d.read(root, "f", seen); !errors.Is(err, errMoved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = os.Remove(p)
	if err := os.Symlink(filepath.Join(t.TempDir(), "x"), p); err != nil {
		t.Fatal(err)
	}
	if _, problem, err := d.read(root, "f", seen); err == nil && problem == "" {
		t.Error("a link out of the directory was followed")
	}
}
