package template

import (
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct {
	src   *source
	nodes []node
}

// Parse parses text, which starts at pos. Errors are [*strictyaml.Error]s whose
// places are counted from pos; a pos without a column gives places without one.
func Parse(pos strictyaml.Pos, text string) (*Template, error) {
	src := &source{pos: pos, text: text}
	if !strings.Contains(text, "{{") {
		return &Template{src: src, nodes: []node{textNode(text)}}, nil
	}
	p := &parser{src: src}
	nodes, err := p.template()
	if err != nil {
		return nil, err
	}
	return &Template{src: src, nodes: nodes}, nil
}

// Literal reports whether the text holds no template at all, so that rendering
// returns it unchanged whatever the variables are.
func (t *Template) Literal() bool { return !strings.Contains(t.src.text, "{{") }

// Render returns the text with vars filled in. It does not change vars. Errors
// are [*strictyaml.Error]s; they name variables, never their values.
func (t *Template) Render(vars map[string]any) (string, error) {
	if t.Literal() {
		return t.src.text, nil
	}
	r := newRenderer(t.src, vars)
	if err := r.nodes(t.nodes); err != nil {
		return "", err
	}
	return r.out.String(), nil
}
