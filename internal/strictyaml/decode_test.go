package strictyaml

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// everything has a field of each type that Decode takes.
type everything struct {
	Text    string            `yaml:"text"`
	Maybe   *string           `yaml:"maybe"`
	Yes     bool              `yaml:"yes"`
	Small   int8              `yaml:"small"`
	Int     int64             `yaml:"int"`
	Port    uint16            `yaml:"port"`
	Ratio   float64           `yaml:"ratio"`
	Wait    time.Duration     `yaml:"wait"`
	Any     any               `yaml:"any"`
	Vars    map[string]any    `yaml:"vars"`
	Words   map[string]string `yaml:"words"`
	List    []string          `yaml:"list"`
	Inner   inner             `yaml:"inner"`
	Inners  []*inner          `yaml:"inners"`
	Node    yaml.Node         `yaml:"node"`
	Own     reversed          `yaml:"own"`
	Shared  `yaml:",inline"`
	Ignored string
	Left    string `yaml:"-"`
}

type inner struct {
	Pos  Pos
	Name string `yaml:"name,required"`
}

// Shared is inlined.
type Shared struct {
	Common string `yaml:"common"`
}

// reversed decodes itself.
type reversed string

func (r *reversed) UnmarshalNode(f *File, n *yaml.Node) error {
	if n.Value == "" {
		return errors.New("own needs a text")
	}
	for _, c := range n.Value {
		*r = reversed(string(c)) + *r
	}
	return nil
}

