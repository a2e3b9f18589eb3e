package rulecase

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Read reads every case below dir: of the files whose names end in _test.yml or
// _test.yaml, in order. Names that begin with a dot are left out, directories too.
// All faults are reported, with their places.
func Read(fsys fs.FS, dir string) ([]*Case, error) {
	var all []*Case
	var errs []error
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != dir && strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case d.IsDir() || strings.HasPrefix(d.Name(), ".") || !isCases(d.Name()):
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading cases: %w", err))
			return nil
		}
		cases, err := parse(name, data)
		all, errs = append(all, cases...), append(errs, err)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading cases from %s: %w", dir, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

func isCases(name string) bool {
	return strings.HasSuffix(name, "_test.yml") || strings.HasSuffix(name, "_test.yaml")
}

// parse reads the cases of one file.
func parse(name string, data []byte) ([]*Case, error) {
	f, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if f.Root == nil {
		return nil, strictyaml.Pos{File: name}.Errorf("the file has no cases")
	}
	p := &parser{File: f, names: map[string]strictyaml.Pos{}}
	var doc fileDoc
	p.fault(f.Decode(f.Root, &doc))
	var out []*Case
	for i := range doc.Cases {
		out = append(out, p.testCase(&doc.Cases[i]))
	}
	return out, errors.Join(p.errs...)
}
