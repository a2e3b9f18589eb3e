package modules

import (
	"context"
	"errors"

	"github.com/jet-bus/jet-bus/engine"
)

// apt is the apt module, for Debian and what descends from it. It ensures that
// packages are installed, in one transaction, or that they are not. Configuration
// files that were changed on the host are kept, and no question is asked.
//
// A package on hold (apt-mark hold) is never changed: a task that would have to is
// a failure. The result has, after a change, packages, with the versions before and
// after of each by its name, and for a single package also before and after by
// themselves; a version is empty where the package was not, or is not, installed.
type apt struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`
	// Purge removes the packages' configuration files too, also of packages that
	// were removed before. It goes with remove only.
	Purge bool `yaml:"purge"`
	// Autoremove removes, along with the packages, all that was installed only
	// because others needed it and that none needs any more. It goes with remove
	// only, and does nothing where there is no package to remove.
	Autoremove bool `yaml:"autoremove"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *apt) Validate() error {
	if (m.Purge || m.Autoremove) && !m.Params.Remove {
		return errors.New("purge and autoremove go with remove only")
	}
	return m.Params.validate(m.manager())
}

func (m *apt) manager() aptManager        { return aptManager{purge: m.Purge, autoremove: m.Autoremove} }
func (m *apt) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *apt) Merge(items []engine.Module) bool { return mergePackages(m, items, (*apt).parameters) }

// Preview reads ahead what Query reads.
func (m *apt) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *apt) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, m.manager())
}

func (m *apt) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, m.manager())
}
