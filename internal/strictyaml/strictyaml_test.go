package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"syntax", "a: 1\nb: [\n", "f.yml:2: did not find expected node content"},
		{"tab", "a:\n\tb: 1\n", "f.yml:2:1: a tab may not indent; use blanks"},
		{"tab after blanks", "a:\n  \tb: 1\n", "f.yml:2:3: a tab may not indent"},
		{"tab after text", "- a: 1\n\tb: 1\n", "f.yml:2:1: a tab may not indent"},
		{"at sign", "a: 1\nbé: @x\n", "f.yml:2:5: a text may not begin with @; put quotes around it"},
		{"first line", "a: `x`\n", "f.yml:1:4: a text may not begin with `"},
		{"key missing", "a: 1\n- b\n", "f.yml:2: did not find expected key"},
		{"open quote", "a: 1\nb: \"x\n", "f.yml:2:4: the quote is not closed"},
		{"not UTF-8", "a: 1\nbé: \"x\xffy\"\n", "f.yml:2:7: the byte 0xff is not UTF-8; save the file as UTF-8"},
		{"NUL", "a: 1\nb: \x00\n", "f.yml:2:4: a NUL byte may not be in a YAML file"},
		{"escape", "a: \x1b[2J\n", "f.yml:1:4: the control character U+001B may not be"},
		{"bare template", "a: 1\nmsg: {{ a }}\n", "f.yml:2:7: a key must be a plain word or a string; put quotes around {{ … }}"},
		{"bare template in a list", "- {{ a }}\n", "f.yml:1:4: a key must be a plain word or a string; put quotes around {{ … }}"},
		{"bare template with more", "a: 1\nmsg: {{ a }} more\n", "f.yml:2:6: did not find expected key; put quotes around {{ … }}"},
		{"bare template in braces", "- !file {path: /srv/{{name}}, remove: true}\n", "f.yml:1:21: did not find expected ',' or '}'; put quotes around {{ … }}"},
		{"quoted template in braces", "- !file {path: '/srv/{{name}}', remove: [}\n", "f.yml:1: did not find expected node content"},
		{"bare bracket", "a: 1\nhosts: [a, web[01:20].example.org]\n", "f.yml:2:12: a text with [ in it, or ! before it, needs quotes"},
		{"bare exclamation mark", "groups: [all, !web]\n", "f.yml:1:15: a text with [ in it, or ! before it, needs quotes"},
		{"brackets that are not closed", "l: [a, [b]\nc: 1\n", "f.yml:2: did not find expected ',' or ']'"},
		{"second document", "a: 1\n---\nb: 1\n", "f.yml:2:1: a second document begins here; write one document per file"},
		{"second empty document", "a: 1\n---\n", "a second document begins here"},
		{"fault in second document", "a: 1\n---\n{\n", "f.yml:3"},
		{"duplicate", "a: 1\nb: 2\na: 3\n", `f.yml:3:1: duplicate key "a", first given on line 1`},
		{"duplicate by quoting", "a: 1\n'a': 3\n", `f.yml:2:1: duplicate key "a"`},
		{"duplicate below", "l:\n  - a: 1\n    a: 2\n", `f.yml:3:5: duplicate key "a"`},
		{"key that is a list", "? [a]\n: 1\n", "f.yml:1:3: a key must be a plain word or a string"},
		{"key that is an alias", "a: &x k\n*x : 1\n", "f.yml:2:1: a key must be a plain word or a string"},
		{"unknown alias", "a: *x\n", "f.yml: unknown anchor 'x' referenced"},
		{"alias of itself", "a: &x [1, *x]\n", "f.yml:1:11: alias *x stands inside of what it names"},
		{"root alias of itself", "&x {a: {b: *x}}\n", "alias *x stands inside of what it names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.yml", []byte(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), "f.yml") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseReportsAllFaults(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte("a: 1\na: 2\nb: {c: 1, c: 2}\n"))
	want := "f:2:1: duplicate key \"a\", first given on line 1\nf:3:11: duplicate key \"c\", first given on line 3"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestParseEmpty(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# comment\n", "---\n", "--- # c\n...\n"} {
		f, err := Parse("f", []byte(text))
		if err != nil || f.Root != nil {
			t.Errorf("Parse(%q) = %v, %v, want no root", text, f, err)
		}
	}
}

