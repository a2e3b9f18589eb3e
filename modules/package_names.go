package modules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// maxPackageName is how long the name or the version of a package may be, in bytes.
const maxPackageName = 256

// What managers take for the name of one package: nothing that is an option, a
// pattern, an expression, the address of a file, or (with a dash at its end) an
// order to remove it.
var (
	packageNameForm    = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.+@:/~-]*$`)
	packageVersionForm = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_.+:~^-]*\*?$`)
)

// packageRef is a package that is asked for, and its version if one is.
type packageRef struct{ name, version string }

// packageNames is one package or a list of them, each NAME or NAME=VERSION.
type packageNames []packageRef

// UnmarshalNode takes a scalar or a list of scalars.
func (p *packageNames) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	if len(nodes) == 0 {
		return f.Errorf(n, "the list names no package")
	}
	var errs []error
	var list packageNames
	for _, e := range nodes {
		ref, err := packageOf(e)
		if err == nil {
			err = list.add(ref)
		}
		if err != nil {
			errs = append(errs, f.Errorf(e, "%w", err))
		}
	}
	*p = list
	return errors.Join(errs...)
}

// packageOf reads NAME or NAME=VERSION.
func packageOf(n *yaml.Node) (packageRef, error) {
	name, version, pinned := strings.Cut(n.Value, "=")
	switch {
	case n.Kind != yaml.ScalarNode:
		return packageRef{}, errors.New("a package must be text: NAME or NAME=VERSION")
	case len(name) > maxPackageName:
		return packageRef{}, fmt.Errorf("%q… is too long for the name of a package", name[:20])
	case !packageNameForm().MatchString(name) || strings.HasSuffix(name, "-") || strings.Contains(name, "//"):
		return packageRef{}, fmt.Errorf("%q is no name of a package", name)
	case pinned:
		return packageRef{name, version}, checkVersion(version)
	}
	return packageRef{name: name}, nil
}

// add adds a package, unless it is listed.
func (p *packageNames) add(ref packageRef) error {
	i := slices.IndexFunc(*p, func(have packageRef) bool { return have.name == ref.name })
	switch {
	case i < 0:
		*p = append(*p, ref)
	case (*p)[i] != ref:
		return fmt.Errorf("package %s is listed twice, and not with the same version", ref.name)
	}
	return nil
}

// names returns the names alone.
func (p packageNames) names() []string {
	out := make([]string, len(p))
	for i, ref := range p {
		out[i] = ref.name
	}
	return out
}

// pinned says whether a package is listed with a version.
func (p packageNames) pinned() bool {
	return slices.ContainsFunc(p, func(ref packageRef) bool { return ref.version != "" })
}

// packageVersion is a version as the package's manager writes it.
type packageVersion string

// UnmarshalNode takes a version.
func (v *packageVersion) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return f.Errorf(n, "a version must be text")
	}
	if err := checkVersion(n.Value); err != nil {
		return f.Errorf(n, "%w", err)
	}
	*v = packageVersion(n.Value)
	return nil
}

func checkVersion(v string) error {
	if len(v) > maxPackageName {
		return fmt.Errorf("%q… is too long for the version of a package", v[:20])
	}
	if !packageVersionForm().MatchString(v) {
		return fmt.Errorf("%q is no version of a package", v)
	}
	return nil
}

// sameVersion compares a version that was asked for with one that is installed.
// Where the request leaves out the epoch or the release of the package, any will
// do.
func sameVersion(want, have string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		if !strings.Contains(prefix, ":") {
			have = withoutEpoch(have) // which must not be taken for the beginning of the version
		}
		return strings.HasPrefix(have, prefix)
	}
	if want == have || want == withoutEpoch(have) {
		return true
	}
	for _, v := range []string{have, withoutEpoch(have)} {
		if i := strings.LastIndex(v, "-"); i >= 0 && want == v[:i] {
			return true
		}
	}
	return false
}

// firstVersion returns the first version offered that is the one wanted, empty if
// none is.
func firstVersion(want string, offered []string) string {
	for _, v := range offered {
		if sameVersion(want, v) {
			return v
		}
	}
	return ""
}

// withoutEpoch returns a version without the number and colon it may begin with.
func withoutEpoch(v string) string {
	if epoch, rest, ok := strings.Cut(v, ":"); ok && strings.Trim(epoch, "0123456789") == "" {
		return rest
	}
	return v
}
