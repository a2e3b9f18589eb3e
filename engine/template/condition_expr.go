package template

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	exprlang "github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	exprparser "github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

const (
	// funcVar reads a variable that must exist; funcMaybe one that need not.
	// An author may not write either name.
	funcVar   = "$var"
	funcMaybe = "$maybe"
	// envName is expr's name for all variables.
	envName = "$env"
)

// compile compiles an expression of expr-lang.
func compile(src *source) (*vm.Program, error) {
	tree, err := exprparser.Parse(src.text)
	if err != nil {
		return nil, compileError(src, err)
	}
	p := &strictNames{locals: map[string]bool{}}
	ast.Walk(&tree.Node, localNames(p.locals))
	if n := ast.Find(tree.Node, reserved); n != nil {
		return nil, src.errorf(runeOffset(src.text, n.Location().From), "names that start with $ are reserved")
	}
	program, err := exprlang.Compile(src.text,
		exprlang.Patch(p),
		exprlang.Function(funcVar, variable),
		exprlang.Function(funcMaybe, maybe),
		// Two runs with the same variables must agree: no clock, no map order.
		exprlang.DisableBuiltin("now"),
		exprlang.DisableBuiltin("keys"), exprlang.Function("keys", sortedKeys),
		exprlang.DisableBuiltin("values"), exprlang.Function("values", sortedValues),
		exprlang.DisableBuiltin("toPairs"), exprlang.Function("toPairs", sortedPairs),
	)
	if err != nil {
		return nil, compileError(src, err)
	}
	if p.err != nil {
		return nil, src.errorf(runeOffset(src.text, p.errAt), "%w", p.err)
	}
	switch t := program.Node().Type().Kind(); t {
	case reflect.Bool, reflect.Interface:
		return program, nil
	default:
		return nil, src.errorf(0, "it does not yield true or false")
	}
}

// reserved reports whether n is a name that is not the author's to use.
func reserved(n ast.Node) bool {
	id, ok := n.(*ast.IdentifierNode)
	return ok && strings.HasPrefix(id.Value, "$") && id.Value != envName
}

// run evaluates the compiled expression. Each run has a machine of its own, as
// one machine serves one goroutine.
func (c *Condition) run(vars map[string]any) (bool, error) {
	if vars == nil {
		vars = map[string]any{}
	}
	v, err := exprlang.Run(c.program, vars)
	if err != nil {
		return false, compileError(c.src, err)
	}
	b, ok := v.(bool)
	if !ok {
		return false, c.src.errorf(0, "the condition yields %s, not true or false", kind(v))
	}
	return b, nil
}

// compileError places an error of expr in the file and drops its picture of the
// source, which does not fit on a line.
func compileError(src *source, err error) error {
	e, ok := errors.AsType[*file.Error](err)
	if !ok {
		return src.wrap(0, err)
	}
	off := runeOffset(src.text, e.From)
	if u, ok := errors.AsType[*undefinedError](err); ok {
		return src.wrap(off, u)
	}
	return src.errorf(off, "%s", strings.TrimSpace(e.Message))
}

// runeOffset turns a count of runes, as expr has it, into one of bytes.
func runeOffset(s string, runes int) int {
	for i := range s {
		if runes--; runes < 0 {
			return i
		}
	}
	return len(s)
}

// localNames collects the names that an expression declares with let.
type localNames map[string]bool

func (l localNames) Visit(n *ast.Node) {
	if d, ok := (*n).(*ast.VariableDeclaratorNode); ok {
		l[d.Name] = true
	}
}

// strictNames rewrites each variable to a call that fails if it does not exist;
// expr itself reads nil from it.
type strictNames struct {
	locals map[string]bool
	err    error
	errAt  int
}

func (s *strictNames) Visit(n *ast.Node) {
	switch t := (*n).(type) {
	case *ast.IdentifierNode:
		if !s.locals[t.Value] && !strings.HasPrefix(t.Value, "$") {
			ast.Patch(n, readVariable(t.Value))
		}
	case *ast.BinaryNode:
		if t.Operator == "??" {
			allowMissing(t.Left)
		}
	case *ast.CallNode:
		s.call(n, t)
	}
}

func readVariable(name string) *ast.CallNode {
	return &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: funcVar},
		Arguments: []ast.Node{&ast.IdentifierNode{Value: envName}, &ast.StringNode{Value: name}},
	}
}

// variableRead returns the name that n, rewritten already, reads.
func variableRead(n ast.Node) (*ast.CallNode, string, bool) {
	c, ok := n.(*ast.CallNode)
	if !ok || len(c.Arguments) != 2 {
		return nil, "", false
	}
	callee, ok := c.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != funcVar {
		return nil, "", false
	}
	return c, c.Arguments[1].(*ast.StringNode).Value, true
}

// allowMissing lets the variable at the root of a member chain be missing.
func allowMissing(n ast.Node) {
	for {
		switch t := n.(type) {
		case *ast.ChainNode:
			n = t.Node
		case *ast.MemberNode:
			n = t.Node
		default:
			if c, _, ok := variableRead(n); ok {
				c.Callee = &ast.IdentifierNode{Value: funcMaybe}
			}
			return
		}
	}
}

// call resolves isdefined(name) and refuses functions that do not exist. Its
// callee was rewritten as a variable before.
func (s *strictNames) call(n *ast.Node, c *ast.CallNode) {
	_, name, ok := variableRead(c.Callee)
	switch {
	case !ok:
		return
	case slices.Contains([]string{"keys", "values", "toPairs"}, name):
		c.Callee = &ast.IdentifierNode{Value: name}
	case name == "isdefined" && len(c.Arguments) == 1:
		if _, arg, ok := variableRead(c.Arguments[0]); ok {
			ast.Patch(n, &ast.BinaryNode{
				Operator: "in", Left: &ast.StringNode{Value: arg}, Right: &ast.IdentifierNode{Value: envName},
			})
			return
		}
		s.fail(c, errors.New("isdefined takes the name of a variable"))
	default:
		s.fail(c, fmt.Errorf("unknown function %q", name))
	}
}

func (s *strictNames) fail(n ast.Node, err error) {
	if s.err == nil {
		s.err, s.errAt = err, n.Location().From
	}
}

func variable(args ...any) (any, error) {
	name := args[1].(string)
	v, ok := args[0].(map[string]any)[name]
	if !ok {
		return nil, &undefinedError{name: name}
	}
	return v, nil
}

func maybe(args ...any) (any, error) { return args[0].(map[string]any)[args[1].(string)], nil }

// mapping returns the one argument of a function of a mapping, and its keys.
func mapping(args []any) (map[string]any, []string, error) {
	if len(args) != 1 {
		return nil, nil, fmt.Errorf("takes 1 argument, not %d", len(args))
	}
	m, ok := args[0].(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("the argument must be a mapping, not %s", kind(args[0]))
	}
	return m, slices.Sorted(maps.Keys(m)), nil
}

func sortedKeys(args ...any) (any, error) {
	_, keys, err := mapping(args)
	list := make([]any, len(keys))
	for i, k := range keys {
		list[i] = k
	}
	return list, err
}

func sortedValues(args ...any) (any, error) {
	m, keys, err := mapping(args)
	list := make([]any, len(keys))
	for i, k := range keys {
		list[i] = m[k]
	}
	return list, err
}

func sortedPairs(args ...any) (any, error) {
	m, keys, err := mapping(args)
	list := make([]any, len(keys))
	for i, k := range keys {
		list[i] = []any{k, m[k]}
	}
	return list, err
}
