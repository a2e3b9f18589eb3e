package template

import (
	"strings"
	"sync"
	"testing"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func conditionVars() map[string]any {
	return map[string]any{
		"port": int64(443), "f": 1.5, "name": "web1", "on": true, "null": nil, "zero": int64(0),
		"no": "false", "empty": "", "my-var": "x", "list": []any{"x", int64(2)}, "n": nil,
		"m": map[string]any{"a": int64(1), "b": []any{"x"}, "z": int64(3)}, "len": "a variable",
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want bool
		err  string // part of the error of Eval
	}{
		// Prefix form.
		{text: "on", want: true},
		{text: "  on\n", want: true},
		{text: "nope"},
		{text: "m.nope"},
		{text: "m.a", want: true},
		{text: "m.b.[0]", want: true},
		{text: "my-var", want: true},
		{text: "@root.on", want: true},
		{text: "../on"},
		{text: "no", want: true}, // text is true whatever it says
		{text: "zero"},
		{text: "empty"},
		{text: "n"},
		{text: "len", want: true},
		{text: "true", want: true},
		{text: "false"},
		{text: "5", want: true},
		{text: "0"},
		{text: `"text"`, want: true},
		{text: `""`},
		{text: `[]`},
		{text: `[1]`, want: true},
		{text: "(eq port 443)", want: true},
		{text: "( eq port\n  443 )", want: true},
		{text: "(eq port 444)"},
		{text: "(eq nope 5)", err: `f.yml:3:9: "nope" is not defined`},
		{text: "(isdefined nope)"},
		{text: "(isdefined n)", want: true},
		{text: "(and on (gt port 1) (not nope2))", err: `"nope2" is not defined`},
		{text: "(and on (gt port 1) (not zero))", want: true},
		{text: "(and (isdefined nope) (eq nope 1))"},
		{text: "(or zero empty on)", want: true},
		{text: "(or zero empty n)"},
		{text: "(gt name 1)", err: "f.yml:3:6: gt: argument 1 must be a number, not text"},
		// Expressions.
		{text: `port == 443 && name startsWith "w"`, want: true},
		{text: "(port == 443)", want: true},
		{text: "!on"},
		{text: "not on"},
		{text: "f > 1", want: true},
		{text: "port > f", want: true},
		{text: "nope == 1", err: `f.yml:3:5: "nope" is not defined`},
		{text: "on &&\n nope.x == 1", err: `f.yml:4:6: "nope" is not defined`},
		{text: "on || nope", want: true},
		{text: "nope ?? true", want: true},
		{text: "nope?.a.b ?? false"},
		{text: "isdefined(nope)"},
		{text: "isdefined(port) and port > 3", want: true},
		{text: "keys(m) == ['a', 'b', 'z']", want: true},
		{text: "values(m)[0] == 1 && toPairs(m)[2][0] == 'z'", want: true},
		{text: "let y = port; y == 443", want: true},
		{text: "any(list, # == 'x')", want: true},
		{text: "'x' in m.b", want: true},
		{text: "m.nope == nil", want: true},
		{text: "len(map(1..port * 100000, # + 1)) > 1", err: "memory budget exceeded"},
		{text: "port + 1", err: "the condition yields a number, not true or false"},
		{text: "on ? name : port", err: "the condition yields text"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			c, err := ParseCondition(strictyaml.Pos{File: "f.yml", Line: 3, Column: 5}, tt.text)
			if err != nil {
				t.Fatalf("ParseCondition: %v", err)
			}
			got, err := c.Eval(conditionVars())
			switch {
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Fatalf("Eval error = %v, want %q", err, tt.err)
			case tt.err == "" && err != nil:
				t.Fatalf("Eval: %v", err)
			case got != tt.want:
				t.Errorf("Eval = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestConditionErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"", "f.yml:3:5: the condition is empty"},
		{" \t", "f.yml:3:7: the condition is empty"},
		{"eq x 5", "f.yml:3:5: a call needs parentheses: (eq x 5)"},
		{"not_a b", "f.yml:3:11: the condition is neither a path, literal or (helper …)"},
		{"{{x}}", "f.yml:3:5: a condition is written without {{ and }}"},
		{"x}}{{/if}}{{#if y", "neither"},
		{"((eq x 5))", `want the name of a helper; nor an expression: unexpected token`},
		{"(nope a b)", `f.yml:3:6: the condition is neither a path, literal or (helper …): unknown helper "nope"`},
		{"(port == )", "f.yml:3:14: the condition is neither"},
		{"(eq x 5", "the parenthesis is not closed"},
		{"(equ x 5)", `unknown helper "equ"; did you mean "eq"?`},
		{"(eq x)", "f.yml:3:6: the condition is neither a path, literal or (helper …): eq takes 2 arguments, not 1"},
		{"x ==", "nor an expression: unexpected token EOF"},
		{"foo(1) == 2", `unknown function "foo"`},
		{"now() > 1", `unknown function "now"`},
		{"1 + 2", "does not yield true or false"},
		{"$var($env, 'x')", "names that start with $ are reserved"},
		{"isdefined(1)", "isdefined takes the name of a variable"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			_, err := ParseCondition(strictyaml.Pos{File: "f.yml", Line: 3, Column: 5}, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseCondition(%q) error = %v, want %q", tt.text, err, tt.want)
			}
		})
	}
}

func TestConditionConcurrent(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"(eq port 443)", "port == 443"} {
		c, err := ParseCondition(strictyaml.Pos{}, text)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 50 {
					got, err := c.Eval(map[string]any{"port": int64(443 + i%2)})
					if want := i%2 == 0; err != nil || got != want {
						t.Errorf("%s: Eval = %t, %v, want %t", text, got, err, want)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestTruthy(t *testing.T) {
	t.Parallel()
	for _, v := range []any{nil, false, 0, int64(0), uint64(0), 0.0, "", []any{}, map[string]any{}} {
		if Truthy(v) {
			t.Errorf("Truthy(%#v) = true", v)
		}
	}
	for _, v := range []any{true, 1, int64(-1), uint64(1), 0.5, "false", "0", "no", []any{nil}, map[string]any{"": nil}} {
		if !Truthy(v) {
			t.Errorf("Truthy(%#v) = false", v)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"on", "(eq port 443)", "port == 1", "nope ?? true", "isdefined(x)", "{{", "let a = 1; a", "m?.a.b", "$env"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(strictyaml.Pos{File: "f", Line: 1, Column: 1}, text)
		if err != nil {
			return
		}
		a, errA := c.Eval(conditionVars())
		b, errB := c.Eval(conditionVars())
		if a != b || (errA == nil) != (errB == nil) {
			t.Errorf("two runs differ: %t, %v and %t, %v", a, errA, b, errB)
		}
	})
}
