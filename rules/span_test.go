package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// TestSplit takes conditions apart; the clauses are their source text, and the
// place of each is where that text stands.
func TestSplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		condition string
		want      []string
	}{
		{`event.id == "1"`, []string{`event.id == "1"`}},
		{`event.id == "(" && (event.id == ")") || true`, []string{`event.id == "("`, `event.id == ")"`, `true`}},
		{`(("a" + "b") == "ab" && !(true or false))`, []string{`("a" + "b") == "ab"`, `true`, `false`}},
		{`event.id in [] && event.data == {} && [] == []`, []string{`event.id in []`, `event.data == {}`, `[] == []`}},
		{"true && // why\n event.id == '1' /* so */ and false", []string{`true`, `event.id == '1'`, `false`}},
		{`(event.id | upper() | lower()) == "x" && true`, []string{`(event.id | upper() | lower()) == "x"`, `true`}},
		{`event.data.x[1:] == [] && event.data.x[:] == [] && event.data?.["x"]`, []string{
			`event.data.x[1:] == []`, `event.data.x[:] == []`, `event.data?.["x"]`,
		}},
		{`(event.data.x ? true : false) && (event.data.x ?: (true && false))`, []string{
			`event.data.x ? true : false`, `event.data.x ?: (true && false)`,
		}},
		{`(if event.data.x { true && false } else { false }) && true`, []string{
			`if event.data.x { true && false } else { false }`, `true`,
		}},
		{`any([1, 2], {# > 1 && true}) && all(event.data.x, .y == "é" || #.z)`, []string{
			`any([1, 2], {# > 1 && true})`, `all(event.data.x, .y == "é" || #.z)`,
		}},
		{`event.id not in ["a"] and not event.data.x and -1 < +1`, []string{
			`event.id not in ["a"]`, `not event.data.x`, `-1 < +1`,
		}},
		{`1 < 2 <= 3 && true`, []string{`1 < 2`, `2 <= 3`, `true`}},
		{`"é" == "é" && (event.data.x ?? event.data.y) == 1.5e3`, []string{
			`"é" == "é"`, `(event.data.x ?? event.data.y) == 1.5e3`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			at := func(i int) strictyaml.Pos { return strictyaml.Pos{Line: 1, Column: i} }
			c, err := newLanguage().condition(tt.condition, at)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			runes := []rune(tt.condition)
			c.walk(func(c *cond) {
				if rest := string(runes[c.pos.Column:]); !strings.HasPrefix(rest, c.text) {
					t.Errorf("clause %q is not at %d", c.text, c.pos.Column)
				}
				if c.op == leaf {
					got = append(got, c.text)
				}
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("clauses (-want +got):\n%s", diff)
			}
		})
	}
}

func (c *cond) walk(f func(*cond)) {
	f(c)
	for _, k := range c.kids {
		k.walk(f)
	}
}
