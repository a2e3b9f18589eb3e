package engine

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// TestMode is checklist line 30 for modes, and that they are written as read.
func TestMode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want fs.FileMode
		out  string // empty means a fault
	}{
		{"0o644", 0o644, "0o644"},
		{"0o0755", 0o755, "0o755"},
		{"0o7", 0o7, "0o007"},
		{"0o7777", 0o777 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, "0o7777"},
		{"0o4755", 0o755 | fs.ModeSetuid, "0o4755"},
		{"0o2755", 0o755 | fs.ModeSetgid, "0o2755"},
		{"0o1777", 0o777 | fs.ModeSticky, "0o1777"},
		{"0o17777", 0, ""},
		{"0o", 0, ""},
		{"0o8", 0, ""},
		{"0o-7", 0, ""},
		{"755", 0, ""},
		{"0755", 0, ""},
		{"[a]", 0, ""},
		{`"493"`, 0, ""},
	}
	for _, tt := range tests {
		f, err := strictyaml.Parse("f", []byte("mode: "+tt.text))
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Mode Mode `yaml:"mode"`
		}
		err = f.Decode(f.Root, &v)
		if tt.out == "" {
			if err == nil || !strings.HasPrefix(err.Error(), "f:1:7: ") {
				t.Errorf("%s: %v, want a fault at f:1:7", tt.text, err)
			}
			continue
		}
		if err != nil || !v.Mode.Given || v.Mode.Perm != tt.want || v.Mode.String() != tt.out {
			t.Errorf("%s: %v, %v; want %v, %s", tt.text, err, v.Mode, tt.want, tt.out)
		}
	}
}

// TestModeOfVariable checks that a mode that became a number on its way through
// a variable is explained.
func TestModeOfVariable(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  vars: {mode: 0o755}
  tasks:
    - !kinds
      mode: "{{ mode }}"
`).hosts("w1")
	want := `mode must be octal digits after 0o, such as 0o644, not "493"; ` +
		`a variable that holds 0o755 without quotes is the number 493: quote it where it is set`
	if e := l.run(Options{}).last(t); !strings.HasSuffix(e.Message, "site.yml:6:13: "+want) {
		t.Errorf("message %q, want %q", e.Message, want)
	}
}
