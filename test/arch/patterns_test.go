package arch

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"testing"
)

// Patterns are compiled when they are first used, which may be in nobody's test.
func TestPatterns(t *testing.T) {
	t.Parallel()
	found := 0
	for _, p := range tree(t) {
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatalf("%s: %v", p.path(), err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || types.ExprString(call.Fun) != "lazyregexp.New" {
					return true
				}
				found++
				// Literals, or sums of them.
				value, err := types.Eval(fset, nil, token.NoPos, types.ExprString(call.Args[0]))
				if err != nil || value.Value == nil {
					t.Errorf("%s: the pattern is no literal: %v", fset.Position(call.Pos()), err)
					return true
				}
				if _, err := regexp.Compile(constant.StringVal(value.Value)); err != nil {
					t.Errorf("%s: %v", fset.Position(call.Pos()), err)
				}
				return true
			})
		}
	}
	if found < 50 {
		t.Errorf("only %d patterns were found", found)
	}
}
