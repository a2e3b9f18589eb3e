package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func TestItems(t *testing.T) {
	t.Parallel()
	vars := map[string]any{
		"l":   []any{int64(1), "{{ x }}"},
		"a.b": []any{"dotted name"},
		"a":   map[string]any{"b": []any{"by path"}, "c": []any{[]any{"by index"}}},
		"s":   "l",
		"x":   "y",
		"bad": "[a, !tag b]",
	}
	tests := []struct {
		yaml  string
		want  []any
		fault string
	}{
		{yaml: "l", want: []any{int64(1), "{{ x }}"}},
		{yaml: "a.b", want: []any{"dotted name"}},
		{yaml: "a.c.0", want: []any{"by index"}},
		{yaml: "a.c.1", fault: `items:1:1: items: there is no variable "a.c.1"`},
		{yaml: "a.c.-1", fault: `there is no variable`},
		{yaml: "l.0.x", fault: `there is no variable`},
		{yaml: "a.z", fault: `there is no variable`},
		{yaml: "a", fault: `items:1:1: items: "a" is not a list`},
		{yaml: `"{{ l }}"`, want: []any{int64(1), "{{ x }}"}},
		{yaml: `"{{ s }}"`, fault: `"s" is not a list`},
		{yaml: `"{{#if l}}{{ s }}{{/if}}"`, want: []any{int64(1), "{{ x }}"}},
		{yaml: `" [{{ x }}, 2] "`, want: []any{"y", int64(2)}},
		{yaml: `"[{{ x }}"`, fault: "items:1:1: items: "},
		{yaml: `"[{{ x }}] "`, want: []any{"y"}},
		{yaml: `"{{ bad }}{{#if no}}{{/if}}"`, fault: "unexpected tag"},
		{yaml: `"a{{ z }}"`, fault: "items:1:"},
		{yaml: `["{{ x }}", {k: "{{ x }}"}, ~]`, want: []any{"y", map[string]any{"k": "y"}, nil}},
		{yaml: `["{{ z }}"]`, fault: "items:1:"},
		{yaml: `[]`, want: []any{}},
	}
	for _, tt := range tests {
		t.Run(tt.yaml, func(t *testing.T) {
			t.Parallel()
			f, err := strictyaml.Parse("items", []byte(tt.yaml))
			if err != nil {
				t.Fatal(err)
			}
			p := &parser{left: maxNodes}
			it := p.items(f, f.Root)
			if len(p.faults) > 0 {
				t.Fatal(p.faults)
			}
			got, err := it.resolve(vars)
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Errorf("resolve = %v, %v; want a fault with %q", got, err, tt.fault)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("resolve: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
