package events_test

import (
	"testing"

	"github.com/jet-bus/jet-bus/events"
)

func TestHeaderText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"two words":          "two words",
		"Z%C3%BCrich%20":     "Zürich ",
		"Zürich":             "Zürich",
		"100%2525":           "100%25",
		`"two words"`:        "two words",
		`"a\"b\\c"`:          `a"b\c`,
		`"100%25"`:           "100%",
		`""`:                 "",
		`"`:                  `"`,
		`"\"`:                `\`,
		`a"b"`:               `a"b"`,
		"100%":               "100%",
		"%":                  "%",
		"%zz%41":             "%zzA",
		"%22quoted%22":       `"quoted"`,
		"%F0%9F%9A%80/a+b=c": "🚀/a+b=c",
	} {
		if got, err := events.HeaderText(in); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"%C0%A0", "%ff", "\xff"} {
		if got, err := events.HeaderText(in); err == nil {
			t.Errorf("%q is %q", in, got)
		}
	}
}
