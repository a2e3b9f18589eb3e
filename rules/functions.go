package rules

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
)

// function is one of the functions of the rule language. One without a body is
// the expression language's own; all others are called through __call, which
// checks and counts what they are given.
type function struct {
	Function

	params  []param
	least   int // how many of params must be given
	returns reflect.Type
	// clock puts the time of the decision before the arguments.
	clock bool
	body  func(c *call) (any, error)
}

// param is an argument of a function.
type param struct {
	kind kind
	// prepare makes of the argument's text what the function works with. If that
	// text stands in the rule it is done at load, where its faults belong.
	prepare func(string) (any, error)
	// fixed: the text must stand in the rule.
	fixed bool
}

// call is one call of a function.
type call struct {
	run  *run
	args []any
}

// ready is an argument that was prepared at load.
type ready struct{ value any }

const callFunc = "__call"

// prepareSteps is what preparing an argument costs when it is done for an event.
const prepareSteps = 50

// functionTable has every function that a rule can call, by name. It is never
// changed.
var functionTable = newFunctionTable()

func newFunctionTable() map[string]*function {
	table := map[string]*function{}
	for _, group := range functionGroups() {
		for i := range group.functions {
			f := &group.functions[i]
			table[f.Name] = f
		}
	}
	return table
}

// isBuiltin tells which of the expression language's own functions rules have.
// Left out are those that know a clock, depend on chance, or make
// much from little; some have other forms here.
func isBuiltin(name string) bool {
	f := functionTable[name]
	return f != nil && f.body == nil && name != "has"
}

// newConfig returns what expressions are checked and compiled against.
func newConfig() *conf.Config {
	options := []expr.Option{
		expr.Env(environment{}),
		expr.MaxNodes(maxNodes),
		expr.Optimize(false), // it assumes of "in" that fields have the type of the list
		expr.Function(pathFunc, follow),
		expr.Function(callFunc, invoke),
		expr.Function("__charge", charge),
		expr.Function("__read", readCharge),
		expr.Function("__scan", scanCharge),
		expr.Function("has", func(...any) (any, error) {
			return nil, errors.New("has takes a path")
		}, new(func(any) bool)),
	}
	for name, holds := range map[string]func(int) bool{
		"<":  func(c int) bool { return c < 0 },
		"<=": func(c int) bool { return c <= 0 },
		">":  func(c int) bool { return c > 0 },
		">=": func(c int) bool { return c >= 0 },
		"==": func(c int) bool { return c == 0 },
		"!=": func(c int) bool { return c != 0 },
	} {
		fn := "__version" + name
		options = append(options,
			expr.Function(fn, compareVersions(holds), new(func(a, b *semver.Version) bool)),
			expr.Operator(name, fn))
	}
	for _, f := range builtin.Builtins {
		if !isBuiltin(f.Name) {
			options = append(options, expr.DisableBuiltin(f.Name))
		}
	}
	c := conf.CreateNew()
	for _, o := range options {
		o(c)
	}
	for name := range c.Disabled {
		delete(c.Builtins, name)
	}
	for name, f := range functionTable {
		if f.body != nil {
			c.Functions[name] = &builtin.Function{Name: name, Validate: f.validate, Func: func(...any) (any, error) {
				return nil, fmt.Errorf("%s cannot be called here", name)
			}}
		}
	}
	c.Check()
	return c
}

// validate checks a call by the types of its arguments, at load.
func (f *function) validate(args []reflect.Type) (reflect.Type, error) {
	switch {
	case len(args) > len(f.params):
		return nil, fmt.Errorf("too many arguments to call %s: %s", f.Name, f.Signature)
	case len(args) < f.least:
		return nil, fmt.Errorf("not enough arguments to call %s: %s", f.Name, f.Signature)
	}
	for i, t := range args {
		if p := f.params[i]; !p.kind.hasType(t) {
			return nil, f.wrong(i, kindOfType(t))
		}
	}
	return f.returns, nil
}

// wrong says that argument i is not what the function takes.
func (f *function) wrong(i int, got string) error {
	place := ""
	if len(f.params) > 1 {
		place = " as its " + [...]string{"first", "second", "third", "fourth"}[i] + " argument"
	}
	return fmt.Errorf("%s takes %s%s, not %s", f.Name, f.params[i].kind, place, got)
}

