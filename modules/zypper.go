package modules

import (
	"context"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// zypper is the zypper module, for SUSE.
type zypper struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *zypper) Validate() error { return m.Params.Validate() }

// Preview reads ahead what Query reads.
func (m *zypper) Preview(ctx context.Context, h *engine.Host) {
	_, _ = rpmVersion(ctx, h.Conn, string(m.Params.Package))
}

func (m *zypper) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, zypperManager{})
}

func (m *zypper) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, zypperManager{}, p)
}

type zypperManager struct{}

func (zypperManager) installed(ctx context.Context, c conn.Conn, name string) (string, error) {
	return rpmVersion(ctx, c, name)
}

func (z zypperManager) newer(ctx context.Context, c conn.Conn, name, installed string) (string, error) {
	printed, err := runTool(ctx, c, z.command("--no-refresh", "info", "--", name)...)
	if err != nil {
		return "", err
	}
	offered := keyValue(printed, "Version")
	if offered == installed || offered == withoutEpoch(installed) {
		return "", nil
	}
	return offered, nil
}

func (zypperManager) command(args ...string) []string {
	return append([]string{"zypper", "--non-interactive", "--quiet"}, args...)
}

func (z zypperManager) install(name, version string) ([]string, error) {
	return z.command("install", "--oldpackage", "--", withVersion(name, "=", version)), nil
}

func (z zypperManager) update(name string) []string { return z.command("update", "--", name) }
func (z zypperManager) remove(name string) []string { return z.command("remove", "--", name) }
func (z zypperManager) refresh() []string           { return z.command("refresh") }
