package rules

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// isBuiltin tells which of the expression language's own functions rules have.
// Left out are those that know a clock, depend on chance, or make
// much from little; in functions.go, some have other forms here.
func isBuiltin(name string) bool {
	switch name {
	case "all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast",
		"findLastIndex", "count", "sum", "len", "abs", "ceil", "floor", "round", "int", "float",
		"trim", "trimPrefix", "trimSuffix", "upper", "lower", "split", "indexOf", "lastIndexOf",
		"hasPrefix", "hasSuffix", "max", "min", "first", "last", "take",
		"reverse", "sort", "duration":
		return true
	default:
		return false
	}
}

// validator refuses what parses but is not part of the rule language, so that
// the rest of the package need not think of it.
type validator struct {
	paths map[ast.Node]bool // nodes `event` that an attribute follows
	roots []ast.Node        // all nodes `event`
	err   *exprError
}

func (v *validator) result() error {
	for _, n := range v.roots {
		if !v.paths[n] {
			v.refuse(n, "event is not a value; name one of its attributes: "+attributes)
		}
	}
	if v.err != nil {
		return v.err
	}
	return nil
}

func (v *validator) refuse(n ast.Node, msg string) {
	if v.err == nil {
		v.err = &exprError{at: n.Location().From, msg: msg}
	}
}

// Visit implements [ast.Visitor].
func (v *validator) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch {
		case n.Value == "event":
			v.roots = append(v.roots, n)
		case n.Value == "$env" || strings.HasPrefix(n.Value, "__"):
			v.refuse(n, fmt.Sprintf("unknown name %s", n.Value))
		}
	case *ast.MemberNode:
		v.member(n)
	case *ast.BuiltinNode:
		if !isBuiltin(n.Name) {
			v.refuse(n, fmt.Sprintf("unknown function %s", n.Name))
		}
	case *ast.CallNode:
		v.call(n)
	case *ast.BinaryNode:
		if _, ok := n.Right.(*ast.StringNode); n.Operator == "matches" && !ok {
			v.refuse(n.Right, "the pattern after matches must stand in the rule as a string")
		}
	case *ast.SequenceNode:
		v.refuse(n, `";" is not part of the rule language`)
	case *ast.VariableDeclaratorNode:
		v.refuse(n, "let is not part of the rule language")
	}
}

func (v *validator) member(n *ast.MemberNode) {
	if n.Method {
		v.refuse(n, "values have no methods")
	}
	id, ok := n.Node.(*ast.IdentifierNode)
	if !ok || id.Value != "event" {
		return
	}
	v.paths[id] = true
	name, ok := n.Property.(*ast.StringNode)
	if !ok {
		v.refuse(n, "name the attribute of event: "+attributes)
		return
	}
	if !isAttribute(name.Value) {
		v.refuse(n, fmt.Sprintf("event has no attribute %s; it has %s (extensions are event.ext.<name>)",
			name.Value, attributes))
	}
}

func isAttribute(name string) bool {
	t := reflect.TypeFor[view]()
	for field := range t.Fields() {
		if field.Tag.Get("expr") == name {
			return true
		}
	}
	return false
}

// call checks calls whose arguments are known at load.
func (v *validator) call(n *ast.CallNode) {
	id, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	if id.Value == "has" {
		if len(n.Arguments) != 1 || !isPath(n.Arguments[0]) {
			v.refuse(n, "has takes one path, such as has(event.data.x)")
		}
		return
	}
	if len(n.Arguments) == 0 {
		return
	}
	s, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return
	}
	var err error
	switch id.Value {
	case "semver":
		_, err = parseVersion(s.Value)
	case "glob":
		_, err = matchGlob(s.Value, "")
	case "cidr":
		_, err = parseNet(s.Value)
	}
	if err != nil {
		v.refuse(s, err.Error())
	}
}

func isPath(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.MemberNode:
		return true
	case *ast.ChainNode:
		return isPath(n.Node)
	default:
		return false
	}
}
