package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// packageModule is the package module. It ensures that packages are installed, or
// that they are not, with the package manager that the host has: that of its
// system as its os-release file names it, or else the first of apt, dnf, yum,
// zypper, pacman, apk and brew that is there. Names of packages differ between
// systems: where they do, give them by variables of groups.
//
// The result has, after a change, packages, with the versions before and after of
// each by its name, and for a single package also before and after by themselves;
// a version is empty where the package was not, or is not, installed.
type packageModule struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`
	// Use names the package manager instead of looking for it: apt, dnf, yum,
	// zypper, pacman, apk or homebrew.
	Use managerName `yaml:"use"`

	packages
	by manager
}

// managerName is the name of a package manager; it is that of its module.
type managerName string

// UnmarshalNode takes the managers there are.
func (u *managerName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || managerOf(n.Value) == nil {
		return f.Errorf(n, "use must be apt, dnf, yum, zypper, pacman, apk or homebrew")
	}
	*u = managerName(n.Value)
	return nil
}

// managerOf returns the manager of that name, nil if there is none.
func managerOf(name string) manager {
	switch name {
	case "apt", "apt-get":
		return aptManager{}
	case "dnf", "yum":
		return dnfManager{}
	case "zypper":
		return zypperManager{}
	case "pacman":
		return pacmanManager{}
	case "apk":
		return apkManager{}
	case "homebrew", "brew":
		return brewManager{}
	}
	return nil
}

// Validate checks parameters that exclude each other.
func (m *packageModule) Validate() error { return m.Params.validate(managerOf(string(m.Use))) }

func (m *packageModule) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *packageModule) Merge(items []engine.Module) bool {
	return mergePackages(m, items, (*packageModule).parameters)
}

// Preview reads ahead what Query reads, but for what may load lists.
func (m *packageModule) Preview(ctx context.Context, h *engine.Host) {
	if by, err := m.manager(ctx, h.Conn); err == nil {
		_, _ = by.installed(ctx, h.Conn, m.Params.Package.names())
	}
}

func (m *packageModule) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.by, err = m.manager(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	return m.query(ctx, h, &m.Params, m.by)
}

func (m *packageModule) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, m.by)
}

// manager finds out which package manager to use.
func (m *packageModule) manager(ctx context.Context, c conn.Conn) (manager, error) {
	if m.Use != "" {
		return managerOf(string(m.Use)), nil
	}
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		found, err := c.Inspect(ctx, name, conn.Look{Content: maxOSRelease})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("finding the host's package manager: %w", err)
		}
		if by := managerOfSystem(flavor("", parseOSRelease(found.Content))); by != nil {
			return by, nil
		}
		break
	}
	return managerAtHand(ctx, c)
}

// managerOfSystem returns the manager of a family of systems, nil if it has none
// of its own.
func managerOfSystem(family string) manager {
	switch family {
	case "Debian":
		return aptManager{}
	case "EL":
		return dnfManager{}
	case "SUSE":
		return zypperManager{}
	case "Arch":
		return pacmanManager{}
	case "Alpine":
		return apkManager{}
	}
	return nil
}

// managersScript prints the first package manager that the host has.
const managersScript = `for m in apt-get dnf yum zypper pacman apk brew; do
  if command -v "$m" >/dev/null 2>&1; then echo "$m" && exit; fi
done`

// managerAtHand looks for the programs of package managers.
func managerAtHand(ctx context.Context, c conn.Conn) (manager, error) {
	printed, err := runTool(ctx, c, "/bin/sh", "-c", managersScript)
	if err != nil {
		return nil, fmt.Errorf("finding the host's package manager: %w", err)
	}
	for _, name := range lines(printed) {
		if by := managerOf(name); by != nil {
			return by, nil
		}
	}
	return nil, errors.New("the host has no package manager that jet-bus knows; it looked for apt, dnf, yum, zypper, pacman, apk and brew")
}
