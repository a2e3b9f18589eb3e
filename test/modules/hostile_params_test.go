package modules

import (
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Steps of a parameter's path besides names: an element of a list, a value and a
// key of a mapping.
const (
	element  = "[]"
	mapValue = "{}"
	mapKey   = "{key}"
)

// param is a parameter of a module that takes text, or something written as text.
type param struct {
	path []string
	kind reflect.Type
}

func (p param) String() string { return strings.Join(p.path, ".") }

// params lists a module's parameters that take text, members of their members
// included.
func params(m engine.Module) []param {
	var out []param
	walk(reflect.TypeOf(m).Elem(), nil, &out)
	return out
}

func walk(t reflect.Type, path []string, out *[]param) {
	at := func(steps ...string) []string { return append(append([]string{}, path...), steps...) }
	switch {
	case len(path) > 0 && reflect.PointerTo(t).Implements(reflect.TypeFor[strictyaml.Unmarshaler]()),
		t.Kind() == reflect.String, t.Kind() == reflect.Interface, t == reflect.TypeFor[time.Duration](),
		t == reflect.TypeFor[yaml.Node]():
		*out = append(*out, param{path: path, kind: t})
	case t.Kind() == reflect.Pointer:
		walk(t.Elem(), path, out)
	case t.Kind() == reflect.Slice:
		walk(t.Elem(), at(element), out)
	case t.Kind() == reflect.Map:
		*out = append(*out, param{path: at(mapKey), kind: t.Key()})
		walk(t.Elem(), at(mapValue), out)
	case t.Kind() == reflect.Struct:
		for f := range t.Fields() {
			name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case opt == "inline":
				walk(f.Type, path, out)
			case name != "" && name != "-":
				walk(f.Type, at(name), out)
			}
		}
	}
}

// early tells whether the parameter is decided when the playbook is read: its text
// is not rendered.
func (p param) early() bool {
	return p.kind == reflect.TypeFor[engine.Expr]() || p.path[len(p.path)-1] == mapKey
}

// isPath tells whether the parameter is an absolute path on the host.
func (p param) isPath() bool { return strings.HasSuffix(p.kind.Name(), "Path") }

// in tells whether a task gives the parameter.
func (p param) in(task *yaml.Node) bool {
	n := task
	for _, step := range p.path {
		if step == element || step == mapValue || step == mapKey {
			return true
		}
		if n = value(n, step); n == nil {
			return false
		}
	}
	return true
}

// value returns what a mapping has under a key, nil if nothing.
func value(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: text}
}

// with returns a node like n with text at a path below it.
func with(n *yaml.Node, path []string, text string) *yaml.Node {
	if len(path) == 0 {
		return scalar(text)
	}
	var below *yaml.Node
	switch path[0] {
	case element:
		if n != nil && len(n.Content) > 0 {
			below = n.Content[0]
		}
		return &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{with(below, path[1:], text)}}
	case mapKey, mapValue:
		key, val := scalar("key"), scalar("value")
		if n != nil && len(n.Content) > 1 {
			key, val = n.Content[0], n.Content[1]
		}
		if path[0] == mapKey {
			key = scalar(text)
		} else {
			val = with(val, path[1:], text)
		}
		return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, val}}
	}
	out := &yaml.Node{Kind: yaml.MappingNode}
	if n != nil && n.Kind == yaml.MappingNode {
		out.Tag, out.Style = n.Tag, n.Style
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == path[0] {
				below = n.Content[i+1]
				continue // the order does not matter
			}
			out.Content = append(out.Content, n.Content[i], n.Content[i+1])
		}
	}
	out.Content = append(out.Content, scalar(path[0]), with(below, path[1:], text))
	return out
}
