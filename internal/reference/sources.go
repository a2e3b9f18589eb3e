package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// sources are the comments of a package's types.
type sources map[string]declared

// declared is what the source says of a type.
type declared struct {
	doc string
	// fields are the comments of a struct's fields by name.
	fields map[string]string
}

// readSources reads the Go files of a directory. Of tests it takes those only
// that are named, for the tests of this package.
func readSources(dir string, tests ...string) (sources, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("reading the sources of %s: %w", dir, err)
	}
	src := sources{}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			tests = append(tests, name)
		}
	}
	for _, name := range tests {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("reading the sources of %s: %w", dir, err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				src.add(g)
			}
		}
	}
	return src, nil
}

// add adds the types of a declaration.
func (src sources) add(g *ast.GenDecl) {
	for _, s := range g.Specs {
		t := s.(*ast.TypeSpec)
		d := declared{doc: t.Doc.Text(), fields: map[string]string{}}
		if !g.Lparen.IsValid() {
			d.doc = g.Doc.Text()
		}
		if st, ok := t.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					d.fields[n.Name] = f.Doc.Text()
				}
			}
		}
		src[t.Name.Name] = d
	}
}
