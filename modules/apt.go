package modules

import (
	"context"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// apt is the apt module, for Debian and what descends from it.
type apt struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *apt) Validate() error { return m.Params.Validate() }

// Preview reads ahead what Query reads.
func (m *apt) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *apt) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, aptManager{})
}

func (m *apt) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, aptManager{}, p)
}

type aptManager struct{}

func (aptManager) installed(ctx context.Context, c conn.Conn, name string) (string, error) {
	argv := []string{"dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\\n", name}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	if out.Code > 1 { // 1 is for a package that is not known
		return "", toolError(argv, out)
	}
	for _, line := range lines(out.Stdout) {
		if version, ok := strings.CutPrefix(line, "installed "); ok {
			return version, nil
		}
	}
	return "", nil
}

// newer asks for the candidate, which is the whole truth: it has the epoch, and
// obeys pins and priorities.
func (aptManager) newer(ctx context.Context, c conn.Conn, name, installed string) (string, error) {
	printed, err := runTool(ctx, c, "apt-cache", "policy", name)
	if err != nil {
		return "", err
	}
	candidate := keyValue(printed, "Candidate")
	if candidate == installed || candidate == "(none)" {
		return "", nil
	}
	return candidate, nil
}

// get is the command line of apt-get: it asks nothing, keeps configuration files
// that were changed, and waits for another apt to finish.
func (aptManager) get(args ...string) []string {
	return append([]string{
		"apt-get", "-y", "-qq", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
		"-o", "DPkg::Lock::Timeout=300",
	}, args...)
}

func (a aptManager) install(name, version string) ([]string, error) {
	return a.get("--allow-downgrades", "install", withVersion(name, "=", version)), nil
}

func (a aptManager) update(name string) []string { return a.get("install", "--only-upgrade", name) }
func (a aptManager) remove(name string) []string { return a.get("remove", name) }
func (a aptManager) refresh() []string           { return a.get("update") }
