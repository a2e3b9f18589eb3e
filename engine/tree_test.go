package engine

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

type shared struct {
	Owner string `yaml:"owner"`
	Raw   any    `yaml:"raw" jet:"raw"`
}

// TestTree checks which scalars are rendered, by the type they are decoded into.
func TestTree(t *testing.T) {
	t.Parallel()
	type params struct {
		shared `yaml:",inline"`
		Ptr    *shared           `yaml:"ptr"`
		Lists  []shared          `yaml:"lists"`
		Maps   map[string]shared `yaml:"maps"`
		Cond   *Expr             `yaml:"cond"`
		Any    any               `yaml:"any"`
	}
	const text = `
owner: &o "{{ x }}"
raw: ["{{ x }}", *o]
ptr: {owner: "a{{ x }}", raw: {"{{ k }}": "{{ x }}"}}
lists:
  - owner: *o
    raw: "{{ x }}"
maps: {m: {owner: "{{ x }}", raw: "{{ x }}"}}
cond: '"{{" == x'
any:
  - 8{{ n }}
  - 80
`
	f, err := strictyaml.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := &parser{left: maxNodes}
	tr := p.tree(f, f.Root, reflect.TypeFor[params]())
	if len(p.faults) > 0 {
		t.Fatal(p.faults)
	}
	// Twice, since rendering must leave the tree as it is.
	for range 2 {
		n, err := tr.render(map[string]any{"x": "null", "n": int64(0)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Value(n)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"owner": "null",
			"raw":   []any{"{{ x }}", "{{ x }}"},
			"ptr":   map[string]any{"owner": "anull", "raw": map[string]any{"{{ k }}": "{{ x }}"}},
			"lists": []any{map[string]any{"owner": "null", "raw": "{{ x }}"}},
			"maps":  map[string]any{"m": map[string]any{"owner": "null", "raw": "{{ x }}"}},
			"cond":  `"{{" == x`,
			"any":   []any{"80", int64(80)},
		}
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("rendered differs (-want +got):\n%s", diff)
		}
	}
}
