package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// groupFile is a file of groups/.
type groupFile struct {
	Hosts     []hostNames `yaml:"hosts"`
	Subgroups []name      `yaml:"subgroups"`
}

// hostNames is the name of a host, or a range of them, and where it stands.
type hostNames struct {
	pos strictyaml.Pos
	hostRange
}

// UnmarshalNode refuses what is no name and no range.
func (v *hostNames) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	var text name
	if err := text.UnmarshalNode(f, n); err != nil {
		return err
	}
	r, err := parseRange(string(text))
	if err != nil {
		return f.Errorf(n, "%w", err)
	}
	v.pos, v.hostRange = f.TextPos(n), r
	return nil
}

// name is the name of a host or group.
type name string

// UnmarshalNode refuses what is no name.
func (v *name) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return f.Errorf(n, "must be the name of a host or group")
	}
	if n.Style&yaml.TaggedStyle != 0 && !strings.HasPrefix(n.ShortTag(), "!!") {
		return f.Errorf(n, "unexpected tag %s", n.Tag)
	}
	if strings.TrimSpace(n.Value) != n.Value || n.Value == "" {
		return f.Errorf(n, "%q is not a name of a host or group", n.Value)
	}
	*v = name(n.Value)
	return nil
}

// loadDir reads an inventory directory.
func (b *builder) loadDir(dir string) error {
	groups, found, err := files(filepath.Join(dir, "groups"))
	if !found && err == nil {
		return errors.New("there is no directory groups in it")
	}
	errs := []error{err}
	for _, f := range groups {
		errs = append(errs, b.loadGroup(f))
	}
	return errors.Join(append(errs, b.loadVars(dir))...)
}

func (b *builder) loadGroup(f entry) error {
	b.describe(f.name)
	doc, err := f.parse()
	if err != nil || doc.Root == nil {
		return err
	}
	var g groupFile
	if err := doc.Decode(doc.Root, &g); err != nil {
		return err
	}
	for _, h := range g.Hosts {
		if err := b.addRange(f.name, h.hostRange); err != nil {
			return h.pos.Wrap(err)
		}
	}
	for _, c := range g.Subgroups {
		b.addChild(f.name, string(c))
	}
	return nil
}

// loadVars reads group_vars and host_vars in dir, if they are there.
func (b *builder) loadVars(dir string) error {
	var errs []error
	for _, kind := range []struct {
		name  string
		add   func(name string, vars map[string]any)
		files *[]entry
	}{
		{"group_vars", b.addGroupVars, &b.groupFiles},
		{"host_vars", b.addHostVars, &b.hostFiles},
	} {
		list, _, err := files(filepath.Join(dir, kind.name))
		errs = append(errs, err)
		for _, f := range list {
			vars, err := f.vars()
			if err != nil {
				errs = append(errs, err)
				continue
			}
			kind.add(f.name, vars)
			*kind.files = append(*kind.files, f)
		}
	}
	return errors.Join(errs...)
}

// entry is a file that stands for a group or host.
type entry struct{ name, path string }

// files lists the entries of a directory by name, if it is there. Names that start with a dot or
// end in ~ are skipped; anything but a file is an error, and so is a name in .yaml, which is rather a
// slip than the name of a host.
func files(dir string) (out []entry, found bool, err error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var errs []error
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		fi, err := os.Stat(path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case fi.IsDir():
			errs = append(errs, fmt.Errorf("%s: subdirectories are not read", path))
		case !fi.Mode().IsRegular():
			errs = append(errs, fmt.Errorf("%s: not a regular file", path))
		case filepath.Ext(path) == ".yaml":
			errs = append(errs, fmt.Errorf("%s: only .yml files are read; rename it to %s.yml", path, strings.TrimSuffix(e.Name(), ".yaml")))
		default:
			out = append(out, entry{name: strings.TrimSuffix(e.Name(), ".yml"), path: path})
		}
	}
	return out, true, errors.Join(errs...)
}

func (e entry) parse() (*strictyaml.File, error) {
	data, err := os.ReadFile(e.path)
	if err != nil {
		return nil, err
	}
	return strictyaml.Parse(e.path, data)
}

// vars reads the file as a mapping of variables; an empty one has none.
func (e entry) vars() (map[string]any, error) {
	doc, err := e.parse()
	if err != nil || doc.Root == nil {
		return nil, err
	}
	v, err := doc.Value(doc.Root)
	if err != nil {
		return nil, err
	}
	switch t := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return t, nil
	default:
		return nil, doc.Errorf(doc.Root, "variables must be a mapping")
	}
}
