package rules

import "github.com/expr-lang/expr/ast"

// shortcut is an expression of the most common kinds, run without the machine: a path
// of the event, one that is negated, or one that is compared with a constant. It
// gives what the machine would, or nothing.
type shortcut struct {
	path     *chain
	operator string // "" for the path alone
	constant any    // a string, int or bool
}

// shortcutOf returns the shortcut of an expression as it is compiled, nil if it has
// none.
func shortcutOf(n ast.Node) *shortcut {
	s := &shortcut{}
	switch b := n.(type) {
	case *ast.UnaryNode:
		if !isNegation(b) {
			return nil
		}
		n, s.operator = b.Node, "!"
	case *ast.BinaryNode:
		switch b.Operator {
		case "==", "!=", "<", "<=", ">", ">=":
		default:
			return nil
		}
		n, s.operator = b.Left, b.Operator
		switch c := b.Right.(type) {
		case *ast.StringNode:
			s.constant = c.Value
		case *ast.IntegerNode:
			s.constant = c.Value
		case *ast.BoolNode:
			s.constant = c.Value
		default:
			return nil
		}
	}
	call, p := pathCall(n)
	if call == nil || len(p.members) == 0 {
		return nil
	}
	if id, ok := call.Arguments[2].(*ast.IdentifierNode); !ok || id.Value != "event" {
		return nil
	}
	s.path = p
	return s
}

// run returns the value for the event. ok is false if it is for the machine to say:
// what values of these kinds come to together, and all faults but that the path is
// not there.
func (s *shortcut) run(ev *evaluation) (v any, err error, ok bool) { //nolint:revive // ok is about both
	v, err = s.path.follow(ev.env.Run, ev.env.Event, s.path.members)
	if err != nil {
		_, ok = err.(*missingError) //nolint:errorlint // as it is made
		return nil, err, ok
	}
	switch v := v.(type) {
	case bool:
		if s.operator == "!" {
			return !v, nil, true
		}
		c, is := s.constant.(bool)
		switch {
		case is && s.operator == "==":
			return v == c, nil, true
		case is && s.operator == "!=":
			return v != c, nil, true
		}
	case string:
		if c, is := s.constant.(string); is {
			return compared(s.operator, v, c), nil, true
		}
	case int64:
		if c, is := s.constant.(int); is {
			return compared(s.operator, int(v), c), nil, true
		}
	}
	return v, nil, s.operator == ""
}

func compared[T int | string](operator string, a, b T) bool {
	switch operator {
	case "==":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}
