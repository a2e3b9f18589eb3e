package arch

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Every package says once what it is for, in one file. A package of nothing but tests says it there.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range tree(t) {
		files := p.GoFiles
		if len(files) == 0 {
			files = append(append(files, p.TestGoFiles...), p.XTestGoFiles...)
		}
		var commented []string
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil,
				parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Errorf("%s: %v", p.path(), err)
				continue
			}
			if f.Doc == nil {
				continue
			}
			commented = append(commented, name)
			start := "Package " + p.Name + " "
			if p.Name == "main" {
				start = "Command " + filepath.Base(p.path()) + " "
			}
			if len(p.GoFiles) > 0 && !strings.HasPrefix(strings.ReplaceAll(f.Doc.Text(), "\n", " "), start) {
				t.Errorf("%s/%s: the package comment does not start with %q", p.path(), name, start)
			}
		}
		if len(commented) != 1 {
			t.Errorf("%s has %d package comments %v, want one", p.path(), len(commented), commented)
		}
	}
}
