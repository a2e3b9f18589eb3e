package arch

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/jet-bus/jet-bus"

// pkg is one package of the module as go list sees it.
type pkg struct {
	Name         string
	ImportPath   string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string // everything it links, directly or not; without its tests
}

// path is the package's path in the module: "engine/conn".
func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// public reports whether users of the module may import the package.
func (p pkg) public() bool {
	first, _, _ := strings.Cut(p.path(), "/")
	return first == "events" || first == "rules" || first == "engine" || first == "modules"
}

// ours returns the packages of the module among paths, relative to it.
func ours(paths []string) []string {
	var out []string
	for _, path := range paths {
		if rest, ok := strings.CutPrefix(path, module+"/"); ok {
			out = append(out, rest)
		}
	}
	return out
}

// in reports whether a path is tree or below it.
func in(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

// root is the module's directory, seen from this package's.
var root = filepath.Join("..", "..")

// packages lists the module once for all tests.
var packages = sync.OnceValues(func() ([]pkg, error) {
	if err := walk(); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-json=Name,ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,"+
		"Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, errors.Join(err, errors.New(string(exit.Stderr)))
	}
	if err != nil {
		return nil, err
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// walk looks into every directory of the module. What go list reads is hidden from go test, which
// would report a result of yesterday's tree as cached.
func walk() error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == root {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
			return filepath.SkipDir
		}
		return nil
	})
}

func tree(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatalf("listing the module's packages: %v", err)
	}
	return all
}
