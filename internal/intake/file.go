package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// File is where content names its sources, at its root.
const File = "sources.yml"

const maxSources = 200

// Sources are the sources that content names. The zero value has none. They are not
// changed after [Read]; the sources themselves belong to the one [Supervisor] that
// is given them.
type Sources struct{ byName map[string]entry }

// entry is one source.
type entry struct {
	at      strictyaml.Pos
	kind    Kind
	source  source.Source
	enabled bool
	// digest is the same as long as the source need not be started anew.
	digest string
}

// Names returns the names of all sources, sorted.
func (s *Sources) Names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.byName))
}

// Programs returns a fault, with its place, for each source that runs a program of
// the machine, nil if none does.
func (s *Sources) Programs() error {
	var errs []error
	for _, name := range s.Names() {
		if e := s.byName[name]; e.kind.Program {
			errs = append(errs, e.at.Errorf(
				"source %s runs a program on the machine of jet-bus, which content may only do if jet-bus was started with --allow-exec", name))
		}
	}
	return errors.Join(errs...)
}

// Read reads the sources of a content directory; kinds are those that there may be.
// It reports all faults, with their places. Without the file there are no sources.
// Nothing is opened, no secret read.
func Read(content fs.FS, kinds []Kind) (*Sources, error) {
	data, err := fs.ReadFile(content, File)
	if errors.Is(err, fs.ErrNotExist) {
		return &Sources{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	f, err := strictyaml.Parse(File, data)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Sources yaml.Node `yaml:"sources,required"`
	}
	if err := f.Decode(f.Root, &doc); err != nil {
		return nil, err
	}
	all := aliased(&doc.Sources)
	if all.Kind != yaml.MappingNode {
		return nil, f.Errorf(all, "sources: must be a mapping, of names to sources")
	}
	if n := len(all.Content) / 2; n > maxSources {
		return nil, f.Errorf(all, "%d sources are too many, at most %d", n, maxSources)
	}
	s := &Sources{byName: make(map[string]entry)}
	var errs []error
	for i := 0; i+1 < len(all.Content); i += 2 {
		key := all.Content[i]
		err := checkName(key.Value)
		if err == nil {
			s.byName[key.Value], err = readSource(f, key, all.Content[i+1], kinds)
		}
		errs = append(errs, f.Pos(key).Wrap(err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// checkName says what is wrong with the name of a source.
func checkName(name string) error {
	switch {
	case strings.HasPrefix(name, hookPrefix):
		return fmt.Errorf("source %q: names that begin with %s are those of webhooks", name, hookPrefix)
	case strings.HasPrefix(name, backfillPrefix):
		return fmt.Errorf("source %q: names that begin with %s are those of what looks for a webhook's missed deliveries", name, backfillPrefix)
	}
	return strictyaml.CheckName("source", name)
}

// readSource reads what stands under a name.
func readSource(f *strictyaml.File, name, n *yaml.Node, kinds []Kind) (entry, error) {
	e := entry{at: f.Pos(name), enabled: true}
	n = aliased(n)
	var keys []string
	for _, k := range kinds {
		keys = append(keys, k.Key)
	}
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return e, f.Errorf(n, "source %s: must be a mapping, with one of %s", name.Value, strings.Join(keys, ", "))
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(kinds, func(k Kind) bool { return k.Key == key.Value })
		switch {
		case key.Value == "enabled":
			errs = append(errs, f.Decode(value, &e.enabled))
		case at < 0:
			errs = append(errs, f.Errorf(key, "unknown key %q%s", key.Value, strictyaml.Suggest(key.Value, append(keys, "enabled"))))
		case e.kind.Key != "":
			errs = append(errs, f.Errorf(key, "source %s: is both %s and %s; make two sources of it", name.Value, e.kind.Key, key.Value))
		default:
			var err error
			e.kind = kinds[at]
			if e.source, err = e.kind.Make(f, value); err == nil {
				e.digest = digest(key, value) // bounded: it was decoded
			}
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil || e.kind.Key != "" {
		return e, err
	}
	return e, f.Errorf(n, "source %s: does not say what it is, with one of %s", name.Value, strings.Join(keys, ", "))
}

// digest tells whether what was written has changed: its values and their order, not
// its layout.
func digest(nodes ...*yaml.Node) string {
	h := sha256.New()
	for _, n := range nodes {
		spell(h, n)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func spell(w io.Writer, n *yaml.Node) {
	n = aliased(n)
	_, _ = fmt.Fprintf(w, "%d %q %q[", n.Kind, n.Tag, n.Value) // to a digest, which never fails
	for _, c := range n.Content {
		spell(w, c)
	}
	_, _ = io.WriteString(w, "]")
}

// aliased returns the node that an alias names.
func aliased(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
