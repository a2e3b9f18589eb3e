package modules

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// iniValue reads a value as programs do: the last one of that name.
func iniValue(text, section, name string) (value string, ok bool) {
	at := ""
	for l := range strings.Lines(text) {
		l, _ = cutEnd(l)
		l = strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(l, "[") && strings.HasSuffix(l, "]"):
			at = l[1 : len(l)-1]
		case at == section && !strings.HasPrefix(l, "#"):
			if k, v, has := strings.Cut(l, "="); has && strings.TrimSpace(k) == name {
				value, ok = strings.TrimSpace(v), true
			}
		}
	}
	return value, ok
}

// TestIniConverges edits random files twice: what was set is there to be read, nothing
// else has changed, and the second time changes nothing at all.
func TestIniConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		before := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			"[s]", "[t]", "a=1", "a = 2", "b =", "b=", "\tc\t=  3", "# a=4", "", "c = x = y",
		})).Draw(t, "lines"), end)
		if rapid.Bool().Draw(t, "closed") && before != "" {
			before += end
		}
		m := ini{
			Section: rapid.SampledFrom([]string{"", "s", "t", "new"}).Draw(t, "section"),
			Option:  rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "option"),
		}
		remove := rapid.Bool().Draw(t, "remove")
		value := rapid.SampledFrom([]string{"", "1", "=", "x # y", "[s]", "'"}).Draw(t, "value")
		if m.Remove = remove; !remove {
			m.Value = &value
		}
		once, err := m.edit(before)
		if err != nil {
			t.Skip(err) // a value that goes on in the next line
		}
		if twice, err := m.edit(once); twice != once || err != nil {
			t.Fatalf("%q becomes %q and then %q: %v", before, once, twice, err)
		}
		if has, ok := iniValue(once, m.Section, m.Option); ok == remove || !remove && has != value {
			t.Fatalf("%q becomes %q, with %q", before, once, has)
		}
		for _, section := range []string{"", "s", "t", "new"} {
			for _, option := range []string{"a", "b", "c", "d"} {
				had, hadOK := iniValue(before, section, option)
				has, hasOK := iniValue(once, section, option)
				if (section != m.Section || option != m.Option) && (had != has || hadOK != hasOK) {
					t.Fatalf("%q becomes %q: %s of %q was %q and is %q", before, once, option, section, had, has)
				}
			}
		}
		if strings.Count(before, "#") != strings.Count(strings.ReplaceAll(once, "x # y", "x y"), "#") {
			t.Fatalf("%q becomes %q: a comment is lost", before, once)
		}
	})
}

func TestIniRemoveSection(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, want string }{
		"the only one":    {"[s]\na=1\n", ""},
		"with a tail":     {"[s] ; tail\na=1\n[t]\n", "[t]\n"},
		"blanks within":   {"[ s ]\na=1\n[t]\n", "[t]\n"},
		"comments inside": {"[s]\n# of s\na=1\n# of t\n; too\n[t]\n", "# of t\n; too\n[t]\n"},
		"another case":    {"[S]\na=1\n", "[S]\na=1\n"},
		"not begun":       {"a=[s]\n", "a=[s]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := (&ini{Section: "s", Remove: true}).edit(tt.before)
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestIniStyle(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, want string }{
		"replaced, tight":       {"[s]\nx=1\n", "[s]\nx=9\n"},
		"replaced, wide":        {"[s]\n  x  =\t1  \n", "[s]\n  x  =\t9\n"},
		"replaced, empty":       {"[s]\nx=\n", "[s]\nx=9\n"},
		"replaced, wide, empty": {"[s]\nx = \n", "[s]\nx = 9\n"},
		"added, tight":          {"[s]\ny=1\n", "[s]\ny=1\nx=9\n"},
		"added, indented":       {"[s]\n\ty = 1\n", "[s]\n\ty = 1\n\tx = 9\n"},
		"added, as elsewhere":   {"[r]\ny=1\n[s]\n", "[r]\ny=1\n[s]\nx=9\n"},
		"added, first of all":   {"[s]\n", "[s]\nx = 9\n"},
		"added, after a list":   {"[s]\ny =\n    six==1\n", "[s]\ny =\n    six==1\nx = 9\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value := "9"
			got, err := (&ini{Section: "s", Option: "x", Value: &value}).edit(tt.before)
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
