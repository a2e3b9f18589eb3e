package rules

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestGlobRegexp compares what patterns with ** become with path.Match, which
// knows all others.
func TestGlobRegexp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune(`ab/é*?[]^-\.+(`)), 0, 8, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.RuneFrom([]rune(`ab/é-]\.+(`+"\n")), 0, 6, -1).Draw(t, "text")
		want, err := path.Match(pattern, text)
		if err != nil || strings.Contains(pattern, "**") {
			t.SkipNow()
		}
		re, err := regexp.Compile(globRegexp(pattern))
		if err != nil {
			t.Fatal(err)
		}
		if got := re.MatchString(text); got != want {
			t.Fatalf("%s as %s matches %q: %t, want %t", pattern, re, text, got, want)
		}
	})
}
