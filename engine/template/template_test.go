package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func templateVars() map[string]any {
	return map[string]any{
		"a": "A", "n": int64(5), "f": 1.0, "big": uint64(1<<63 + 1), "t": true, "z": nil, "empty": "",
		"html": `<b>&"'</b>`, "evil": "{{a}}{{#if", "my-key": "dash", "größe": "L", "key with space": "space",
		"list": []any{"x", "y"}, "none": []any{}, "nomap": map[string]any{}, "len": "variable",
		"log":   map[string]any{"level": "debug"},
		"m":     map[string]any{"k": "v", "b": int64(2), "a.b": "dotted"},
		"hosts": []any{map[string]any{"name": "h1", "ports": []any{int64(1), int64(2)}}, map[string]any{"name": "h2", "ports": []any{}}},
		"mixed": []any{"s", int64(1), 2.5, nil, []any{true}, map[string]any{"a": int64(1)}},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"literal", "no template } {", "no template } {"},
		{"variable", "{{a}}-{{ a }}-{{{a}}}-{{& a}}-{{{ a }}}", "A-A-A-A-A"},
		{"no escaping", "{{html}}", `<b>&"'</b>`},
		{"not rendered again", "{{evil}}|{{{evil}}}", "{{a}}{{#if|{{a}}{{#if"},
		{"paths", "{{m.k}} {{m/k}} {{this.m.k}} {{./m.k}} {{@root.m.k}} {{m.[a.b]}}", "v v v v v dotted"},
		{"list paths", "{{list.0}}{{list.[1]}}{{hosts.1.name}}", "xyh2"},
		{"names", "{{my-key}} {{größe}} {{[key with space]}} {{this.len}} {{log.level}}", "dash L space variable debug"},
		{"literals", `{{"s"}}{{'q'}}{{7}}{{-1.5}}{{true}}{{null}}|{{"a\n\"b"}}`, "sq7-1.5true|a\n\"b"},
		{"list and mapping literals", `{{len [1, "b"]}}{{lookup {"k": {"d": 1}} "k"}}{{#each [1,2.0]}}{{this}};{{/each}}`, "2[object]1;2.0;"},
		{"printing", "{{n}} {{f}} {{t}} {{z}}| {{big}} {{list}} {{m}} {{mixed}}", "5 1.0 true | 9223372036854775809 [x, y, ] [object] [s, 1, 2.5, , [true, ], [object], ]"},
		{"if", "{{#if t}}y{{else}}n{{/if}}{{#if z}}y{{else}}n{{/if}}{{#if nope}}y{{/if}}{{#if nope}}y{{^}}n{{/if}}", "ynn"},
		{"if on a call", "{{#if (and (eq n 5) (lt f 2))}}y{{/if}}", "y"},
		{"if on a failed lookup", `{{#if (lookup m "nope")}}y{{else}}n{{/if}}`, "n"},
		{"else if", "{{#if z}}1{{else if nope}}2{{else if (eq n 5)}}3{{else}}4{{/if}}", "3"},
		{"else if, else", "{{#if z}}1{{else if nope}}2{{else}}4{{/if}}", "4"},
		{"else unless, each", "{{#if z}}1{{else unless t}}2{{else each list}}{{this}}{{/if}}", "xy"},
		{"unless", "{{#unless nope}}a{{/unless}}{{#unless t}}b{{else}}c{{/unless}}", "ac"},
		{"inverse block", "{{^if t}}a{{else}}b{{/if}}{{^if z}}c{{/if}}", "bc"},
		{"each list", "{{#each list}}{{@index}}{{@key}}{{@first}}{{@last}}{{this}};{{/each}}", "00truefalsex;11falsetruey;"},
		{"each mapping is sorted", "{{#each m}}{{@key}}={{this}},{{@index}}{{@first}}{{@last}};{{/each}}", "a.b=dotted,0truefalse;b=2,1falsefalse;k=v,2falsetrue;"},
		{"each params", "{{#each list as |v i|}}{{i}}{{v}}{{/each}}{{#each m as | v k |}}{{k}}{{v}}{{/each}}", "0x1ya.bdottedb2kv"},
		{"each empty", "[{{#each none}}x{{/each}}{{#each nomap}}x{{/each}}{{#each none}}x{{else}}e{{/each}}]", "[e]"},
		{"each missing with else", "{{#each nope}}x{{else}}e{{/each}}{{#each z}}x{{else}}e{{/each}}", "ee"},
		{"nested", "{{#each hosts}}{{#each ports}}{{../name}}:{{this}}@{{@../index}}.{{@index}} {{/each}}{{/each}}", "h1:1@0.0 h1:2@0.1 "},
		{"if adds no context", "{{#each hosts}}{{#if t}}{{else}}{{name}}{{../a}}{{/if}}{{/each}}", "h1Ah2A"},
		{"outer params", "{{#each hosts as |h|}}{{#each h.ports as |p|}}{{h.name}}{{p}}{{/each}}{{/each}}", "h1" + "1h1" + "2"},
		{"with", "{{#with m}}{{k}}{{../a}}{{/with}}{{#with m as |q|}}{{q.k}}{{/with}}{{#with nope}}x{{else}}e{{/with}}", "vAve"},
		{"index through with", "{{#each hosts}}{{#with ports}}{{@index}}{{else}}-{{/with}}{{/each}}", "0-"},
		{"outer value", "{{#with m}}{{#with ..}}{{a}}{{/with}}{{len ../list}}{{/with}}", "A2"},
		{"comments", "a{{! x }}b{{!-- }} --}}c{{!--- x ---}}d{{!~}} e", "abcde"},
		{"comment ends at its own mark", "a{{! x -- }}b", "ab"},
		{"escapes", `\{{a}} \{{{a}}} \\{{a}} \{{{{raw}}}} \x`, `{{a}} {{{a}}} \A {{{{raw}}}} \x`},
		{"raw", "{{{{raw}}}}{{a}} \\{{b}} {{#if{{{{/raw}}}}!", "{{a}} \\{{b}} {{#if!"},
		{"raw on lines", "x\n{{{{raw}}}}\n {{a}}\n{{{{/raw}}}}\ny", "x\n {{a}}\ny"},
		{"strip", "a \n {{~a~}} \n b {{{a}~}} c {{a ~}} d", "aAb Ac Ad"},
		{"braces beside tags", `{"x":{"y":{{n}}}}`, `{"x":{"y":5}}`},
		{"block alone on its line", "a\n  {{#if t}}  \n  b\n  {{else}}\n  c\n  {{/if}}\nd\n", "a\n  b\nd\n"},
		{"comment alone on its line", "a\n {{! x }}\nb {{! y }}\n", "a\nb \n"},
		{"lines end in CRLF", "a\r\n{{#if t}}\r\nb\r\n{{/if}}\r\n", "a\r\nb\r\n"},
		{"variable alone keeps its line", "a\n  {{a}}\nb", "a\n  A\nb"},
		{"two tags on a line", "{{#if t}}{{#if t}}\nx\n{{/if}}{{/if}}\n", "\nx\n\n"},
		{"block at the ends", "{{#each list}}\n- {{this}}\n{{/each}}", "- x\n- y\n"},
		{"helper and blanks", "{{ eq  n\n5 }}", "true"},
		{"a call as a value", "{{(len list)}}", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tpl, err := Parse(strictyaml.Pos{File: "f", Line: 1, Column: 1}, tt.text)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			got, err := tpl.Render(templateVars())
			if err != nil {
				t.Fatalf("Render: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Render(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

// TestErrors checks the place and the reason of faults, at parsing and rendering.
func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"{{nope}}", `f.j2:10:3: "nope" is not defined`},
		{"a\nbé {{m.nope}}", `f.j2:11:6: "m.nope" is not defined`},
		{"{{z.x}}", `"z.x" is not defined`},
		{"{{list.2}}", `"list.2" is not defined`},
		{"{{../a}}", `"../a" is not defined`},
		{"{{@index}}", `"@index" is not defined`},
		{"{{#each list}}{{@../index}}{{/each}}", `"@../index" is not defined`},
		{"{{#each list}}{{a}}{{/each}}", `f.j2:10:17: "a" is not defined; did you mean "../a"?`},
		{"{{len nope}}", `f.j2:10:7: "nope" is not defined`},
		{"{{#if (eq nope 1)}}{{/if}}", `f.j2:10:11: "nope" is not defined`},
		{"{{#if (and nope t)}}{{/if}}", `"nope" is not defined`},
		{"{{#each nope}}{{/each}}", `f.j2:10:9: "nope" is not defined`},
		{"{{#with nope}}{{/with}}", `"nope" is not defined`},
		{"{{#with z}}{{/with}}", "with needs a value that is not empty, or an else part"},
		{"{{#each z}}{{/each}}", "each needs a list or a mapping, not null"},
		{"{{#each a}}{{/each}}", "f.j2:10:9: each needs a list or a mapping, not text"},
		{`{{lookup m "q"}}`, `f.j2:10:3: lookup: "q" is not defined`},
		{"{{trim n}}", "f.j2:10:3: trim: argument 1 must be text, not a number"},
		{"{{gt n a}}", "gt: argument 2 must be a number, not text"},
		{"{{nope2 a}}", `f.j2:10:3: unknown helper "nope2"`},
		{"{{trimm a}}", `unknown helper "trimm"; did you mean "trim"?`},
		{"{{len (trimm a)}}", `f.j2:10:8: unknown helper "trimm"; did you mean "trim"?`},
		{"{{len}}", "f.j2:10:3: len takes 1 argument, not 0; write this.len for a variable of that name"},
		{"{{eq a}}", "eq takes 2 arguments, not 1"},
		{"{{and a}}", "and takes 2 arguments or more, not 1"},
		{"{{trim a=b}}", "helpers take no named arguments"},
		{"{{#if}}{{/if}}", "f.j2:10:4: if needs a value"},
		{"{{#if a b}}{{/if}}", "f.j2:10:9: if takes one value"},
		{"{{#iff a}}{{/iff}}", `unknown block "iff"; did you mean "if"?`},
		{"{{#if a}}", "f.j2:10:1: {{#if}} is not closed"},
		{"x\n{{#if a}}{{/each}}", "f.j2:11:10: {{/each}} closes {{#if}}, opened at 11:1"},
		{"{{/if}}", "{{/if}} closes no block"},
		{"{{else}}", "else stands outside of a block"},
		{"{{#if a}}{{else}}{{else}}{{/if}}", "f.j2:10:18: {{#if}} has an else part already"},
		{"{{a", "f.j2:10:1: the tag is not closed by }}"},
		{"{{{a}}", "f.j2:10:5: unexpected '}', want }}}"},
		{"{{{a", "f.j2:10:1: the tag is not closed by }}}"},
		{"{{a}", "f.j2:10:4: unexpected '}', want }}"},
		{"{{a.}}", "f.j2:10:5: unexpected '}', want a name"},
		{"{{}}", "unexpected '}', want a name"},
		{"{{(len a}}", "f.j2:10:3: the parenthesis is not closed"},
		{`{{"a}}`, "f.j2:10:3: the string is not closed"},
		{"{{! a", "f.j2:10:1: the comment is not closed"},
		{"{{m.[a}}", "the bracket is not closed"},
		{"{{> x}}", "f.j2:10:1: partials are not supported"},
		{"{{#> x}}{{/x}}", "partials are not supported"},
		{"{{@foo}}", "unknown variable @foo; known: @root"},
		{"{{{{raw}}}}a", "the raw block is not closed by {{{{/raw}}}}"},
		{"{{{{rar}}}}", `unknown raw block "rar"; known: raw`},
		{"{{#each a as |x y z|}}{{/each}}", "each takes 2 block parameters at most, not 3"},
		{"{{#if a as |x|}}{{/if}}", "if takes 0 block parameters at most, not 1"},
		{"{{#each a as |x.y|}}{{/each}}", `"x.y" is not a name`},
		{strings.Repeat("{{#if a}}", maxDepth+1), "nested more than 200 levels deep"},
		{"{{len " + strings.Repeat("(len ", maxDepth+1), "nested more than 200 levels deep"},
	}
	for _, tt := range tests {
		t.Run(tt.text[:min(40, len(tt.text))], func(t *testing.T) {
			t.Parallel()
			tpl, err := Parse(strictyaml.Pos{File: "f.j2", Line: 10, Column: 1}, tt.text)
			if err == nil {
				_, err = tpl.Render(templateVars())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pos  strictyaml.Pos
		want string
	}{
		{strictyaml.Pos{File: "f", Line: 1, Column: 1}, `f:2:4: "x" is not defined`},
		{strictyaml.Pos{File: "f", Line: 7, Column: 5}, `f:8:8: "x" is not defined`},
		{strictyaml.Pos{File: "f", Line: 7}, `f:7: "x" is not defined`},
		{strictyaml.Pos{File: "f"}, `f: "x" is not defined`},
		{strictyaml.Pos{}, `"x" is not defined`},
	}
	for _, tt := range tests {
		tpl, err := Parse(tt.pos, "é\né{{x}}")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tpl.Render(nil); err == nil || err.Error() != tt.want {
			t.Errorf("at %v: error = %v, want %s", tt.pos, err, tt.want)
		}
	}
}

func TestLiteral(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": true, "a } b {": true, "{{a}}": false, `\{{a}}`: false} {
		tpl, err := Parse(strictyaml.Pos{}, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := tpl.Literal(); got != want {
			t.Errorf("Literal(%q) = %t, want %t", text, got, want)
		}
	}
}

// TestBounds shows that a template cannot run or grow without end.
func TestBounds(t *testing.T) {
	t.Parallel()
	list := slices.Repeat([]any{"x"}, 100)
	open, end := strings.Repeat("{{#each @root.l}}", 5), strings.Repeat("{{/each}}", 5)
	for text, want := range map[string]string{
		open + end:                           errTooBusy.Error(),
		"{{#each l}}{{@root.big}}{{/each}}":  errTooLong.Error(),
		`{{replace big "x" (to_json many)}}`: errTooLong.Error(),
	} {
		tpl, err := Parse(strictyaml.Pos{}, text)
		if err != nil {
			t.Fatal(err)
		}
		r := newRenderer(tpl.src, map[string]any{"l": list, "big": strings.Repeat("x", 1<<20), "many": list})
		r.left = 1000
		if err := r.nodes(tpl.nodes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error of %.40s = %v, want %s", text, err, want)
		}
	}
}

func TestRenderLeavesVariablesAlone(t *testing.T) {
	t.Parallel()
	vars := templateVars()
	tpl, err := Parse(strictyaml.Pos{}, "{{#each m}}{{@key}}{{/each}}{{to_yaml mixed}}{{to_json hosts}}")
	if err != nil {
		t.Fatal(err)
	}
	first, err := tpl.Render(vars)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if again, err := tpl.Render(maps.Clone(vars)); err != nil || again != first {
			t.Fatalf("Render = %q, %v, before it was %q", again, err, first)
		}
	}
	if diff := cmp.Diff(templateVars(), vars); diff != "" {
		t.Errorf("the variables changed (-want +got):\n%s", diff)
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"{{a}}", "{{#each m as |v k|}}{{k}}{{/each}}", "{{#if (eq a 1)}}x{{else if b}}y{{/if}}", `\{{a}}`,
		"{{{{raw}}}}{{{{/raw}}}}", "{{!-- --}}", "{{~a~}}", "{{lookup m [1]}}", `{{with {"a":1}}}`, "{{@../index}}",
		"{{to_yaml mixed}}", "{{^if a}}{{/if}}", "{{default nope (quote evil)}}",
	} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		tpl, err := Parse(strictyaml.Pos{File: "f", Line: 1, Column: 1}, text)
		if err != nil {
			return
		}
		vars := templateVars()
		vars["a"] = value
		got, err := tpl.Render(vars)
		if err == nil && tpl.Literal() && got != text {
			t.Errorf("a literal rendered as %q", got)
		}
	})
}

// FuzzValue shows that no value is ever read as a template.
func FuzzValue(f *testing.F) {
	f.Add("{{a}}")
	f.Add(`\{{`)
	f.Fuzz(func(t *testing.T, value string) {
		tpl, err := Parse(strictyaml.Pos{}, "<{{a}}|{{#each l}}{{this}}{{/each}}|{{#with m}}{{k}}{{/with}}>")
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpl.Render(map[string]any{"a": value, "l": []any{value}, "m": map[string]any{"k": value}})
		if want := fmt.Sprintf("<%s|%s|%s>", value, value, value); err != nil || got != want {
			t.Errorf("Render = %q, %v, want %q", got, err, want)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	tpl, err := Parse(strictyaml.Pos{}, "{{#each hosts}}\nserver {{name}} {{#if (gt @index 0)}}backup{{/if}}\n{{/each}}\n")
	if err != nil {
		b.Fatal(err)
	}
	vars := templateVars()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Render(vars); err != nil {
			b.Fatal(err)
		}
	}
}
