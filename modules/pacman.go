package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// pacman is the pacman module, for Arch Linux and what descends from it.
type pacman struct {
	// Params are the parameters of every package module. Pacman knows the newest
	// version only: another one can be asked for, not installed.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *pacman) Validate() error { return m.Params.Validate() }

// Preview reads ahead what Query reads.
func (m *pacman) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *pacman) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, pacmanManager{})
}

func (m *pacman) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, pacmanManager{}, p)
}

type pacmanManager struct{}

func (pacmanManager) installed(ctx context.Context, c conn.Conn, name string) (string, error) {
	argv := []string{"pacman", "-Q", "--", base(name)}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	if out.Code == 1 && strings.Contains(string(out.Stderr), "was not found") {
		return "", nil
	}
	f := strings.Fields(string(out.Stdout))
	if out.Code != 0 || len(f) != 2 {
		return "", toolError(argv, out)
	}
	return f[1], nil
}

// newer asks for what the lists offer; -Qu says nothing and fails where there is
// nothing newer.
func (pacmanManager) newer(ctx context.Context, c conn.Conn, name, _ string) (string, error) {
	argv := []string{"pacman", "-Qu", "--", base(name)}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	// NAME OLD -> NEW
	if f := strings.Fields(string(out.Stdout)); out.Code == 0 && len(f) >= 4 {
		return f[3], nil
	}
	if out.Code > 1 {
		return "", toolError(argv, out)
	}
	return "", nil
}

func (pacmanManager) install(name, version string) ([]string, error) {
	if version != "" {
		return nil, fmt.Errorf("installing %s %s: pacman installs the newest version only", name, version)
	}
	return []string{"pacman", "-S", "--noconfirm", "--needed", "--", name}, nil
}

func (pacmanManager) update(name string) []string {
	return []string{"pacman", "-S", "--noconfirm", "--needed", "--", name}
}

func (pacmanManager) remove(name string) []string {
	return []string{"pacman", "-R", "--noconfirm", "--", base(name)}
}

func (pacmanManager) refresh() []string { return []string{"pacman", "-Sy", "--noconfirm"} }
