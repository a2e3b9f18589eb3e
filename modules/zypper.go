package modules

import (
	"context"
	"errors"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// zypper is the zypper module, for SUSE. It ensures that packages are installed,
// in one transaction, or that they are not.
//
// The result has, after a change, packages, with the versions before and after of
// each by its name, and for a single package also before and after by themselves;
// a version is empty where the package was not, or is not, installed.
type zypper struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *zypper) Validate() error { return m.Params.validate(zypperManager{}) }

func (m *zypper) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *zypper) Merge(items []engine.Module) bool {
	return mergePackages(m, items, (*zypper).parameters)
}

// Preview reads ahead what Query reads, but for what may load lists.
func (m *zypper) Preview(ctx context.Context, h *engine.Host) {
	_, _ = rpmInstalled(ctx, h.Conn, m.Params.Package.names())
}

func (m *zypper) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, zypperManager{})
}

func (m *zypper) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, zypperManager{})
}

// zypperManager is zypper with rpm below it.
type zypperManager struct{}

// accepts refuses files, and names with a kind or a repository in front.
func (zypperManager) accepts(name string) bool { return !strings.ContainsAny(name, "/@:~") }

func (zypperManager) installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	return rpmInstalled(ctx, c, names)
}

// info asks for descriptions of packages, by name.
func (z zypperManager) info(ctx context.Context, c conn.Conn, names []string) (map[string][]string, error) {
	printed, err := runTool(ctx, c, z.command(append([]string{"--no-refresh", "info", "--"}, names...)...)...)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]string)
	at := ""
	for _, line := range lines(printed) {
		if name, ok := strings.CutPrefix(line, "Information for package "); ok {
			at = strings.TrimSuffix(name, ":")
		} else if at != "" {
			found[at] = append(found[at], line)
		}
	}
	return found, nil
}

func (z zypperManager) newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error) {
	found, err := z.info(ctx, c, sortedKeys(have))
	if err != nil {
		return nil, err
	}
	next := make(map[string]string)
	for name, described := range found {
		offered := keyValue(described, "Version")
		if strings.HasPrefix(keyValue(described, "Status"), "up-to-date") || offered == have[name] || offered == withoutEpoch(have[name]) {
			continue
		}
		next[name] = offered
	}
	return next, nil
}

// resolve finds what a version with a star at its end stands for, which zypper
// does not know.
func (z zypperManager) resolve(ctx context.Context, c conn.Conn, todo []packageChange) ([]packageChange, error) {
	out := append([]packageChange(nil), todo...)
	for i, p := range out {
		if !strings.HasSuffix(p.version, "*") {
			continue
		}
		printed, err := runTool(ctx, c, z.command("--no-refresh", "search", "--details", "--match-exact", "--type", "package", "--", p.name)...)
		if err != nil {
			return nil, err
		}
		var offered []string
		for _, line := range lines(printed) {
			// S | Name | Type | Version | Arch | Repository
			if f := strings.Split(line, "|"); len(f) == 6 && strings.TrimSpace(f[1]) == p.name {
				offered = append(offered, strings.TrimSpace(f[3]))
			}
		}
		switch out[i].version = firstVersion(p.version, offered); {
		case len(offered) == 0:
			return nil, unknownPackageError{name: p.name, err: errors.New("zypper search does not find it")}
		case out[i].version == "":
			return nil, unknownVersion(p, offered...)
		}
	}
	return out, nil
}

func (zypperManager) command(args ...string) []string {
	return append([]string{"zypper", "--non-interactive", "--quiet"}, args...)
}

// zypperFine are the exit statuses that tell more about a success: a reboot or a
// restart is called for.
var zypperFine = []int{102, 103}

// install also changes versions, up and down, where it is given one.
func (z zypperManager) install(ctx context.Context, c conn.Conn, todo []packageChange) error {
	argv := z.command(append([]string{"install", "--oldpackage", "--"}, withVersions(todo, "=")...)...)
	return transact(ctx, c, nil, argv, zypperFine...)
}

func (z zypperManager) remove(ctx context.Context, c conn.Conn, names []string) error {
	return transact(ctx, c, nil, z.command(append([]string{"remove", "--"}, names...)...), zypperFine...)
}

func (z zypperManager) refresh(ctx context.Context, c conn.Conn) error {
	return transact(ctx, c, nil, z.command("refresh", "--force"))
}
