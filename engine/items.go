package engine

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// items is what a task loops over. Exactly one of list, name and tmpl is set.
type items struct {
	pos strictyaml.Pos
	// list is an inline list; its texts are rendered.
	list *tree
	// name is a list variable, or a dotted path to one. Its elements are data:
	// they are not rendered.
	name string
	// tmpl comes to the name of a list variable or to a list in YAML or JSON.
	tmpl *template.Template
}

// barePath matches a template that is nothing but a path: {{ a.b }}.
var barePath = lazyregexp.New(`^\{\{\s*([^\s{}()#/>&!~"'.\[\]@]+(?:\.[^\s{}()#/>&!~"'.\[\]@]+)*)\s*\}\}$`)

// items reads the value of with.items; n is nil or null if there is none.
func (p *parser) items(f *strictyaml.File, n *yaml.Node) *items {
	n, leave := p.enter(n)
	defer leave()
	it := &items{pos: f.Pos(n)}
	switch {
	case n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return nil
	case n.Kind == yaml.SequenceNode:
		it.list = p.tree(f, n, nil)
	case n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "":
		p.fault(f.Errorf(n, "items must be a list, or the name of a list variable"))
	case strings.Contains(n.Value, "{{"):
		text := strings.TrimSpace(n.Value)
		tmpl, err := template.Parse(f.TextPos(n), n.Value)
		p.fault(err)
		if m := barePath().FindStringSubmatch(text); m != nil {
			it.name = m[1]
		} else {
			it.tmpl = tmpl
		}
	default:
		it.name = strings.TrimSpace(n.Value)
	}
	return it
}

// resolve returns the values to loop over.
func (it *items) resolve(vars map[string]any) ([]any, error) {
	if it.list != nil {
		n, err := it.list.render(vars)
		if err != nil {
			return nil, err
		}
		v, err := it.list.file.Value(n)
		if err != nil {
			return nil, err
		}
		list, _ := v.([]any)
		return list, nil
	}
	name := it.name
	if it.tmpl != nil {
		s, err := it.tmpl.Render(vars)
		if err != nil {
			return nil, err
		}
		if name = strings.TrimSpace(s); strings.HasPrefix(name, "[") {
			return it.parse(name)
		}
	}
	v, ok := lookup(vars, name)
	if !ok {
		return nil, it.pos.Errorf("items: there is no variable %q", name)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, it.pos.Errorf("items: %q is not a list", name)
	}
	return list, nil
}

// parse reads a rendered list.
func (it *items) parse(text string) ([]any, error) {
	f, err := strictyaml.Parse("items", []byte(text))
	if err != nil {
		return nil, it.pos.Errorf("items: %w", err)
	}
	v, err := f.Value(f.Root)
	if err != nil {
		return nil, it.pos.Errorf("items: %w", err)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, it.pos.Errorf("items must come to a list")
	}
	return list, nil
}

// lookup finds a variable by name or by dotted path; numbers index lists. A
// variable whose name holds the dots wins.
func lookup(vars map[string]any, path string) (any, bool) {
	if v, ok := vars[path]; ok {
		return v, true
	}
	var at any = vars
	for key := range strings.SplitSeq(path, ".") {
		switch t := at.(type) {
		case map[string]any:
			v, ok := t[key]
			if !ok {
				return nil, false
			}
			at = v
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(t) {
				return nil, false
			}
			at = t[i]
		default:
			return nil, false
		}
	}
	return at, true
}
