package modules

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// homebrew is the homebrew module. Homebrew refuses to run as root.
type homebrew struct {
	// Params are the parameters of every package module. Homebrew knows the
	// newest version only: another one can be asked for, not installed, except by
	// a name such as node@20.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *homebrew) Validate() error { return m.Params.Validate() }

// Preview reads ahead what Query reads.
func (m *homebrew) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *homebrew) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, brewManager{})
}

func (m *homebrew) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, brewManager{}, p)
}

type brewManager struct{}

// brewInfo is the part of brew's description of a formula or cask that matters.
type brewInfo struct {
	Formulae []struct {
		Versions  struct{ Stable string }
		Revision  int
		Outdated  bool
		Installed []struct{ Version string }
	}
	Casks []struct {
		Version   string
		Installed *string
		Outdated  bool
	}
}

func (brewManager) info(ctx context.Context, c conn.Conn, name string) (installed, offered string, err error) {
	printed, err := runTool(ctx, c, "brew", "info", "--json=v2", name)
	if err != nil {
		return "", "", err
	}
	var info brewInfo
	if err := json.Unmarshal(printed, &info); err != nil {
		return "", "", fmt.Errorf("reading what brew says of %s: %w", name, err)
	}
	for _, f := range info.Formulae {
		if n := len(f.Installed); n > 0 {
			installed = f.Installed[n-1].Version
		}
		offered = f.Versions.Stable
		if f.Revision > 0 {
			offered += fmt.Sprintf("_%d", f.Revision)
		}
		if !f.Outdated {
			offered = installed
		}
	}
	for _, k := range info.Casks {
		if k.Installed != nil {
			installed = *k.Installed
		}
		if offered = k.Version; !k.Outdated {
			offered = installed
		}
	}
	return installed, offered, nil
}

func (b brewManager) installed(ctx context.Context, c conn.Conn, name string) (string, error) {
	installed, _, err := b.info(ctx, c, name)
	return installed, err
}

func (b brewManager) newer(ctx context.Context, c conn.Conn, name, installed string) (string, error) {
	_, offered, err := b.info(ctx, c, name)
	if offered == installed {
		offered = ""
	}
	return offered, err
}

func (brewManager) install(name, version string) ([]string, error) {
	if version != "" {
		return nil, fmt.Errorf("installing %s %s: homebrew installs the newest version only; name a versioned formula such as %s@%s",
			name, version, name, strings.Split(version, ".")[0])
	}
	return []string{"brew", "install", name}, nil
}

func (brewManager) update(name string) []string { return []string{"brew", "upgrade", name} }
func (brewManager) remove(name string) []string { return []string{"brew", "uninstall", name} }
func (brewManager) refresh() []string           { return []string{"brew", "update"} }
