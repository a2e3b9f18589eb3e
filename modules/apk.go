package modules

import (
	"context"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// apk is the apk module, for Alpine Linux.
type apk struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *apk) Validate() error { return m.Params.Validate() }

// Preview reads ahead what Query reads.
func (m *apk) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *apk) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, apkManager{})
}

func (m *apk) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, apkManager{}, p)
}

type apkManager struct{}

func (apkManager) installed(ctx context.Context, c conn.Conn, name string) (string, error) {
	argv := []string{"apk", "info", "--installed", "--verbose", name}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	for _, line := range lines(out.Stdout) {
		if version, ok := strings.CutPrefix(line, name+"-"); ok {
			return version, nil
		}
	}
	if out.Code > 1 {
		return "", toolError(argv, out)
	}
	return "", nil
}

// newer reads the first version that the policy lists: the newest.
func (apkManager) newer(ctx context.Context, c conn.Conn, name, installed string) (string, error) {
	printed, err := runTool(ctx, c, "apk", "policy", name)
	if err != nil {
		return "", err
	}
	for _, line := range lines(printed) {
		version, ok := strings.CutSuffix(line, ":")
		if version = strings.TrimSpace(version); !ok || strings.HasSuffix(version, " policy") {
			continue
		}
		if version == installed {
			return "", nil
		}
		return version, nil
	}
	return "", nil
}

func (apkManager) install(name, version string) ([]string, error) {
	return []string{"apk", "add", "--no-progress", withVersion(name, "=", version)}, nil
}

func (apkManager) update(name string) []string {
	return []string{"apk", "add", "--no-progress", "--upgrade", name}
}

func (apkManager) remove(name string) []string { return []string{"apk", "del", "--no-progress", name} }
func (apkManager) refresh() []string           { return []string{"apk", "update"} }