func TestPos(t *testing.T) {
	t.Parallel()
	tests := map[Pos]string{
		{}:                               "",
		{File: "f"}:                      "f",
		{File: "f", Line: 2}:             "f:2",
		{File: "f", Line: 2, Column: 3}:  "f:2:3",
		{Line: 2, Column: 3}:             "2:3",
		{File: "f", Line: 0, Column: 10}: "f",
	}
	for pos, want := range tests {
		if got := pos.String(); got != want {
			t.Errorf("%#v.String() = %q, want %q", pos, got, want)
		}
	}
	cause := errors.New("boom")
	err := Pos{File: "f", Line: 1, Column: 2}.Wrap(cause)
	if err.Error() != "f:1:2: boom" || !errors.Is(err, cause) {
		t.Errorf("Wrap = %v", err)
	}
	if again := (Pos{File: "g"}).Wrap(fmt.Errorf("more: %w", err)); again.Error() != "more: f:1:2: boom" {
		t.Errorf("Wrap of a placed error = %v", again)
	}
	if err := (Pos{}).Wrap(nil); err != nil {
		t.Errorf("Wrap(nil) = %v", err)
	}
	if err := (Pos{}).Errorf("a %d", 1); err.Error() != "a 1" {
		t.Errorf("Errorf without a place = %v", err)
	}
}

// TestTextPos finds the word HERE by line and column in the text of a scalar.
func TestTextPos(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       Pos // of the scalar's text
	}{
		{"plain", "a: HERE", Pos{"f", 1, 4}},
		{"double quoted", `a: "HERE"`, Pos{"f", 1, 5}},
		{"single quoted", "x: 1\na: 'HERE'", Pos{"f", 2, 5}},
		{"literal", "a: |\n  HERE\n   x\n", Pos{"f", 2, 3}},
		{"literal with a blank line first", "a: |-\n\n    HERE", Pos{"f", 2, 5}},
		{"literal that starts with blanks", "a: |2\n    HERE", Pos{"f", 2, 3}},
		{"literal in a list", "- |\n HERE", Pos{"f", 2, 2}},
		{"empty literal", "a: |\nb: 1", Pos{"f", 2, 0}},
		{"folded", "a: >\n  HERE\n  x", Pos{"f", 2, 0}},
		{"folded on one line", "a: >\n  HERE x\n", Pos{"f", 2, 3}},
		{"folded with an empty line", "a: >\n  HERE x\n\n  y\n", Pos{"f", 2, 0}},
		{"mapping", "a: {b: 1}", Pos{"f", 1, 4}},
		{"escape", `a: "x\tHERE"`, Pos{"f", 1, 0}},
		{"escaped line end", "b: 1\na: \"x \\\n  HERE\"", Pos{"f", 2, 0}},
		{"escaped newline", `a: "x\nHERE"`, Pos{"f", 1, 0}},
		{"doubled quote", "a: 'it''s HERE'", Pos{"f", 1, 0}},
		{"plain on two lines", "a: x\n  HERE", Pos{"f", 1, 0}},
		{"quoted on two lines", "a: \"x\n  HERE\"", Pos{"f", 1, 0}},
		{"tag and anchor", "aé: !!str &x \"HERE\"", Pos{"f", 1, 15}},
		{"CRLF", "b: 1\r\na: 'HERE'\r\n", Pos{"f", 2, 5}},
		{"byte order mark", "\uFEFFa: HERE", Pos{"f", 1, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			n := f.Root.Content[len(f.Root.Content)-1]
			if f.Root.Kind == yaml.MappingNode && tt.name == "empty literal" {
				n = f.Root.Content[1]
			}
			if got := f.TextPos(n); got != tt.want {
				t.Errorf("TextPos = %v, want %v", got, tt.want)
			}
		})
	}
	f := &File{Name: "f"}
	if got := f.TextPos(nil); got != (Pos{"f", 1, 1}) {
		t.Errorf("TextPos(nil) = %v", got)
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"hosts", "groups"}
	for word, want := range map[string]string{
		"hots":  `; did you mean "hosts"?`,
		"host":  `; did you mean "hosts"?`,
		"HOSTS": "; known: hosts, groups",
		"x":     "; known: hosts, groups",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Suggest("a", []string{"b"}); got != "; known: b" {
		t.Errorf("Suggest of a word with nothing in common = %q", got)
	}
	if got := Suggest("a", nil); got != "" {
		t.Errorf("Suggest without known words = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a: 1\nb: [x, {y: z}]\n", "a: &x [1]\nb: *x\n", "a: &x [*x]\n", "- !shell {cmd: x}\n- !facts\n", "a: |\n  x\n",
		"!!int 5", "? [a]\n: b", "a: 1\n---\n", "a: 0o17\nb: .inf\nc: 1e3\n", "'a': \"b\\n\"\n", "<<: {a: 1}\n", "!%0D", "a: !!str &x 'b'\n", "a: >\n  b\n  c\n",
		"|\n \n  x\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("f", []byte(text))
		if err != nil || file.Root == nil {
			return
		}
		v, errA := file.Value(file.Root)
		w, errB := file.Value(file.Root)
		if (errA == nil) != (errB == nil) || (errA == nil && fmt.Sprint(v) != fmt.Sprint(w)) {
			t.Errorf("Value differs between calls: %v, %v and %v, %v", v, errA, w, errB)
		}
		var all struct {
			Pos Pos
			everything
		}
		_ = file.Decode(file.Root, &all)
		var list []everything
		_ = file.Decode(file.Root, &list)
		var tree map[string]any
		_ = file.Decode(file.Root, &tree)
		var walk func(n *yaml.Node)
		walk = func(n *yaml.Node) {
			if p := file.TextPos(n); n.Kind == yaml.ScalarNode && p.Column != 0 {
				first, _, _ := strings.Cut(n.Value, "\n")
				// An empty line may end before the column where its text would begin.
				if at, ok := file.from(p.Line, p.Column); first != "" && (!ok || !strings.HasPrefix(string(at), first)) {
					t.Errorf("the text %q is not at %s", n.Value, p)
				}
			}
			for _, c := range n.Content {
				walk(c)
			}
		}
		walk(file.Root)
	})
}

func TestValueIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		ref := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Join([]string{ref, ref, ref, ref, ref, ref, ref, ref, ref, ref}, ", "))
	}
	f, err := Parse("f", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.value(f.Root, &budget{left: 1000}); err == nil || !strings.Contains(err.Error(), errTooLarge.Error()) {
		t.Errorf("value error = %v, want %v", err, errTooLarge)
	}
	var m map[string]any
	d := &decoder{f: f, root: f.Root, budget: budget{left: 1000}}
	d.decode(f.Root, reflect.ValueOf(&m).Elem(), "")
	if len(d.errs) != 1 || !strings.Contains(d.errs[0].Error(), errTooLarge.Error()) {
		t.Errorf("decode errors = %v, want %v once", d.errs, errTooLarge)
	}
}

// TestWrittenOutIsNotBounded checks that only aliases count.
func TestWrittenOutIsNotBounded(t *testing.T) {
	t.Parallel()
	f, err := Parse("f", []byte("a: ["+strings.Repeat("1,", 100)+"]\nb: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.value(f.Root, &budget{left: 5}); err != nil {
		t.Error(err)
	}
	var m map[string][]int
	d := &decoder{f: f, root: f.Root, budget: budget{left: 5}}
	if d.decode(f.Root, reflect.ValueOf(&m).Elem(), ""); len(d.errs) != 1 || !strings.Contains(d.errs[0].Error(), "b: must be a list") {
		t.Error(d.errs)
	}
}

func TestValueErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: !vault x":         "f:1:4: unexpected tag !vault",
		"a: !!int x":          `f:1:4: "x" is no value for the tag !!int`,
		"a: !!timestamp 2020": "f:1:4: unexpected tag !!timestamp",
		"a: !!binary aGk=":    "f:1:4: unexpected tag !!binary",
		"a: [!x 1, !y {}]":    "f:1:5: unexpected tag !x\nf:1:11: unexpected tag !y",
	} {
		f, err := Parse("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Value(f.Root); err == nil || err.Error() != want {
			t.Errorf("Value(%s) error = %v, want %s", text, err, want)
		}
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	f, err := Parse("f", []byte(strings.Join([]string{
		"plain: text", "quoted: '5'", "block: |", "  5", "int: 5", "list: [1, a, ~]", "map: {x: {y: 1.0}}",
		"same: &s {k: v}", "alias: *s", "<<: {merge: no}", "str: !!str 5", "float: !!float 5", "nul: !!null ''", "bool: !!bool true",
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Value(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"plain": "text", "quoted": "5", "block": "5\n", "int": int64(5), "list": []any{int64(1), "a", nil},
		"map": map[string]any{"x": map[string]any{"y": 1.0}}, "same": map[string]any{"k": "v"}, "alias": map[string]any{"k": "v"},
		"<<": map[string]any{"merge": "no"}, "str": "5", "float": 5.0, "nul": nil, "bool": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Value (-want +got):\n%s", diff)
	}
	if v, err := f.Value(nil); v != nil || err != nil {
		t.Errorf("Value(nil) = %v, %v", v, err)
	}
}
