package rules

import (
	"reflect"

	"github.com/expr-lang/expr/ast"
)

const (
	// readItems and scanBytes are list elements read, and bytes a regular
	// expression goes over, that count as one step.
	readItems = 16
	scanBytes = 64
)

// readCost returns the steps that reading v takes.
func readCost(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) / readBytes
	case []any:
		return len(v) / readItems
	case []string:
		return len(v) / readItems
	case map[string]any:
		return len(v) / readItems
	default:
		return 0
	}
}

// makeCost returns the steps that making v takes.
func makeCost(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) / stepBytes
	case []any:
		return len(v) / readItems
	default:
		return 0
	}
}

// readCharge is the function __read(run, value) value.
func readCharge(params ...any) (any, error) {
	return params[1], params[0].(*run).charge(readCost(params[1]))
}

// scanCharge is the function __scan(run, value) value, for what a regular
// expression is matched with.
func scanCharge(params ...any) (any, error) {
	s, _ := params[1].(string)
	return params[1], params[0].(*run).charge(len(s) / scanBytes)
}

// counted returns n with its operands counted as far as nothing else counts them:
// the elements that predicates go through are read by no path.
func counted(n *ast.BinaryNode) *ast.BinaryNode {
	c := *n
	c.Left, c.Right = countedElement(n.Left), countedElement(n.Right)
	if n.Operator == "matches" {
		c.Left = wrapped("__scan", n.Left)
	}
	return &c
}

func countedElement(n ast.Node) ast.Node {
	if _, ok := n.(*ast.PointerNode); ok {
		return wrapped("__read", n)
	}
	return n
}

// wrapped returns a call of name that keeps the type of n.
func wrapped(name string, n ast.Node) ast.Node {
	c := newCall(name, &ast.IdentifierNode{Value: "__run"}, n)
	c.SetLocation(n.Location())
	if t := n.Type(); t != reflect.TypeFor[any]() {
		c.SetType(t)
	}
	return c
}

// weigh counts what is inside v, at every place where it stands, and refuses what
// would not fit text of maxText bytes.
func (c *call) weigh(v any) error {
	size, err := c.size(v)
	if err == nil && size > maxText {
		err = errTooLong
	}
	return err
}

// size returns about how many bytes v is as text. It goes through all of it even
// when that is too much, so that no order of keys shows in the result.
func (c *call) size(v any) (int, error) {
	if err := c.run.charge(1); err != nil {
		return 0, err
	}
	sum := 1
	switch v := v.(type) {
	case string:
		sum += len(v)
	case map[string]any:
		for k, x := range v {
			n, err := c.size(x)
			if err != nil {
				return 0, err
			}
			sum += len(k) + n
		}
	default:
		if !isList(v) {
			break
		}
		for _, x := range listOf(v) {
			n, err := c.size(x)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
