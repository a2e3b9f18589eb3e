// Package template renders the text templates of playbooks, a strict dialect of
// Handlebars, and evaluates the conditions of tasks.
//
// A template is parsed once and rendered often:
//
//	t, err := template.Parse(pos, "listen {{host}}:{{port}}{{#if tls}} ssl{{/if}};")
//	text, err := t.Render(map[string]any{"host": "::1", "port": int64(443), "tls": true})
//
// Strict means that a variable that does not exist is an error, except where a
// template asks whether it does: in #if, #unless, isdefined, default, and in
// #each and #with that have an else part. Nothing is escaped, since the output is
// configuration rather than HTML, and output is never read as a template again:
// braces in a value are text. Every error names the place in the file.
//
// Values are nil, bool, int64, uint64, float64, string, []any and
// map[string]any; Go's other integers are taken too. Mappings are walked in the
// order of their keys, so that the same variables always give the same text.
//
// The package knows nothing of playbooks, hosts or where variables come from.
package template
