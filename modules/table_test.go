package modules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
)

func TestTableIsSorted(t *testing.T) {
	t.Parallel()
	byName := func(a, b engine.Spec) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(Table(), byName) {
		t.Error("Table is not sorted by name")
	}
	if _, err := engine.NewRegistry(Table()...); err != nil {
		t.Error(err)
	}
}

// TestParametersAreDocumented makes sure that the generated reference has a
// sentence for every parameter.
func TestParametersAreDocumented(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if ok && field.Tag != nil && strings.Contains(field.Tag.Value, "yaml:") {
				seen++
				if doc := field.Doc.Text(); !strings.HasPrefix(doc, field.Names[0].Name+" ") {
					t.Errorf("%s: %s needs a comment that begins with its name, not %q", name, field.Names[0].Name, doc)
				}
			}
			return true
		})
	}
	if seen < 30 {
		t.Errorf("found %d parameters only", seen)
	}
}
