package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Names of what differs in a unit, in the order in which it is done.
const (
	fieldDaemonReload = "DaemonReload"
	fieldUnmask       = "Unmask"
	fieldStart        = "Start"
	fieldStop         = "Stop"
	fieldRestart      = "Restart"
	fieldReload       = "Reload"
	fieldEnable       = "Enable"
	fieldDisable      = "Disable"
	fieldMask         = "Mask"
)

// sdService is the sd_service module, for hosts with systemd. It ensures that a
// unit runs or does not, that it is started at boot or is not, and that it is
// masked or is not. Where the unit's files were changed, systemd reads them anew
// before anything is done to the unit.
//
// A service that fails right after it was started is a failure. One that does not
// tell when it is ready (Type simple, exec or idle) is looked at again after a fifth
// of a second.
//
// The result has, after a change, active (active, inactive, failed, …), sub (running,
// dead, exited, …) and enabled (enabled, disabled, static, masked, …), in systemd's
// words.
type sdService struct {
	// Service is the name of the unit; without a suffix it is a service. It may
	// be left out with daemon_reload alone.
	Service unitName `yaml:"service"`
	// Enabled says whether the unit is started at boot. It is left alone when it
	// is not given. A unit that others start (static, indirect, generated from
	// another file than an init script) cannot be enabled, which is a failure;
	// not to be enabled it is anyway.
	Enabled *bool `yaml:"enabled"`
	// Started says whether the unit runs. It is left alone when it is not given.
	Started *bool `yaml:"started"`
	// Restart restarts the unit, or starts it if it does not run. It always is a
	// change. It excludes started: false and reload.
	Restart bool `yaml:"restart"`
	// Reload makes a running unit read its configuration anew; one that does not
	// run is started. It always is a change. A unit that has no way to reload is
	// a failure. It excludes started: false and restart.
	Reload bool `yaml:"reload"`
	// Masked says whether the unit is masked, so that nothing can start it. It is
	// left alone when it is not given; a masked unit then cannot be started or
	// enabled. When it is true, it excludes enabled: true, started: true, restart
	// and reload. It does not stop a unit that runs: started: false does.
	Masked *bool `yaml:"masked"`
	// DaemonReload makes systemd read the unit's files anew when they have
	// changed, also when nothing else is to be done to the unit. Without service,
	// systemd reads the files of all units anew, each time.
	DaemonReload bool `yaml:"daemon_reload"`
	// Scope is system (the default), or user for the units of the user that the
	// task runs as, whose own systemd must run: that of a user who is logged in
	// or lingers (loginctl enable-linger).
	Scope unitScope `yaml:"scope"`

	by   systemctl
	unit map[string]string
}

// unitName is the name of a systemd unit.
type unitName string

// maxUnitName is the length that systemd allows.
const maxUnitName = 255

// UnmarshalNode takes what can name a unit.
func (u *unitName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(`:_.\@-`, r)
	}
	switch {
	case len(n.Value) > maxUnitName:
		return f.Errorf(n, "%q… is too long for the name of a unit", n.Value[:20])
	case n.Kind != yaml.ScalarNode || n.Value == "" || n.Value[0] == '-' || n.Value[0] == '.' || strings.ContainsFunc(n.Value, strange):
		return f.Errorf(n, "%q is no name of a unit", n.Value)
	}
	*u = unitName(n.Value)
	return nil
}

// unitScope is system or user: whose systemd is meant.
type unitScope string

// UnmarshalNode takes system and user.
func (s *unitScope) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value != "system" && n.Value != "user" {
		return f.Errorf(n, "scope must be system or user")
	}
	*s = unitScope(n.Value)
	return nil
}

// Validate checks parameters that exclude each other.
func (m *sdService) Validate() error {
	others := m.Enabled != nil || m.Started != nil || m.Masked != nil || m.Restart || m.Reload
	switch {
	case m.Service == "" && (others || !m.DaemonReload):
		return errors.New("service is missing")
	case isTrue(m.Masked) && (isTrue(m.Enabled) || isTrue(m.Started) || m.Restart || m.Reload):
		return errors.New("masked: true excludes enabled, started, restart and reload")
	}
	return startable(m.Started, m.Restart, m.Reload)
}

// startable checks parameters of services that exclude each other.
func startable(started *bool, restart, reload bool) error {
	switch {
	case isFalse(started) && (restart || reload):
		return errors.New("started: false and restart or reload exclude each other")
	case restart && reload:
		return errors.New("restart and reload exclude each other")
	}
	return nil
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }

// Preview reads ahead what Query reads.
func (m *sdService) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *sdService) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.by, err = newSystemctl(ctx, h.Conn, m.Scope); err != nil {
		return engine.Plan{}, err
	}
	if m.Service == "" {
		return engine.Plan{Need: engine.Execute}, nil
	}
	if m.unit, err = m.by.show(ctx, h.Conn, string(m.Service)); err != nil {
		return engine.Plan{}, err
	}
	if err := m.usable(); err != nil {
		return engine.Plan{}, err
	}
	fields, err := m.fields()
	if err != nil {
		return engine.Plan{}, err
	}
	if len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	return engine.Plan{Need: engine.Modify, Fields: fields}, nil
}

