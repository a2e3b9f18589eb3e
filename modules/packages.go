package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// fieldVersion names what differs in an installed package.
const fieldVersion = "Version"

// packageName is the name of a package; some managers take REPOSITORY/NAME.
type packageName string

// UnmarshalNode takes what no manager takes for an option or for two names.
func (p *packageName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.HasPrefix(n.Value, "-") || strings.ContainsAny(n.Value, " \t\n\x00=*?") {
		return f.Errorf(n, "%q is no name of a package", n.Value)
	}
	*p = packageName(n.Value)
	return nil
}

// packageVersion is a version as the package's manager writes it.
type packageVersion string

// UnmarshalNode takes a version.
func (v *packageVersion) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.HasPrefix(n.Value, "-") || strings.ContainsAny(n.Value, " \t\n\x00") {
		return f.Errorf(n, "%q is no version of a package", n.Value)
	}
	*v = packageVersion(n.Value)
	return nil
}

// packageParams are the parameters of all package modules.
type packageParams struct {
	// Package is the name of the package.
	Package packageName `yaml:"package,required"`
	// Version is the version to have, as the package manager writes it. A * at
	// the end stands for any rest. Another version that is installed is replaced,
	// also a higher one where the manager can.
	Version packageVersion `yaml:"version"`
	// Update brings the package to the version that the repositories offer.
	Update bool `yaml:"update"`
	// Refresh reads the repositories' lists anew before something is installed.
	Refresh bool `yaml:"refresh"`
	// Remove ensures that the package is not installed.
	Remove bool `yaml:"remove"`
}

// Validate checks parameters that exclude each other.
func (m *packageParams) Validate() error {
	switch {
	case m.Remove && (m.Version != "" || m.Update || m.Refresh):
		return errors.New("remove goes with no other parameter than package")
	case m.Version != "" && m.Update:
		return errors.New("version and update exclude each other")
	}
	return nil
}

// manager is a package manager. Its answers are read only.
type manager interface {
	// installed returns the version of an installed package, empty if it is not
	// installed.
	installed(ctx context.Context, c conn.Conn, name string) (string, error)
	// newer returns the version that an update would bring; empty if the
	// installed one is current.
	newer(ctx context.Context, c conn.Conn, name, installed string) (string, error)
	// The commands that carry a plan out. An empty version is the newest one.
	// Managers that cannot choose return an error for another.
	install(name, version string) ([]string, error)
	update(name string) []string
	remove(name string) []string
	refresh() []string
}

// packages is what the package modules have in common: what they ask and do by
// the manager.
type packages struct {
	have, next string
}

func (s *packages) query(ctx context.Context, h *engine.Host, m *packageParams, by manager) (engine.Plan, error) {
	var err error
	if s.have, err = by.installed(ctx, h.Conn, string(m.Package)); err != nil {
		return engine.Plan{}, err
	}
	switch {
	case s.have == "" && m.Remove:
		return engine.Plan{Need: engine.Matched}, nil
	case s.have == "":
		return engine.Plan{Need: engine.Create}, nil
	case m.Remove:
		return engine.Plan{Need: engine.Remove}, nil
	case m.Version != "" && !sameVersion(string(m.Version), s.have):
		return engine.Plan{Need: engine.Modify, Fields: []string{fieldVersion}}, nil
	case m.Update:
		if s.next, err = by.newer(ctx, h.Conn, string(m.Package), s.have); err != nil {
			return engine.Plan{}, err
		}
		if s.next != "" {
			return engine.Plan{Need: engine.Modify, Fields: []string{fieldVersion}}, nil
		}
	}
	return engine.Plan{Need: engine.Matched}, nil
}

func (s *packages) apply(ctx context.Context, h *engine.Host, m *packageParams, by manager, p engine.Plan) (engine.Result, error) {
	name := string(m.Package)
	if m.Refresh {
		if err := act(ctx, h.Conn, nil, by.refresh()...); err != nil {
			return engine.Result{}, err
		}
	}
	var argv []string
	var err error
	switch {
	case p.Need == engine.Remove:
		argv = by.remove(name)
	case p.Need == engine.Create || m.Version != "":
		argv, err = by.install(name, string(m.Version))
	default:
		argv = by.update(name)
	}
	if err != nil {
		return engine.Result{}, err
	}
	if err := act(ctx, h.Conn, map[string]string{"DEBIAN_FRONTEND": "noninteractive"}, argv...); err != nil {
		return engine.Result{}, err
	}
	return s.result(ctx, h, m, by)
}

// result looks at what came of it: a manager may succeed without having done
// what was asked.
func (s *packages) result(ctx context.Context, h *engine.Host, m *packageParams, by manager) (engine.Result, error) {
	now, err := by.installed(ctx, h.Conn, string(m.Package))
	if err != nil {
		return engine.Result{}, err
	}
	switch {
	case m.Remove && now != "":
		return engine.Result{}, fmt.Errorf("removing %s: version %s is still installed", m.Package, now)
	case !m.Remove && now == "":
		return engine.Result{}, fmt.Errorf("installing %s: it is not installed afterwards", m.Package)
	case m.Version != "" && !sameVersion(string(m.Version), now):
		return engine.Result{}, fmt.Errorf("installing %s %s: version %s is installed afterwards", m.Package, m.Version, now)
	}
	return engine.Result{Data: map[string]any{"before": s.have, "after": now}}, nil
}

// sameVersion compares a version that was asked for with one that is installed.
// Where the request leaves out the epoch or the release of the package, any will
// do.
func sameVersion(want, have string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(have, prefix) || strings.HasPrefix(withoutEpoch(have), prefix)
	}
	if want == have || want == withoutEpoch(have) {
		return true
	}
	upstream, _, ok := cutLast(withoutEpoch(have), "-")
	return ok && want == upstream
}

// withoutEpoch returns a version without the number and colon it may begin with.
func withoutEpoch(v string) string {
	if epoch, rest, ok := strings.Cut(v, ":"); ok && strings.Trim(epoch, "0123456789") == "" {
		return rest
	}
	return v
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// withVersion returns a package as managers name one of its versions.
func withVersion(name, sep, version string) string {
	if version == "" {
		return name
	}
	return name + sep + version
}

// keyValue finds the value of key in lines such as "Version : 1.2".
func keyValue(printed []byte, key string) string {
	for _, line := range lines(printed) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// base is the name of a package without the repository in front of it.
func base(name string) string { return path.Base(name) }
