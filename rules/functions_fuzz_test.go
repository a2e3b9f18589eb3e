package rules

import (
	"path"
	"strings"
	"testing"
	"time"
)

// FuzzFunctions gives every function that reads a text of its own language any
// text: it must not panic, and say the same twice.
func FuzzFunctions(f *testing.F) {
	for _, s := range [][2]string{
		{"a/**/[b-d]?\\*", "a/x/b.*"},
		{`$.a["b\"c"][-1].*[*]`, `{"a": {"b\"c": [1, [2]]}}`},
		{"1w2d3h", "2026-03-02"},
		{"mon-fri,sun", "a"},
		{"09:00-12:00,22:00-06:00", "12"},
		{"Europe/Berlin", "2026-03-02T10:00:00Z"},
		{">=1.2 <2 || ~3.1", "1.4.0-rc1"},
		{"10.0.0.0/8", "::ffff:10.1.1.1"},
		{"(?P<a>b)|c", "cb"},
		{"2006-01-02", "1e3"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, own, other string) {
		for _, fn := range functionTable {
			if fn.body == nil {
				continue
			}
			args := []any{new(run), fn}
			if fn.clock {
				args = append(args, time.Unix(1e9, 0))
			}
			for i, p := range fn.params {
				switch {
				case p.kind == wholeKind:
					args = append(args, 3)
				case p.kind == listKind:
					args = append(args, []any{own, other, own})
				case p.kind == mappingKind:
					args = append(args, map[string]any{own: other})
				case p.fixed:
					re, err := p.prepare(own)
					if err != nil {
						return
					}
					args = append(args, &ready{re})
				case p.prepare != nil || i == 0:
					args = append(args, own)
				default:
					args = append(args, other)
				}
			}
			a, errA := invoke(args...)
			args[0] = new(run)
			b, errB := invoke(args...)
			if (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() {
				t.Fatalf("%s: %v, then %v", fn.Name, errA, errB)
			}
			ka, _ := (&call{run: new(run)}).element(a)
			kb, _ := (&call{run: new(run)}).element(b)
			if errA == nil && ka != kb {
				t.Fatalf("%s: %v, then %v", fn.Name, a, b)
			}
		}
		if p, err := prepareGlob(own); err == nil && !strings.Contains(own, "**") {
			got, _ := matchGlob(&call{run: new(run), args: []any{p, other}})
			if want, _ := path.Match(own, other); got != want {
				t.Fatalf("glob(%q, %q) = %v", own, other, got)
			}
		}
	})
}
