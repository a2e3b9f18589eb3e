package rules

import (
	"strings"
	"testing"
	"testing/fstest"
)

// What expr tells in words of its own or of Go, people are told in those of rule files.
func TestWording(t *testing.T) {
	for _, tt := range []struct{ condition, want string }{
		{`event.data.n = 3`, `"=" is not part of the rule language; two values are compared by ==`},
		{`event.data.n ~= 3`, `"~" is not part of the rule language`},
		{`any(event.data.l, # >)`, `")" does not belong here`},
		{`any(event.data.l)`, `there must be 2 arguments`},
		{`any("abc", # == 1)`, `any takes a list, not text`},
		{`any(event.data.l, 1 + 1)`, `the predicate must be true or false, not a number`},
		{`len(5) == 1`, `len does not take a number`},
		{`round("2") == 2`, `round does not take text`},
		{`map(event.data.l, .a)`, `must be true or false, not a list`},
		{`event.data.n in 5`, `in does not go between a value and a number`},
		{`semver(event.data.v) > "1.2.0"`, `> does not go between a version and text`},
		{`age(event.data.at) > 3600`, `> does not go between a duration and a number`},
		{`event.ext == 1`, `== does not go between a mapping and a number`},
		{`!"a"`, `! does not go before text`},
	} {
		_, err := Load(fstest.MapFS{"r.yml": {Data: []byte("rules:\n  - name: a\n    on: x\n    condition: '" + tt.condition + "'\n    set: {a: 1}\n")}}, ".")
		if err == nil || !strings.HasSuffix(err.Error(), ": "+tt.want) || !strings.HasPrefix(err.Error(), "r.yml:4:") {
			t.Errorf("%s: got %v, want r.yml:4:…: %s", tt.condition, err, tt.want)
		}
	}
}
