package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// role is a role's content, shared by its invocations.
type role struct {
	name     string
	dir      string
	defaults map[string]any
	tasks    []*node
	handlers []*node
}

// roleCall is one invocation of a role.
type roleCall struct {
	role *role
	vars map[string]any
	tags []string
}

type roleCallDoc struct {
	Role *scalar        `yaml:"role,required"`
	Vars map[string]any `yaml:"vars"`
	Tags words          `yaml:"tags"`
}

type roleDoc struct {
	Name     scalar         `yaml:"name,required"`
	Defaults map[string]any `yaml:"defaults"`
	Tasks    []scalar       `yaml:"tasks"`
	Handlers []scalar       `yaml:"handlers"`
}

// roleCall resolves an invocation; nil if there is no such role.
func (p *parser) roleCall(doc roleCallDoc) *roleCall {
	if doc.Role == nil || doc.Role.text == "" {
		return nil
	}
	r, seen := p.roles[doc.Role.text]
	if !seen {
		r = p.findRole(*doc.Role)
		p.roles[doc.Role.text] = r
	}
	if r == nil {
		return nil
	}
	return &roleCall{role: r, vars: doc.Vars, tags: doc.Tags}
}

// findRole reads the role from the first directory that holds it.
func (p *parser) findRole(name scalar) *role {
	for _, path := range p.rolesPath {
		dir := filepath.Join(path, name.text)
		file := filepath.Join(dir, "role.yml")
		_, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		f, ok := p.read(name, "role", file)
		if !ok {
			return nil
		}
		return p.role(f, dir)
	}
	p.fault(name.Errorf("there is no role %q (no %s/role.yml) in %s",
		name.text, name.text, strings.Join(p.rolesPath, ", ")))
	return nil
}

func (p *parser) role(f *strictyaml.File, dir string) *role {
	var doc roleDoc
	p.fault(f.Decode(f.Root, &doc))
	r := &role{name: doc.Name.text, dir: dir, defaults: doc.Defaults}
	r.tasks = p.taskFiles(filepath.Join(dir, "tasks"), doc.Tasks, false)
	r.handlers = p.taskFiles(filepath.Join(dir, "handlers"), doc.Handlers, true)
	return r
}

// taskFiles reads a role's files of tasks or handlers; those that they include
// are relative to the same folder.
func (p *parser) taskFiles(dir string, names []scalar, handlers bool) []*node {
	defer func(base string) { p.base = base }(p.base)
	p.base = dir
	var list []*node
	for _, name := range names {
		list = append(list, p.tasksFile(name, filepath.Base(dir), resolve(dir, name.text), handlers)...)
	}
	return list
}