func decode(t *testing.T, text string, v any) error {
	t.Helper()
	f, err := Parse("f.yml", []byte(text))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f.Decode(f.Root, v)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	text := `
text: 0o755
maybe: no
yes: true
small: -8
int: 5
port: 65535
ratio: 1e3
wait: 1h30m
any: [1, {a: 1.5}]
vars: {a: 0755, b: null}
words: {x: 5}
list: [a, true, 7]
inner: {name: n}
inners:
  - name: p
node: [kept]
own: !kept abc
common: c
`
	var got everything
	if err := decode(t, text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Node.Kind != yaml.SequenceNode || got.Node.Line != 17 {
		t.Errorf("node = kind %d on line %d", got.Node.Kind, got.Node.Line)
	}
	got.Node = yaml.Node{}
	no := "no"
	want := everything{
		Text: "0o755", Maybe: &no, Yes: true, Small: -8, Int: 5, Port: 65535, Ratio: 1000, Wait: 90 * time.Minute,
		Any: []any{int64(1), map[string]any{"a": 1.5}}, Vars: map[string]any{"a": "0755", "b": nil}, Words: map[string]string{"x": "5"},
		List:   []string{"a", "true", "7"},
		Inner:  inner{Pos: Pos{"f.yml", 14, 8}, Name: "n"},
		Inners: []*inner{{Pos: Pos{"f.yml", 16, 5}, Name: "p"}},
		Own:    "cba", Shared: Shared{Common: "c"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decode (-want +got):\n%s", diff)
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"txt: x", `f.yml:1:1: unknown key "txt"; did you mean "text"?`},
		{"Left: x", `unknown key "Left"; did you mean`},
		{"Ignored: x", `unknown key "Ignored"; known: text, maybe, yes`},
		{"<<: {text: x}", `f.yml:1:1: unknown key "<<"`},
		{"text:", "f.yml:1:6: text: a value is missing"},
		{"text: [a]", "f.yml:1:7: text: must be text, not a list"},
		{"text: {a: b}", "text: must be text, not a mapping"},
		{"text: !vault x", "f.yml:1:7: text: unexpected tag !vault"},
		{"maybe: !vault", "maybe: unexpected tag !vault"},
		{"list: !x [a]", "list: unexpected tag !x"},
		{"yes: yes", `f.yml:1:6: yes: must be true or false, not "yes"`},
		{"yes: True", `must be true or false, not "True"`},
		{"yes: null", "yes: a value is missing"},
		{"small: 128", `small: must be a whole number, not "128"`},
		{"int: 1.5", `int: must be a whole number, not "1.5"`},
		{"port: -1", `port: must be a whole number, zero or more, not "-1"`},
		{"port: 65536", "port: must be a whole number"},
		{"ratio: x", `ratio: must be a number, not "x"`},
		{"ratio: nan", `ratio: must be a number, not "nan"`},
		{"ratio: 0x1p4", `ratio: must be a number, not "0x1p4"`},
		{"wait: 5", `wait: "5" is not a duration such as 30s, 10m or 1h30m`},
		{"wait: -5s", `"-5s" is not a duration`},
		{"wait: [1]", "wait: must be a duration, not a list"},
		{"vars: [a]", "vars: must be a mapping, not a list"},
		{"vars: {a: !x b}", "f.yml:1:11: a: unexpected tag !x"},
		{"any: [!x b]", "f.yml:1:7: unexpected tag !x"},
		{"list: a", `list: must be a list, not "a"`},
		{"list: [a, null]", "f.yml:1:11: list: a value is missing"},
		{"inner: x", `inner: must be a mapping, not "x"`},
		{"inner: {}", `f.yml:1:8: missing key "name"`},
		{"inner:", `missing key "name"`},
		{"inners: [{name: a}, {}]", `f.yml:1:21: missing key "name"`},
		{"own: ''", "f.yml:1:6: own needs a text"},
		{"text: [a]\nyes: x", "f.yml:1:7: text: must be text, not a list\nf.yml:2:6: yes: must be true or false"},
		{"- a", "f.yml:1:1: must be a mapping, not a list"},
		{"text", `f.yml:1:1: must be a mapping, not "text"`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			var v everything
			err := decode(t, tt.text, &v)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Decode error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDecodeNull(t *testing.T) {
	t.Parallel()
	kept := everything{Any: "kept", List: []string{"kept"}}
	if err := decode(t, "maybe: ~\nany: null\nlist:\nvars:\ninners:\n", &kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everything{Any: "kept", List: []string{"kept"}}, kept); diff != "" {
		t.Errorf("nulls changed fields (-want +got):\n%s", diff)
	}
	for _, text := range []string{"", "null", "!facts", "!facts {}"} {
		var v everything
		if err := decode(t, text, &v); err != nil {
			t.Errorf("Decode(%q): %v", text, err)
		}
		var in inner
		if err := decode(t, text, &in); err == nil || !strings.Contains(err.Error(), `missing key "name"`) {
			t.Errorf("Decode(%q) error = %v, want the missing key", text, err)
		}
	}
}

func TestDecodeAlias(t *testing.T) {
	t.Parallel()
	var v everything
	if err := decode(t, "list: &l [a, b]\nany: *l\nwords: {x: &w word}\ntext: *w\n", &v); err != nil {
		t.Fatal(err)
	}
	if v.Text != "word" || !cmp.Equal(v.Any, any([]any{"a", "b"})) {
		t.Errorf("text = %q, any = %v", v.Text, v.Any)
	}
}

func TestDecodePanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("Decode into a struct value does not panic")
		}
	}()
	_ = decode(t, "a: 1", everything{})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"name"}, Keys(new(inner))); diff != "" {
		t.Errorf("Keys (-want +got):\n%s", diff)
	}
	if keys := Keys(new(everything)); keys[len(keys)-1] != "common" {
		t.Errorf("Keys = %v, want the inlined key last", keys)
	}
}

func TestRatioIsFinite(t *testing.T) {
	t.Parallel()
	var v everything
	if err := decode(t, "ratio: 1e400", &v); err == nil || math.IsInf(v.Ratio, 0) {
		t.Errorf("ratio = %v, %v, want an error", v.Ratio, err)
	}
}

// A struct that asks for it knows where the values of its keys stand.
func TestKeyed(t *testing.T) {
	t.Parallel()
	var got struct {
		Keyed
		Name string `yaml:"name"`
		Of   struct {
			Keyed
			A []string `yaml:"a"`
			B string   `yaml:"b"`
		} `yaml:"of"`
	}
	f, err := Parse("f.yml", []byte("of:\n  a:\n  - x\nname:  y\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Decode(f.Root, &got); err != nil {
		t.Fatal(err)
	}
	for want, at := range map[string]Pos{
		"f.yml:4:8": got.Place("name"), "f.yml:2:3": got.Place("of"), "f.yml:1:1": got.Pos,
		"f.yml:3:3": got.Of.Place("a"), "f.yml:2:3 ": got.Of.Place("b"),
	} {
		if at.String() != strings.TrimSpace(want) {
			t.Errorf("at %s, want %s", at, want)
		}
	}
}
