package rules

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// shortcuts returns the programs of a condition that have a shortcut.
func shortcuts(c *cond) []*program {
	var out []*program
	for _, k := range c.kids {
		out = append(out, shortcuts(k)...)
	}
	if c.op == leaf && c.prog.short != nil {
		out = append(out, c.prog)
	}
	return out
}

func conditionOf(tb testing.TB, text string) *cond {
	tb.Helper()
	set, err := Load(fstest.MapFS{"r.yml": {Data: fmt.Appendf(nil,
		"rules:\n- {name: r, on: a, condition: %q, run: {playbook: p.yml, vars: {a: 1}}}\n", text)}}, ".")
	if err != nil {
		tb.Fatal(err)
	}
	return set.rules[0].Clauses[0].cond
}

// TestShortcutIsExact runs clauses of the common kinds, on all kinds of values, with
// the shortcut and by the machine, which must not differ in anything.
func TestShortcutIsExact(t *testing.T) {
	t.Parallel()
	paths := []string{
		"event.data", "event.data.a", "event.data.a.b", `event.data["a"]`, "event.data.a[0]", "event.data?.a", "event.data.a?.b", "event.data.a.b?.c",
		"event.ext.n", "event.ext.s", "event.ext", "has(event.data.a)", "has(event.data.a.b)",
	}
	operands := []string{`""`, `"x"`, `"1"`, "0", "1", "-1", "9007199254740993", "true", "false", "1.0", "nil"}
	values := []string{
		`null`, `true`, `false`, `0`, `1`, `-1`, `1.0`, `1.5`, `9007199254740993`, `1e300`, `9223372036854775808`, `""`, `"x"`, `"1"`, `"\u0078"`,
		`[]`, `[1]`, `["x", 2]`, `{}`, `{"b":1}`, `{"b":"x","b":true}`, `{"b":{"c":false}}`, `{"b":null}`, `{"b":[`,
	}
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom(paths).Draw(rt, "path")
		text := path
		switch n := rapid.IntRange(0, 7).Draw(rt, "kind"); {
		case n == 0:
			text = "!" + path
		case n > 1:
			op := rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="}).Draw(rt, "operator")
			text = path + " " + op + " " + rapid.SampledFrom(operands).Draw(rt, "operand")
		}
		lang := newLanguage()
		short, err := lang.compile(text, true)
		if err != nil {
			rt.Skip(err)
		}
		long := &program{vm: short.vm}
		data := rapid.SampledFrom(values).Draw(rt, "value")
		if rapid.Bool().Draw(rt, "inside") {
			data = `{"z": [1, {"a": 1}], "a": ` + data + `}`
		}
		e := happened(t, "1", "a", data)
		e.SetExtension("n", 1)
		e.SetExtension("s", "x")
		got, gotErr := newEvaluation(e, stored).truth(short)
		want, wantErr := newEvaluation(e, stored).truth(long)
		if got != want || fmt.Sprintf("%T %v", gotErr, gotErr) != fmt.Sprintf("%T %v", wantErr, wantErr) {
			rt.Fatalf("%s of %s: %v, %v\n by the machine: %v, %v", text, data, got, gotErr, want, wantErr)
		}
		// As a value, too: of an evaluation that was used for another event.
		ev := newEvaluation(happened(t, "0", "a", `{"a": {"b": [1, 2, 3]}}`), stored)
		_, _ = ev.run(short)
		ev.again(e, stored)
		a, aErr := ev.run(short)
		b, bErr := newEvaluation(e, stored).run(long)
		if diff := cmp.Diff(b, a); diff != "" || fmt.Sprint(aErr) != fmt.Sprint(bErr) {
			rt.Fatalf("%s of %s, as a value: %v, %v\n%s", text, data, aErr, bErr, diff)
		}
	})
}

// TestShortcutTakes makes sure that the common clauses do not take the long way.
func TestShortcutTakes(t *testing.T) {
	t.Parallel()
	c := conditionOf(t, `event.data.a.b == "x" && !event.data.c && event.data.d > 5 && event.type == "a" && has(event.data.e) && event.data.f`)
	if got := len(shortcuts(c)); got != 6 {
		t.Errorf("%d of 6 clauses have a shortcut", got)
	}
	c = conditionOf(t, `event.data.a == event.data.b && event.data.a in ["x"] && kv.a == "x" && event.data[event.type] == "x" && upper(event.data.a) == "X"`)
	if got := len(shortcuts(c)); got != 0 {
		t.Errorf("%d clauses have a shortcut that are not of a path and a constant", got)
	}
}

// TestPagesAreTheData compares what is found in pages with the data as a whole.
func TestPagesAreTheData(t *testing.T) {
	t.Parallel()
	key := rapid.SampledFrom([]string{"a", "b", "c", ""})
	rapid.Check(t, func(rt *rapid.T) {
		var value func(depth int) string
		value = func(depth int) string {
			n := rapid.IntRange(0, 7).Draw(rt, "kind")
			if depth > 3 {
				n %= 4
			}
			out := ""
			switch n {
			case 0, 1, 2, 3:
				return []string{"null", "-1.50", `"x"`, "true"}[n]
			case 4:
				for i := range rapid.IntRange(0, 3).Draw(rt, "items") {
					out += []string{"", ","}[min(i, 1)] + value(depth+1)
				}
				return "[" + out + "]"
			default:
				for i := range rapid.SampledFrom([]int{0, 1, 2, 3, manyMembers + 1}).Draw(rt, "members") {
					name, v := key.Draw(rt, "key"), "1"
					if i < 3 {
						v = value(depth + 1)
					}
					out += []string{"", ", "}[min(i, 1)] + fmt.Sprintf("%q : %s", name, v)
				}
				return "{" + out + "}"
			}
		}
		data := value(0)
		whole, err := decodeJSON([]byte(data))
		if err != nil {
			rt.Fatalf("%s: %v", data, err)
		}
		v := newView(happened(t, "1", "a", data))
		paths := rapid.SliceOfN(rapid.SliceOfN(key, 1, 4), 1, 4).Draw(rt, "paths")
		for _, path := range append(paths, nil) {
			members := []any{"data"}
			for _, p := range path {
				members = append(members, p)
			}
			p := &chain{base: "event", optional: make([]bool, len(members)), members: members}
			got, gotErr := p.follow(new(run), v, members)
			want, wantErr := p.follow(new(run), &view{Data: whole, hasData: true}, members)
			if diff := cmp.Diff(want, got); diff != "" || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				rt.Fatalf("%v of %s: %v, want %v\n%s", members, data, gotErr, wantErr, diff)
			}
		}
	})
}

// TestAppendExact compares what is written with what encoding/json makes of it.
func TestAppendExact(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		nil, true, "", "a<b>&\"\\\n\x7f\u2028é\xff", int64(-1), uint64(1) << 63,
		1.0, 0.1, 1e300,
		[]any{},
		[]any{int64(1), "x"},
		map[string]any{"b": 1.5, "a": map[string]any{}, "\"": []any{nil}},
	} {
		data, err := appendExact([]byte("x"), v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeJSON(data[1:])
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		plain, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := decodeJSON(plain)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("%s (-want +got):\n%s", data, diff)
		}
		if _, ok := v.(string); ok && !slices.Equal(plain, data[1:]) {
			t.Errorf("%s, want %s", data[1:], plain)
		}
	}
}
