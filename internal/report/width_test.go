package report

import (
	"testing"

	"pgregory.net/rapid"
)

func TestColumns(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "web1": 4, "日本": 4, "e\u0301": 1, "\u200bx": 1, "🚀": 2, "é…": 2} {
		if got := columns(s); got != want {
			t.Errorf("columns(%q) is %d, want %d", s, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s     string
		width int
		want  string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"abc", 1, "…"},
		{"abc", 0, ""},
		{"abc", -4, ""},
		{"", 0, ""},
	} {
		if got := fit(tc.s, tc.width); got != tc.want {
			t.Errorf("fit(%q, %d) is %q, want %q", tc.s, tc.width, got, tc.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, width := rapid.String().Draw(t, "s"), rapid.IntRange(0, 20).Draw(t, "width")
		if got := columns(fit(s, width)); got > width {
			t.Fatalf("%d columns", got)
		}
	})
}
