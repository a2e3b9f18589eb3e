package rules

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// validator refuses what parses but is not part of the rule language, so that
// the rest of the package need not think of it.
type validator struct {
	scope *scope
	// values are the nodes that stand for a whole event, or for all those of a
	// window; within are the nodes that a member follows.
	values  []ast.Node
	members []*ast.MemberNode
	names   []*ast.IdentifierNode
	within  map[ast.Node]bool
	err     *exprError
}

func (v *validator) result() error {
	for _, n := range v.values {
		if !v.within[n] {
			v.refuse(n, "event is not a value; name one of its attributes: "+attributes)
		}
	}
	if v.err != nil {
		return v.err
	}
	v.note()
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
		v.name(n)
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

// name checks a name by itself.
func (v *validator) name(n *ast.IdentifierNode) {
	name := n.Value
	if name == matchesName {
		name = "matches"
	}
	switch {
	case n.Value == "$env" || n.Value != matchesName && strings.HasPrefix(n.Value, "__"):
		v.refuse(n, fmt.Sprintf("unknown name %s", n.Value))
		return
	case isName(name) && !v.scope.has(name):
		v.refuse(n, fmt.Sprintf("%s is not there %s; there is %s", name, v.scope.place, v.scope.list()))
		return
	case name == "event":
		v.values = append(v.values, n)
	case name == "events":
		v.values = append(v.values, n)
	}
	v.names = append(v.names, n)
}

func (v *validator) member(n *ast.MemberNode) {
	if n.Method {
		v.refuse(n, "values have no methods")
	}
	v.members = append(v.members, n)
	base := unchained(n.Node)
	v.within[base] = true
	name, fixed := n.Property.(*ast.StringNode)
	if isEvent(base) {
		switch {
		case !fixed:
			v.refuse(n, "name the attribute of event: "+attributes)
		case !isAttribute(name.Value):
			v.refuse(n, fmt.Sprintf("event has no attribute %s; it has %s (extensions are event.ext.<name>)",
				name.Value, attributes))
		}
		return
	}
	id, ok := base.(*ast.IdentifierNode)
	if !ok {
		return
	}
	switch id.Value {
	case "events":
		switch {
		case !fixed:
			v.refuse(n, "name the clause after events: "+strings.Join(v.scope.clauses, ", "))
		case !slices.Contains(v.scope.clauses, name.Value):
			v.refuse(n, fmt.Sprintf("events has no %s; it has %s", name.Value, strings.Join(v.scope.clauses, ", ")))
		}
		v.values = append(v.values, n)
	case matchesName:
		v.values = append(v.values, n)
	case "vars":
		if _, known := v.scope.vars[stringOf(name)]; fixed && !known {
			v.refuse(n, fmt.Sprintf("the file has no vars.%s%s", name.Value,
				strictyaml.Suggest(name.Value, slices.Sorted(maps.Keys(v.scope.vars)))))
		}
	}
}

func stringOf(n *ast.StringNode) string {
	if n == nil {
		return ""
	}
	return n.Value
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
	if isName(id.Value) {
		v.refuse(n, fmt.Sprintf("%s is a value, not a function; write %s without brackets", id.Value, id.Value))
		return
	}
	if id.Value == "has" {
		if len(n.Arguments) != 1 || !isPath(n.Arguments[0]) {
			v.refuse(n, "has takes one path, such as has(event.data.x)")
			return
		}
		v.within[unchained(n.Arguments[0])] = true // an event may be asked for
		v.asked(n.Arguments[0])
		return
	}
	v.arguments(n, functionTable[id.Value])
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
