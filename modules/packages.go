package modules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// packageParams are the parameters of all package modules.
type packageParams struct {
	// Package is the name of the package, or a list of names, which are brought
	// about in one transaction. NAME=VERSION asks for a version. Patterns, files
	// and addresses are not taken.
	Package packageNames `yaml:"package,required"`
	// Version is the version to have of a single package, as the package manager
	// writes it; the epoch and the release of the package may be left out. A * at
	// the end stands for any rest. Another version that is installed is replaced,
	// also a higher one where the manager can. It excludes update.
	Version packageVersion `yaml:"version"`
	// Update brings the packages to the versions that the repositories offer.
	Update bool `yaml:"update"`
	// Refresh reads the repositories' lists anew, once, before something is
	// installed: always if it is true, and if it is a time such as 30m or 1h where
	// apt's lists are older than that; other managers take a time for true. With
	// update, apt's lists that are older than that (an hour, if it is true) are a
	// change of their own, Lists: what they will bring cannot be known before. With
	// other managers update goes by the lists as they are: dnf and yum read them
	// anew as they expire, zypper, pacman, apk and homebrew when told to.
	Refresh refresh `yaml:"refresh"`
	// Remove ensures that the packages are not installed.
	Remove bool `yaml:"remove"`
}

// validate checks parameters that exclude each other, and the names by what
// the manager takes, if it is known.
func (m *packageParams) validate(by manager) error {
	switch {
	case m.Remove && (m.Version != "" || m.Package.pinned() || m.Update || m.Refresh.given):
		return errors.New("remove goes with no version, update or refresh")
	case (m.Version != "" || m.Package.pinned()) && m.Update:
		return errors.New("version and update exclude each other")
	case m.Version != "" && len(m.Package) > 1:
		return errors.New("version is for a single package: write NAME=VERSION in the list")
	case m.Version != "" && m.Package.pinned():
		return fmt.Errorf("package %s has a version already", m.Package[0].name)
	}
	if by == nil {
		return nil
	}
	return acceptable(m.Package, by)
}

// acceptable refuses names that the manager would take for something else.
func acceptable(list packageNames, by manager) error {
	for _, ref := range list {
		if !by.accepts(ref.name) {
			return fmt.Errorf("%q is no name of a package", ref.name)
		}
	}
	return nil
}

// wanted returns the packages with their versions.
func (m *packageParams) wanted() packageNames {
	if m.Version == "" || len(m.Package) != 1 {
		return m.Package
	}
	return packageNames{{m.Package[0].name, string(m.Version)}}
}

// mergePackages adds the packages of items to those of m, which params finds, if
// nothing else differs.
func mergePackages[M any](m *M, items []engine.Module, params func(*M) *packageParams) bool {
	all := append(packageNames(nil), params(m).wanted()...)
	plain := func(m M) M {
		params(&m).Package, params(&m).Version = nil, ""
		return m
	}
	for _, item := range items {
		other, ok := any(item).(*M)
		if !ok || !reflect.DeepEqual(plain(*other), plain(*m)) {
			return false
		}
		for _, ref := range params(other).wanted() {
			if all.add(ref) != nil {
				return false
			}
		}
	}
	params(m).Package, params(m).Version = all, ""
	return true
}

// listsAge is how old lists may be that refresh: true is to read anew for an
// update.
const listsAge = time.Hour

// refresh is true, false or an age such as 1h: when the lists of the repositories are
// read anew.
type refresh struct {
	given bool
	// age is how old they may be; zero means that they are read anew always.
	age time.Duration
}

// UnmarshalNode takes true, false, or a time such as 30m or 1h.
func (r *refresh) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	*r = refresh{given: true}
	if n.Kind != yaml.ScalarNode || len(n.Value) > maxPackageName {
		return f.Errorf(n, "refresh must be true, false, or a time such as 30m or 1h")
	}
	switch strings.ToLower(n.Value) {
	case "true":
		return nil
	case "false":
		*r = refresh{}
		return nil
	}
	var err error
	if r.age, err = time.ParseDuration(n.Value); err != nil || r.age < time.Minute {
		return f.Errorf(n, "refresh must be true, false, or a time of a minute or more such as 30m or 1h, not %q", n.Value)
	}
	return nil
}
