package reference

import (
	"errors"
	"path/filepath"

	"github.com/jet-bus/jet-bus/engine"
)

// Pages returns what docs/modules shall hold, by file name: a page for each module,
// and README.md, which lists them. dir is the directory of the modules' sources,
// and has the examples in its directory of that name.
func Pages(dir string, specs []engine.Spec) (map[string]string, error) {
	src, err := readSources(dir)
	if err != nil {
		return nil, err
	}
	var pages []page
	var faults []error
	for _, spec := range specs {
		p, err := newPage(src, filepath.Join(dir, "examples"), spec)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		pages = append(pages, p)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, p := range pages {
		files[p.name+".md"] = p.markdown()
	}
	files["README.md"], err = index(pages)
	return files, err
}
