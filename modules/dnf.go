package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// dnf is the dnf module. The names dnf and yum mean the same: dnf where the host has
// it, else yum.
//
// The result holds before and after, the versions that were and are installed; a
// version is empty when the package was or is not.
type dnf struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *dnf) Validate() error { return m.Params.Validate() }

// Preview reads ahead what Query reads.
func (m *dnf) Preview(ctx context.Context, h *engine.Host) {
	_, _ = rpmVersion(ctx, h.Conn, string(m.Params.Package))
}

func (m *dnf) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, dnfManager{})
}

func (m *dnf) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, dnfManager{}, p)
}

// rpmVersion returns the version of an installed package.
func rpmVersion(ctx context.Context, c conn.Conn, name string) (string, error) {
	argv := []string{"rpm", "-q", "--queryformat", "%{EVR}\\n", base(name)}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	printed := lines(out.Stdout)
	switch {
	case out.Code == 0 && len(printed) > 0:
		return printed[len(printed)-1], nil // of several the newest, such as kernels
	case strings.Contains(string(out.Stdout), "is not installed"):
		return "", nil
	}
	return "", toolError(argv, out)
}

type dnfManager struct{}

func (dnfManager) installed(ctx context.Context, c conn.Conn, name string) (string, error) {
	return rpmVersion(ctx, c, name)
}

// dnfScript runs the one of dnf and yum that the host has.
const dnfScript = `for m in dnf yum; do
  command -v "$m" >/dev/null 2>&1 && exec "$m" "$@"
done
echo "the host has neither dnf nor yum" >&2
exit 127`

func (dnfManager) command(args ...string) []string {
	return append([]string{"/bin/sh", "-c", dnfScript, "dnf", "-y", "-q"}, args...)
}

// newer asks whether there is an update: 100 says yes.
func (d dnfManager) newer(ctx context.Context, c conn.Conn, name, _ string) (string, error) {
	argv := d.command("check-update", name)
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	switch out.Code {
	case 0:
		return "", nil
	case 100:
	default:
		return "", toolError(append([]string{"dnf"}, argv[4:]...), out)
	}
	for _, line := range lines(out.Stdout) {
		f := strings.Fields(line)
		if len(f) >= 2 && (f[0] == name || strings.HasPrefix(f[0], name+".")) {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("asking for updates of %s: there is one, but not in what was printed", name)
}

func (d dnfManager) install(name, version string) ([]string, error) {
	return d.command("install", withVersion(name, "-", version)), nil
}

func (d dnfManager) update(name string) []string { return d.command("update", name) }
func (d dnfManager) remove(name string) []string { return d.command("remove", name) }
func (d dnfManager) refresh() []string           { return d.command("makecache") }