// usable says what is wrong with the unit itself.
func (m *sdService) usable() error {
	switch load := m.unit["LoadState"]; {
	case load == "not-found" && isTrue(m.Masked):
		return nil // so that nothing brings it
	case load == "not-found":
		return fmt.Errorf("the host has no unit %s", m.Service)
	case load == "error" || load == "bad-setting":
		return fmt.Errorf("unit %s cannot be loaded (%s): systemctl status %[1]s says more", m.Service, load)
	case m.Reload && m.unit["CanReload"] == "no" && m.active():
		return fmt.Errorf("unit %s has no way to reload: give restart instead", m.Service)
	}
	return nil
}

// fields are what is to be done, in order.
func (m *sdService) fields() ([]string, error) {
	masked := m.unit["LoadState"] == "masked"
	var fields []string
	note := func(todo bool, field string) {
		if todo && field != "" {
			fields = append(fields, field)
		}
	}
	note(m.DaemonReload && m.unit["NeedDaemonReload"] == "yes", fieldDaemonReload)
	note(masked && isFalse(m.Masked), fieldUnmask)
	run := m.running()
	boot, err := m.boot()
	if err != nil {
		return nil, err
	}
	if masked && isFalse(m.Masked) && isFalse(m.Enabled) {
		boot = fieldDisable // whether it is enabled does not show through the mask
	}
	if masked && !isFalse(m.Masked) && (run != "" && run != fieldStop || boot != "") {
		return nil, fmt.Errorf("unit %s is masked: unmask it first", m.Service)
	}
	note(true, run)
	note(true, boot)
	note(!masked && isTrue(m.Masked), fieldMask)
	return fields, nil
}

// active says whether the unit runs, or is about to.
func (m *sdService) active() bool {
	return slices.Contains([]string{"active", "activating", "reloading", "refreshing"}, m.unit["ActiveState"])
}

// running says what has to be done so that the unit runs, or does not.
func (m *sdService) running() string {
	if isFalse(m.Started) && m.unit["ActiveState"] == "deactivating" {
		return "" // it is on its way
	}
	return toRun(m.active(), m.Started, m.Restart, m.Reload)
}

// toRun says what has to be done so that a service runs, or does not.
func toRun(active bool, started *bool, restart, reload bool) string {
	switch {
	case (restart || reload) && !active:
		return fieldStart
	case restart:
		return fieldRestart
	case reload:
		return fieldReload
	case started == nil || *started == active:
		return ""
	case active:
		return fieldStop
	default:
		return fieldStart
	}
}

// boot says what has to be done so that the unit starts at boot, or does not.
func (m *sdService) boot() (string, error) {
	if m.Enabled == nil {
		return "", nil
	}
	state := m.unit["UnitFileState"]
	switch {
	case state == "enabled" || state == "alias":
		if !*m.Enabled {
			return fieldDisable, nil
		}
		return "", nil
	case !*m.Enabled && state == "enabled-runtime":
		return fieldDisable, nil
	case !*m.Enabled:
		return "", nil
	case slices.Contains([]string{"static", "generated", "transient", "indirect"}, state):
		return "", fmt.Errorf("unit %s is %s: it has no say in when it is started and cannot be enabled", m.Service, state)
	default:
		return fieldEnable, nil
	}
}

func (m *sdService) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	stale := m.unit["NeedDaemonReload"] == "yes" || m.Service == ""
	if stale && !slices.Contains(p.Fields, fieldDaemonReload) {
		if err := m.by.act(ctx, h.Conn, "daemon-reload"); err != nil {
			return engine.Result{}, err
		}
	}
	if m.Service == "" {
		return engine.Result{}, nil
	}
	for _, f := range p.Fields {
		args := []string{strings.ToLower(f), "--", string(m.Service)}
		if f == fieldDaemonReload {
			args = []string{"daemon-reload"}
		}
		if err := m.by.act(ctx, h.Conn, args...); err != nil {
			return engine.Result{}, err
		}
	}
	return m.result(ctx, h, p)
}

// settling is how long a service that tells nobody when it is ready is given to fail.
const settling = 200 * time.Millisecond

// result looks at what came of it: systemctl does not wait for a service that ends
// at once.
func (m *sdService) result(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	var err error
	if m.unit, err = m.by.show(ctx, h.Conn, string(m.Service)); err != nil {
		return engine.Result{}, err
	}
	failed := m.failed()
	started := slices.Contains(p.Fields, fieldStart) || slices.Contains(p.Fields, fieldRestart)
	if started && !failed && slices.Contains([]string{"simple", "exec", "idle"}, m.unit["Type"]) {
		select {
		case <-ctx.Done():
			return engine.Result{}, context.Cause(ctx)
		case <-time.After(settling):
		}
		restarts := m.unit["NRestarts"]
		if m.unit, err = m.by.show(ctx, h.Conn, string(m.Service)); err != nil {
			return engine.Result{}, err
		}
		failed = m.failed() || m.unit["NRestarts"] != restarts
	}
	if started && failed {
		return engine.Result{}, fmt.Errorf("unit %s failed as soon as it was started: systemctl status %[1]s says more", m.Service)
	}
	return engine.Result{Data: map[string]any{
		"active": m.unit["ActiveState"], "sub": m.unit["SubState"], "enabled": m.unit["UnitFileState"],
	}}, nil
}

// failed says whether the unit did not stay up, also where systemd is about to start
// it again.
func (m *sdService) failed() bool {
	again := m.unit["SubState"] == "auto-restart" || m.unit["SubState"] == "auto-restart-queued"
	return m.unit["ActiveState"] == "failed" || again && m.unit["Result"] != "success"
}
