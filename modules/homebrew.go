package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// homebrew is the homebrew module, for macOS and Linux. It ensures that formulae
// and casks are installed, or that they are not. Homebrew refuses to run as root.
//
// Homebrew knows the newest version only: another one can be asked for, and is
// then a failure unless the host has it, except by a name such as node@20.
//
// The result has, after a change, packages, with the versions before and after of
// each by its name, and for a single package also before and after by themselves;
// a version is empty where the package was not, or is not, installed.
type homebrew struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *homebrew) Validate() error { return m.Params.validate(brewManager{}) }

func (m *homebrew) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *homebrew) Merge(items []engine.Module) bool {
	return mergePackages(m, items, (*homebrew).parameters)
}

// Preview reads ahead what Query reads.
func (m *homebrew) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *homebrew) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, brewManager{})
}

func (m *homebrew) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, brewManager{})
}

type brewManager struct{}

// accepts takes a formula, and one of a tap: USER/TAP/FORMULA.
func (brewManager) accepts(name string) bool {
	return !strings.ContainsAny(name, ":~") && strings.Count(name, "/") <= 2
}

// brewInfo is the part of brew's description of a formula or cask that matters.
type brewInfo struct {
	Formulae []struct {
		Name      string
		FullName  string `json:"full_name"`
		Aliases   []string
		Versions  struct{ Stable string }
		Revision  int
		Outdated  bool
		Pinned    bool
		Installed []struct{ Version string }
	}
	Casks []struct {
		Token     string
		FullToken string `json:"full_token"`
		Version   string
		Installed *string
		Outdated  bool
	}
}

// brewPackage is what is known of a formula or cask.
type brewPackage struct {
	packageState
	// offered is empty where the installed version is current.
	offered string
}

// info asks about all packages at once. Brew answers for those it knows in no
// promised order, by names that may be fuller than those asked for.
func (brewManager) info(ctx context.Context, c conn.Conn, names []string) (map[string]brewPackage, error) {
	printed, err := runTool(ctx, c, append([]string{"brew", "info", "--json=v2"}, names...)...)
	if err != nil {
		if missing, ok := errors.AsType[*engine.CommandError](err); ok {
			if m := noPackage().FindStringSubmatch(missing.Stderr); m != nil {
				return nil, unknownPackageError{strings.Join(m[1:], ""), err}
			}
		}
		return nil, err
	}
	var info brewInfo
	if err := json.Unmarshal(printed, &info); err != nil {
		return nil, fmt.Errorf("reading what brew says of %s: %w", strings.Join(names, ", "), err)
	}
	found := make(map[string]brewPackage)
	for _, f := range info.Formulae {
		var p brewPackage
		if n := len(f.Installed); n > 0 {
			p.version = f.Installed[n-1].Version
		}
		if f.Outdated || p.version == "" {
			p.offered = f.Versions.Stable
			if f.Revision > 0 {
				p.offered += fmt.Sprintf("_%d", f.Revision)
			}
		}
		if f.Pinned {
			p.held = "unpin it first (brew unpin)"
		}
		for _, name := range append(f.Aliases, f.Name, f.FullName) {
			found[name] = p
		}
	}
	for _, k := range info.Casks {
		var p brewPackage
		if k.Installed != nil {
			p.version = *k.Installed
		}
		if k.Outdated || p.version == "" {
			p.offered = k.Version
		}
		found[k.Token], found[k.FullToken] = p, p
	}
	if len(names) == 1 && len(info.Formulae)+len(info.Casks) == 1 {
		for _, p := range found { // by a name that it had before
			found[names[0]] = p
			break
		}
	}
	return found, nil
}

func (b brewManager) installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	found, err := b.info(ctx, c, names)
	if err != nil {
		return nil, err
	}
	states := make(map[string]packageState)
	for _, name := range names {
		if p := found[name]; p.version != "" {
			states[name] = p.packageState
		}
	}
	return states, nil
}

func (b brewManager) newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error) {
	found, err := b.info(ctx, c, sortedKeys(have))
	if err != nil {
		return nil, err
	}
	next := make(map[string]string)
	for name := range have {
		next[name] = found[name].offered
	}
	return next, nil
}

func (brewManager) resolve(_ context.Context, _ conn.Conn, todo []packageChange) ([]packageChange, error) {
	for _, p := range todo {
		if p.version != "" && !p.newest {
			return nil, fmt.Errorf("installing %s %s: homebrew installs the newest version only; name a versioned formula such as %s@%s",
				p.name, p.version, p.name, strings.Split(p.version, ".")[0])
		}
	}
	return todo, nil
}

// install has a command of its own for what is there already.
func (brewManager) install(ctx context.Context, c conn.Conn, todo []packageChange) error {
	var fresh, old []string
	for _, p := range todo {
		if p.have == "" {
			fresh = append(fresh, p.name)
		} else {
			old = append(old, p.name)
		}
	}
	if len(fresh) > 0 {
		if err := transact(ctx, c, nil, append([]string{"brew", "install"}, fresh...)); err != nil {
			return err
		}
	}
	if len(old) == 0 {
		return nil
	}
	return transact(ctx, c, nil, append([]string{"brew", "upgrade"}, old...))
}

func (brewManager) remove(ctx context.Context, c conn.Conn, names []string) error {
	return transact(ctx, c, nil, append([]string{"brew", "uninstall"}, names...))
}

func (brewManager) refresh(ctx context.Context, c conn.Conn) error {
	return transact(ctx, c, nil, []string{"brew", "update"})
}
