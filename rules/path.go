package rules

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// rewriter puts a call of __path in the place of every member access, so that
// a field that is not there is noticed where it is used, and a charge around
// whatever can multiply work. It runs over a checked tree.
//
// It makes new nodes and never changes those it found: the parser lets two
// places share one node.
type rewriter struct {
	// bases holds, for the first member of every chain, the source text of what
	// it is a member of.
	bases map[ast.Node]string
}

func rewrite(tree *ast.Node) {
	r := &rewriter{bases: map[ast.Node]string{}}
	ast.Walk(tree, baseNamer(r.bases))
	ast.Walk(tree, r)
	ast.Walk(tree, fixer{})
}

// fixer moves the members that stand in the rule from the arguments of __path into
// its chain: what is not an argument need not be handed over each time.
type fixer struct{}

// Visit implements [ast.Visitor].
func (fixer) Visit(node *ast.Node) {
	call, p := pathCall(*node)
	if call == nil {
		return
	}
	var members []any
	for _, n := range call.Arguments[3:] {
		switch n := n.(type) {
		case *ast.StringNode:
			members = append(members, n.Value)
		case *ast.IntegerNode:
			members = append(members, n.Value)
		default:
			return
		}
	}
	fixed := *p
	fixed.members = members
	c := newPathCall(&fixed, call.Arguments[2])
	c.SetType(call.Type())
	ast.Patch(node, c)
}

type baseNamer map[ast.Node]string

// Visit implements [ast.Visitor].
func (b baseNamer) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.MemberNode)
	if !ok || isPath(n.Node) {
		return
	}
	if _, ok := n.Node.(*ast.PointerNode); !ok {
		b[n] = strings.ReplaceAll(n.Node.String(), matchesName, "matches")
	}
}

// chain describes members below some value, such as .data.release.
type chain struct {
	base     string // source text of that value
	optional []bool // for every member, whether ?. stands before it
	// tolerant: nil in the place of what is missing (left of ??).
	tolerant bool
	// test: only tell whether it is there (inside has).
	test bool
	// members are those of the path, if all of them stand in the rule.
	members []any
}

const pathFunc = "__path"

// pathCall returns the chain that a call of __path is for, nil if n is none.
// Its arguments are: __run, the chain, the base, the members.
func pathCall(n ast.Node) (*ast.CallNode, *chain) {
	call, ok := n.(*ast.CallNode)
	if !ok {
		return nil, nil
	}
	if id, ok := call.Callee.(*ast.IdentifierNode); !ok || id.Value != pathFunc {
		return nil, nil
	}
	return call, call.Arguments[1].(*ast.ConstantNode).Value.(*chain)
}

func newCall(name string, args ...ast.Node) *ast.CallNode {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

func newPathCall(p *chain, args ...ast.Node) *ast.CallNode {
	all := []ast.Node{&ast.IdentifierNode{Value: "__run"}, &ast.ConstantNode{Value: p}}
	return newCall(pathFunc, append(all, args...)...)
}

// Visit implements [ast.Visitor]; children come before their parents.
func (r *rewriter) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.MemberNode:
		ast.Patch(node, r.member(n))
	case *ast.ChainNode:
		if call, _ := pathCall(n.Node); call != nil {
			*node = call
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "??":
			n.Left = tolerate(n.Left)
		case "+":
			charged(node)
		default:
			*node = counted(n)
		}
	case *ast.BuiltinNode:
		for i, arg := range n.Arguments {
			n.Arguments[i] = countedElement(arg)
		}
	case *ast.PredicateNode:
		charged(&n.Node)
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok && id.Value == "has" {
			if call, p := pathCall(n.Arguments[0]); call != nil {
				test := *p
				test.test = true
				c := newPathCall(&test, call.Arguments[2:]...)
				c.SetType(reflect.TypeFor[bool]())
				ast.Patch(node, c)
			}
			return
		}
		ast.Patch(node, callOf(n))
	}
}

// member returns the call that stands for n, whose base may be one already.
func (r *rewriter) member(n *ast.MemberNode) *ast.CallNode {
	p := chain{base: r.bases[n]}
	args := []ast.Node{n.Node}
	typ := n.Type()
	if call, inner := pathCall(n.Node); call != nil {
		p.base = inner.base
		p.optional = append(p.optional, inner.optional...)
		args = append([]ast.Node(nil), call.Arguments[2:]...)
	}
	p.optional = append(p.optional, n.Optional)
	c := newPathCall(&p, append(args, n.Property)...)
	for _, o := range p.optional {
		if o {
			return c // may be nil, whatever its type says
		}
	}
	c.SetType(typ)
	return c
}

