package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// dnf is the dnf module, and the yum module, for Fedora, RHEL and their relatives:
// both use dnf where the host has it, else yum. It ensures that packages are installed, in
// one transaction, or that they are not. Dnf may remove, along with a package, what
// only that package needed (clean_requirements_on_remove in dnf.conf).
//
// The result has, after a change, packages, with the versions before and after of
// each by its name, and for a single package also before and after by themselves;
// a version is empty where the package was not, or is not, installed.
type dnf struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *dnf) Validate() error { return m.Params.validate(dnfManager{}) }

func (m *dnf) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *dnf) Merge(items []engine.Module) bool { return mergePackages(m, items, (*dnf).parameters) }

// Preview reads ahead what Query reads, but for what may load lists.
func (m *dnf) Preview(ctx context.Context, h *engine.Host) {
	_, _ = rpmInstalled(ctx, h.Conn, m.Params.Package.names())
}

func (m *dnf) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, dnfManager{})
}

func (m *dnf) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, dnfManager{})
}

// dnfManager is dnf or yum, with rpm below it.
type dnfManager struct{}

// accepts refuses files, groups of packages and what a package provides.
func (dnfManager) accepts(name string) bool { return !strings.ContainsAny(name, "/@:~") }

func (dnfManager) installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	return rpmInstalled(ctx, c, names)
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

// newer asks whether there are updates: 100 says yes.
func (d dnfManager) newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error) {
	argv := d.command(append([]string{"check-update"}, sortedKeys(have)...)...)
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, ReadOnly: true})
	switch {
	case err != nil:
		return nil, fmt.Errorf("running dnf: %w", err)
	case out.Code == 0:
		return nil, nil
	case out.Code != 100:
		return nil, toolError(argv[3:], out)
	}
	return dnfUpdates(text(out.Stdout), have), nil
}

// dnfUpdates reads the table of check-update: NAME.ARCH VERSION REPOSITORY. A long
// name or version breaks the line. What follows is about packages that replace
// others.
func dnfUpdates(printed string, have map[string]string) map[string]string {
	next := make(map[string]string)
	table, _, _ := strings.Cut(printed, "\nObsoleting ")
	words := strings.Fields(table)
	for i := range max(len(words)-1, 0) {
		dot := strings.LastIndex(words[i], ".")
		if dot < 0 {
			continue
		}
		for _, n := range []string{words[i][:dot], words[i]} {
			if _, asked := have[n]; asked {
				next[n] = words[i+1]
			}
		}
	}
	return next
}

func (dnfManager) resolve(_ context.Context, _ conn.Conn, todo []packageChange) ([]packageChange, error) {
	return todo, nil
}

// install also changes versions, up and down, where it is given one.
func (d dnfManager) install(ctx context.Context, c conn.Conn, todo []packageChange) error {
	return transact(ctx, c, nil, d.command(append([]string{"install"}, withVersions(todo, "-")...)...))
}

func (d dnfManager) remove(ctx context.Context, c conn.Conn, names []string) error {
	return transact(ctx, c, nil, d.command(append([]string{"remove"}, names...)...))
}

// refresh makes the lists old first: makecache alone keeps those that are not.
func (d dnfManager) refresh(ctx context.Context, c conn.Conn) error {
	if err := transact(ctx, c, nil, d.command("clean", "expire-cache")); err != nil {
		return err
	}
	return transact(ctx, c, nil, d.command("makecache"))
}
