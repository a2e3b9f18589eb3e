package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// service is the service module. It ensures that a service runs or does not, and
// that it is started at boot or is not, with what the host runs services by:
// systemd, OpenRC, or the init scripts of System V. For what systemd alone knows,
// there is sd_service.
//
// The result has, after a change, started and enabled, which are true or false.
type service struct {
	// Service is the name of the service.
	Service unitName `yaml:"service,required"`
	// Enabled says whether the service is started at boot. It is left alone when
	// it is not given. With OpenRC it is put into the runlevel default; one that
	// is in any runlevel is enabled already, and false takes it out of all.
	Enabled *bool `yaml:"enabled"`
	// Started says whether the service runs. It is left alone when it is not given.
	Started *bool `yaml:"started"`
	// Restart restarts the service, or starts it if it does not run. It always is a
	// change. It excludes started: false and reload.
	Restart bool `yaml:"restart"`
	// Reload makes a running service read its configuration anew; one that does
	// not run is started. It always is a change. It excludes started: false and
	// restart.
	Reload bool `yaml:"reload"`
	// Use names what runs the services instead of looking for it: systemd, openrc
	// or sysv.
	Use supervisorName `yaml:"use"`

	unit *sdService // for systemd
	by   initSystem // for the others
}

// supervisorName is the name of what runs services.
type supervisorName string

// UnmarshalNode takes those that there are.
func (u *supervisorName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value != "systemd" && initSystemOf(n.Value) == nil {
		return f.Errorf(n, "use must be systemd, openrc or sysv")
	}
	*u = supervisorName(n.Value)
	return nil
}

// initSystem is what runs services by scripts. What state runs only reads.
type initSystem interface {
	// state says whether a service runs and is started at boot. That the host has
	// no such service is an error.
	state(ctx context.Context, c conn.Conn, name string) (active, enabled bool, err error)
	// do carries out one field of a plan.
	do(ctx context.Context, c conn.Conn, name, field string) error
}

// initSystemOf returns the init system of that name, nil if there is none.
func initSystemOf(name string) initSystem {
	switch name {
	case "openrc":
		return openRC{}
	case "sysv":
		return sysV{}
	}
	return nil
}

// Validate checks parameters that exclude each other.
func (m *service) Validate() error { return startable(m.Started, m.Restart, m.Reload) }

// Preview reads ahead what Query reads.
func (m *service) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *service) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	use, err := m.supervisor(ctx, h.Conn)
	if err != nil {
		return engine.Plan{}, err
	}
	if m.by = initSystemOf(use); m.by == nil {
		m.unit = &sdService{Service: m.Service, Enabled: m.Enabled, Started: m.Started, Restart: m.Restart, Reload: m.Reload}
		return m.unit.Query(ctx, h)
	}
	active, enabled, err := m.by.state(ctx, h.Conn, string(m.Service))
	if err != nil {
		return engine.Plan{}, err
	}
	plan := engine.Plan{Need: engine.Matched}
	if f := toRun(active, m.Started, m.Restart, m.Reload); f != "" {
		plan.Fields = append(plan.Fields, f)
	}
	switch {
	case isTrue(m.Enabled) && !enabled:
		plan.Fields = append(plan.Fields, fieldEnable)
	case isFalse(m.Enabled) && enabled:
		plan.Fields = append(plan.Fields, fieldDisable)
	}
	if len(plan.Fields) > 0 {
		plan.Need = engine.Modify
	}
	return plan, nil
}

func (m *service) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if m.unit != nil {
		r, err := m.unit.Apply(ctx, h, p)
		if err != nil {
			return engine.Result{}, err
		}
		r.Data = map[string]any{"started": m.unit.active(), "enabled": m.unit.unit["UnitFileState"] == "enabled"}
		return r, nil
	}
	for _, f := range p.Fields {
		if err := m.by.do(ctx, h.Conn, string(m.Service), f); err != nil {
			return engine.Result{}, err
		}
	}
	active, enabled, err := m.by.state(ctx, h.Conn, string(m.Service))
	if err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Data: map[string]any{"started": active, "enabled": enabled}}, nil
}

// supervisor finds out what runs the host's services: of those that are installed
// the one that the host was booted with.
func (m *service) supervisor(ctx context.Context, c conn.Conn) (string, error) {
	if m.Use != "" {
		return string(m.Use), nil
	}
	for _, sign := range []struct{ path, name string }{
		{"/run/systemd/system", "systemd"},
		{"/run/openrc", "openrc"},
		{"/etc/init.d", "sysv"},
	} {
		_, err := c.Stat(ctx, sign.path)
		if err == nil {
			return sign.name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("finding what runs the host's services: %w", err)
		}
	}
	return "", errors.New("the host has none of systemd, OpenRC and init scripts to run services by")
}
