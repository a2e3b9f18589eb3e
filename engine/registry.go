package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Registry finds modules by name. It is immutable.
type Registry struct{ specs []Spec }

// NewRegistry returns a registry of specs. Two of one name are an error, and so
// is a parameter with a name that tasks use themselves.
func NewRegistry(specs ...Spec) (*Registry, error) {
	sorted := slices.Clone(specs)
	slices.SortFunc(sorted, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Name == sorted[i-1].Name {
			return nil, fmt.Errorf("two modules are called %q", sorted[i].Name)
		}
	}
	for _, s := range sorted {
		if slices.Contains(structure[:], s.Name) {
			return nil, fmt.Errorf("a module cannot be called %q: !%s is part of the language", s.Name, s.Name)
		}
		for _, k := range strictyaml.Keys(s.New()) {
			if slices.Contains(taskKeys[:], k) {
				return nil, fmt.Errorf("module %q has a parameter called %q, which is a key of every task", s.Name, k)
			}
		}
	}
	return &Registry{specs: sorted}, nil
}

// Specs returns all modules by name.
func (r *Registry) Specs() []Spec { return slices.Clone(r.specs) }

// Lookup returns the module called name.
func (r *Registry) Lookup(name string) (Spec, bool) {
	i, ok := slices.BinarySearchFunc(r.specs, name, func(s Spec, n string) int { return strings.Compare(s.Name, n) })
	if !ok {
		return Spec{}, false
	}
	return r.specs[i], true
}

// suggestion ends an error about an unknown module: it names the module that
// was probably meant, or all of them.
func (r *Registry) suggestion(name string) string {
	var names []string
	for _, s := range r.specs {
		names = append(names, s.Name)
	}
	names = append(names, structure[:]...)
	return strictyaml.Suggest(strings.ToLower(name), names)
}
