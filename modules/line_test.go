package modules

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine"
)

// TestLineConverges edits random files twice: the second time changes nothing,
// and no other line is lost.
func TestLineConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.SampledFrom([]string{"a=1", "a=2", "b", "", "#a=3"})).Draw(t, "lines")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		before := strings.Join(lines, end)
		if rapid.Bool().Draw(t, "closed") && before != "" {
			before += end
		}
		re := func(label string) pattern {
			var p pattern
			if s := rapid.SampledFrom([]string{"", "^a=", "^#?a", "b", "nothing"}).Draw(t, label); s != "" {
				p = mustPattern(s)
			}
			return p
		}
		m := line{Regexp: re("regexp")}
		text := rapid.SampledFrom([]string{"a=1", "a=9", "b", "c", ""}).Draw(t, "line")
		m.Line = &text
		switch rapid.IntRange(0, 2).Draw(t, "where") {
		case 1:
			m.InsertAfter = re("after")
		case 2:
			m.InsertBefore = re("before")
		}
		once := m.edit(before)
		if twice := m.edit(once); twice != once {
			t.Fatalf("%q becomes %q and then %q", before, once, twice)
		}
		cut := func(s string) []string {
			var out []string
			for l := range strings.Lines(s) {
				l, _ = cutEnd(l)
				out = append(out, l)
			}
			return out
		}
		had, has := cut(before), cut(once)
		if !slices.Contains(has, text) && (text != "" || once != before) {
			t.Fatalf("%q becomes %q, without %q", before, once, text)
		}
		if len(has) < len(had) || len(has) > len(had)+1 {
			t.Fatalf("%q becomes %q", before, once)
		}
	})
}

func mustPattern(s string) pattern {
	var p pattern
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if err := p.UnmarshalNode(nil, n); err != nil {
		panic(err)
	}
	return p
}

func TestLineBackupAndDiff(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "f")
	write(t, name, "x\n")
	text := "y"
	m := line{Path: filePath(name), Line: &text, Backup: true}
	p, res, err := enact(t, &m, &engine.Host{Conn: here(t), Diff: true})
	if err != nil {
		t.Fatal(err)
	}
	backup, _ := res.Data["backup"].(string)
	if read(t, backup) != "x\n" || read(t, name) != "x\ny\n" {
		t.Errorf("backup %q holds %q, the file %q", backup, read(t, backup), read(t, name))
	}
	want := engine.Diff{Path: name, Before: "x\n", After: "x\ny\n"}
	if len(p.Diffs) != 1 || p.Diffs[0] != want {
		t.Errorf("diffs are %q", p.Diffs)
	}
}