// tolerate makes the paths that ?? falls back from give nil when missing.
func tolerate(n ast.Node) ast.Node {
	if b, ok := n.(*ast.BinaryNode); ok && b.Operator == "??" {
		b.Right = tolerate(b.Right)
		return b
	}
	call, p := pathCall(n)
	if call == nil || p.test {
		return n
	}
	t := *p
	t.tolerant = true
	c := newPathCall(&t, call.Arguments[2:]...)
	c.SetLocation(n.Location())
	return c
}

// charged wraps a node in a call that counts its work and keeps its type.
func charged(node *ast.Node) {
	c := newCall("__charge", &ast.IdentifierNode{Value: "__run"}, *node)
	if t := (*node).Type(); t != reflect.TypeFor[any]() {
		c.SetType(t)
	}
	ast.Patch(node, c)
}

// charge is the function __charge(run, value) value.
func charge(params ...any) (any, error) {
	r, steps := params[0].(*run), 1
	switch v := params[1].(type) {
	case string:
		steps += len(v) / stepBytes
	case []any:
		steps += len(v) / stepBytes
	}
	return params[1], r.charge(steps)
}

// follow is the function __path(run, chain, base, members...) value.
func follow(params ...any) (any, error) {
	p, members := params[1].(*chain), params[3:]
	if len(members) == 0 {
		members = p.members
	}
	return p.follow(params[0].(*run), params[2], members)
}

func (p *chain) follow(r *run, v any, members []any) (any, error) {
	from := 0
	if e, ok := v.(*view); ok && e != nil && len(members) > 1 && members[0] == "data" {
		v, from = e.below(members)
	}
	for i := from; i < len(members); i++ {
		next, ok, err := step(v, members[i])
		if err != nil {
			return nil, err
		}
		if ok {
			v = next
			continue
		}
		if r.record {
			r.saw(Value{Path: p.text(members[:i+1]), Missing: true})
		}
		switch {
		case p.test:
			return false, nil
		case p.tolerant, p.optional[i], i+1 < len(members) && p.optional[i+1]:
			return nil, nil
		default:
			return nil, &missingError{path: p.text(members[:i+1])}
		}
	}
	if r.record {
		r.saw(Value{Path: p.text(members), Value: v})
	}
	if p.test {
		return true, nil
	}
	return v, r.charge(readCost(v))
}

// text spells the path to the last of members.
func (p *chain) text(members []any) string {
	var b strings.Builder
	b.WriteString(p.base)
	for _, m := range members {
		s, ok := m.(string)
		switch {
		case ok && isWord(s):
			b.WriteString("." + s)
		case ok:
			b.WriteString("[" + strconv.Quote(s) + "]")
		default:
			fmt.Fprintf(&b, "[%v]", m)
		}
	}
	return b.String()
}

func isWord(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// step returns the member m of v and whether there is one.
func step(v, m any) (any, bool, error) {
	switch v := v.(type) {
	case *view:
		name, ok := m.(string)
		if v == nil || !ok {
			return nil, false, nil
		}
		return v.attribute(name)
	case map[string]*view:
		name, _ := m.(string)
		x := v[name]
		return x, x != nil, nil
	case *span:
		name, _ := m.(string)
		return v.member(name)
	case map[string]any:
		s, ok := m.(string)
		if !ok {
			return nil, false, nil
		}
		x, ok := v[s]
		return x, ok, nil
	case nil:
		return nil, false, nil
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Map:
		key := reflect.ValueOf(m)
		if !key.IsValid() || !key.Type().AssignableTo(rv.Type().Key()) {
			return nil, false, nil
		}
		x := rv.MapIndex(key)
		if !x.IsValid() {
			return nil, false, nil
		}
		return x.Interface(), true, nil
	case reflect.Slice:
		i, ok := position(m)
		if !ok {
			return nil, false, nil
		}
		if i < 0 {
			i += int64(rv.Len()) // counts from the end
		}
		if i < 0 || i >= int64(rv.Len()) {
			return nil, false, nil
		}
		return rv.Index(int(i)).Interface(), true, nil
	default:
		return nil, false, nil
	}
}

func position(m any) (int64, bool) {
	switch m := m.(type) {
	case int:
		return int64(m), true
	case int64:
		return m, true
	default:
		return 0, false
	}
}