// arguments checks those arguments of n, a call of f, that stand in the rule.
func (v *validator) arguments(n *ast.CallNode, f *function) {
	if f == nil {
		return
	}
	for i, arg := range n.Arguments {
		if i >= len(f.params) {
			return
		}
		p := f.params[i]
		if p.prepare == nil {
			continue
		}
		texts := []ast.Node{arg}
		if list, ok := arg.(*ast.ArrayNode); ok {
			texts = list.Nodes
		}
		for _, t := range texts {
			if s, ok := t.(*ast.StringNode); !ok {
				if p.fixed {
					v.refuse(t, fmt.Sprintf("the pattern of %s must stand in the rule as a string", f.Name))
				}
			} else if _, err := p.prepare(s.Value); err != nil {
				v.refuse(s, err.Error())
			}
		}
	}
	v.tryCall(n, f)
}

// tryCall calls a function whose arguments all stand in the rule.
func (v *validator) tryCall(n *ast.CallNode, f *function) {
	if f.clock || f.body == nil || len(n.Arguments) < f.least {
		return
	}
	params := []any{new(run), f}
	for i, arg := range n.Arguments {
		var value any
		switch arg := arg.(type) {
		case *ast.StringNode:
			value = arg.Value
		case *ast.IntegerNode:
			value = arg.Value
		case *ast.FloatNode:
			value = arg.Value
		default:
			return
		}
		if !f.params[i].kind.has(value) {
			return // the checker says so
		}
		params = append(params, value)
	}
	if _, err := invoke(params...); err != nil {
		v.refuse(n, err.Error())
	}
}

// callOf returns what the call n becomes: one of __call, with what stands in the
// rule already prepared.
func callOf(n *ast.CallNode) ast.Node {
	id, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return n
	}
	f := functionTable[id.Value]
	if f == nil || f.body == nil {
		return n
	}
	args := []ast.Node{&ast.IdentifierNode{Value: "__run"}, &ast.ConstantNode{Value: f}}
	if f.clock {
		args = append(args, &ast.IdentifierNode{Value: "now"})
	}
	for i, arg := range n.Arguments {
		if s, ok := arg.(*ast.StringNode); ok && f.params[i].prepare != nil {
			if v, err := f.params[i].prepare(s.Value); err == nil {
				arg = &ast.ConstantNode{Value: &ready{v}}
			}
		}
		args = append(args, arg)
	}
	c := newCall(callFunc, args...)
	if f.returns != reflect.TypeFor[any]() {
		c.SetType(f.returns)
	}
	return c
}

// invoke is the function __call(run, function, [now,] arguments...) value.
func invoke(params ...any) (any, error) {
	c := call{run: params[0].(*run)}
	f := params[1].(*function)
	given := params[2:]
	c.args = make([]any, 0, len(given))
	if f.clock {
		c.args = append(c.args, given[0])
		given = given[1:]
	}
	if err := c.run.charge(1); err != nil {
		return nil, err
	}
	for i, v := range given {
		if r, ok := v.(*ready); ok {
			c.args = append(c.args, r.value)
			continue
		}
		p := f.params[i]
		if err := c.run.charge(readCost(v)); err != nil {
			return nil, err
		}
		if !p.kind.has(v) {
			return nil, f.wrong(i, kindOf(v))
		}
		if s, ok := v.(string); ok && p.prepare != nil {
			err := c.run.charge(prepareSteps)
			if err == nil {
				v, err = p.prepare(s)
			}
			if err != nil {
				return nil, err
			}
		}
		c.args = append(c.args, v)
	}
	v, err := f.body(&c)
	if err != nil {
		return nil, err
	}
	return v, c.run.charge(makeCost(v))
}

// given tells whether there is an argument i.
func (c *call) given(i int) bool { return i < len(c.args) }

// text returns argument i, which is text.
func (c *call) text(i int) string { return c.args[i].(string) }

// list returns argument i, which is a list.
func (c *call) list(i int) []any { return listOf(c.args[i]) }

// number returns argument i, which is a whole number.
func (c *call) number(i int) int {
	n, _ := whole(c.args[i])
	return int(n)
}
