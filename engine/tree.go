package engine

import (
	"cmp"
	"errors"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	// maxNodes bounds what the aliases of one playbook expand to, in nodes of
	// parameters. What is written out is not bounded. maxDepth is how deep
	// parameters may nest.
	maxNodes = 1 << 18
	maxDepth = 100
)

// tree is a YAML tree without aliases, some scalars of which are templates.
// It is not changed once it is made.
type tree struct {
	file *strictyaml.File
	root *yaml.Node
	// texts holds the scalars to render; a template with a fault is nil.
	texts map[*yaml.Node]*template.Template
}

// raw stands for the type of parameters whose scalars are not rendered.
type raw struct{}

var (
	typeRaw  = reflect.TypeFor[raw]()
	typeExpr = reflect.TypeFor[Expr]()
	typeNode = reflect.TypeFor[yaml.Node]()
)

// tree makes the tree of n, which is going to be decoded into a t. Faults in
// templates and conditions are noted.
func (p *parser) tree(f *strictyaml.File, n *yaml.Node, t reflect.Type) *tree {
	tr := &tree{file: f, texts: make(map[*yaml.Node]*template.Template)}
	tr.root = p.grow(tr, n, t, 0)
	return tr
}

func (p *parser) grow(tr *tree, n *yaml.Node, t reflect.Type, depth int) *yaml.Node {
	at := n
	n, leave := p.enter(n)
	defer leave()
	if depth > maxDepth && !p.cut {
		p.fault(tr.file.Errorf(at, "nested more than %d levels deep", maxDepth))
		p.cut = true
	}
	if !p.spend(tr.file, at) {
		return &yaml.Node{Kind: yaml.ScalarNode, Line: at.Line, Column: at.Column}
	}
	c := *n
	c.Anchor, c.Content = "", nil
	switch n.Kind {
	case yaml.SequenceNode:
		for _, e := range n.Content {
			c.Content = append(c.Content, p.grow(tr, e, elemType(t), depth+1))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := *n.Content[i]
			c.Content = append(c.Content, &k, p.grow(tr, n.Content[i+1], memberType(t, k.Value), depth+1))
		}
	default:
		p.leaf(tr, &c, t)
	}
	return &c
}

// enter follows an alias to what it names. Until leave is called, nodes count as
// what an alias expands to.
func (p *parser) enter(n *yaml.Node) (named *yaml.Node, leave func()) {
	if n == nil || n.Kind != yaml.AliasNode {
		return n, func() {}
	}
	if p.aliases == 0 {
		p.outermost = n
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	p.aliases++
	return n, func() { p.aliases-- }
}

// spend counts a node against what aliases may expand to; ok is false once
// reading was cut short.
func (p *parser) spend(f *strictyaml.File, n *yaml.Node) (ok bool) {
	if p.aliases > 0 {
		p.left--
	}
	if p.left <= 0 && !p.cut {
		p.fault(f.Errorf(cmp.Or(p.outermost, n), "too large once its aliases are expanded"))
		p.cut = true
	}
	return !p.cut
}

// member returns the value that keys lead to in n, nil if there is none. Where an
// alias is on the way, the value is one too.
func member(n *yaml.Node, keys ...string) *yaml.Node {
	aliased := false
	for _, key := range keys {
		for n != nil && n.Kind == yaml.AliasNode {
			n, aliased = n.Alias, true
		}
		n = entry(n, key)
	}
	if n != nil && aliased {
		return &yaml.Node{Kind: yaml.AliasNode, Alias: n, Line: n.Line, Column: n.Column}
	}
	return n
}

func entry(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// leaf notes the template in the scalar n.
func (p *parser) leaf(tr *tree, n *yaml.Node, t reflect.Type) {
	switch {
	case t == typeRaw:
	case t == typeExpr:
		if n.Value != "" {
			_, err := template.ParseCondition(tr.file.TextPos(n), n.Value)
			p.fault(err)
		}
	case strings.Contains(n.Value, "{{"):
		tmpl, err := template.Parse(tr.file.TextPos(n), n.Value)
		p.fault(err)
		tr.texts[n] = tmpl
	}
}

// plain returns t without pointers; nil stands for any type.
func plain(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == typeNode {
		return nil
	}
	return t
}

func elemType(t reflect.Type) reflect.Type {
	if t = plain(t); t == nil || t == typeRaw {
		return t
	}
	if k := t.Kind(); k == reflect.Slice || k == reflect.Map {
		return plain(t.Elem())
	}
	return nil
}

func memberType(t reflect.Type, key string) reflect.Type {
	t = plain(t)
	if t == nil || t.Kind() != reflect.Struct || t == typeRaw {
		return elemType(t)
	}
	for sf := range t.Fields() {
		name, opt, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if opt == "inline" {
			if m := memberType(sf.Type, key); m != nil {
				return m
			}
		}
		if name != key {
			continue
		}
		if sf.Tag.Get("jet") == "raw" {
			return typeRaw
		}
		return plain(sf.Type)
	}
	return nil
}

// render returns the tree with its templates rendered. What a template comes to
// is text: it cannot turn into a number, a null or a list.
func (tr *tree) render(vars map[string]any) (*yaml.Node, error) {
	if len(tr.texts) == 0 {
		return tr.root, nil
	}
	var errs []error
	n := tr.renderNode(tr.root, vars, &errs)
	return n, errors.Join(errs...)
}

func (tr *tree) renderNode(n *yaml.Node, vars map[string]any, errs *[]error) *yaml.Node {
	c := *n
	if tmpl, ok := tr.texts[n]; ok {
		s, err := tmpl.Render(vars)
		if err != nil {
			*errs = append(*errs, err)
		}
		c.Value, c.Style = s, yaml.DoubleQuotedStyle
		return &c
	}
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, e := range n.Content {
		c.Content[i] = tr.renderNode(e, vars, errs)
	}
	return &c
}

// check decodes the tree into v, to find faults before anything is rendered.
// Values that are still to be rendered are not judged.
func (tr *tree) check(v any) []error {
	open := make(map[strictyaml.Pos]bool, len(tr.texts))
	for n := range tr.texts {
		open[tr.file.Pos(n)] = true
	}
	var faults []error
	for _, err := range flatten(tr.file.Decode(tr.root, v)) {
		if e, ok := errors.AsType[*strictyaml.Error](err); !ok || !open[e.Pos] {
			faults = append(faults, err)
		}
	}
	return faults
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
