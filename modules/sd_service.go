package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Names of what differs in a unit, in the order in which it is done.
const (
	fieldStart   = "Start"
	fieldStop    = "Stop"
	fieldRestart = "Restart"
	fieldReload  = "Reload"
	fieldEnable  = "Enable"
	fieldDisable = "Disable"
)

// sdService is the sd_service module, for hosts with systemd.
type sdService struct {
	// Service is the name of the unit; without a suffix it is a service.
	Service unitName `yaml:"service,required"`
	// Enabled says whether the unit is started at boot. It is left alone when it
	// is not given.
	Enabled *bool `yaml:"enabled"`
	// Started says whether the unit runs. It is left alone when it is not given.
	Started *bool `yaml:"started"`
	// Restart restarts the unit, or starts it if it does not run. It always is a
	// change.
	Restart bool `yaml:"restart"`
	// Reload makes a running unit read its configuration anew; one that does not
	// run is started. It always is a change.
	Reload bool `yaml:"reload"`

	unit map[string]string
}

// unitName is the name of a systemd unit.
type unitName string

// UnmarshalNode takes what can name a unit.
func (u *unitName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.HasPrefix(n.Value, "-") || strings.ContainsAny(n.Value, "/ \t\n\x00*?[") {
		return f.Errorf(n, "%q is no name of a unit", n.Value)
	}
	*u = unitName(n.Value)
	return nil
}

// Validate checks parameters that exclude each other.
func (m *sdService) Validate() error {
	stopped := m.Started != nil && !*m.Started
	switch {
	case stopped && (m.Restart || m.Reload):
		return errors.New("started: false and restart or reload exclude each other")
	case m.Restart && m.Reload:
		return errors.New("restart and reload exclude each other")
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *sdService) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *sdService) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	printed, err := runTool(ctx, h.Conn, "systemctl", "show", "--no-pager",
		"--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload", "--", string(m.Service))
	if err != nil {
		return engine.Plan{}, err
	}
	m.unit = make(map[string]string)
	for _, line := range lines(printed) {
		if k, v, ok := strings.Cut(line, "="); ok {
			m.unit[k] = v
		}
	}
	switch load := m.unit["LoadState"]; load {
	case "not-found":
		return engine.Plan{}, fmt.Errorf("the host has no unit %s", m.Service)
	case "error", "bad-setting":
		return engine.Plan{}, fmt.Errorf("unit %s cannot be loaded (%s): systemctl status %[1]s says more", m.Service, load)
	}
	var fields []string
	if f := m.running(); f != "" {
		fields = append(fields, f)
	}
	f, err := m.boot()
	if err != nil {
		return engine.Plan{}, err
	}
	if f != "" {
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	if m.unit["LoadState"] == "masked" && !slices.Equal(fields, []string{fieldStop}) {
		return engine.Plan{}, fmt.Errorf("unit %s is masked: unmask it first", m.Service)
	}
	return engine.Plan{Need: engine.Modify, Fields: fields}, nil
}

// running says what has to be done so that the unit runs, or does not.
func (m *sdService) running() string {
	active := slices.Contains([]string{"active", "activating", "reloading", "refreshing"}, m.unit["ActiveState"])
	switch {
	case (m.Restart || m.Reload) && !active:
		return fieldStart
	case m.Restart:
		return fieldRestart
	case m.Reload:
		return fieldReload
	case m.Started == nil || *m.Started == active:
		return ""
	case active:
		return fieldStop
	case !*m.Started && m.unit["ActiveState"] == "deactivating":
		return "" // it is on its way
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
	case state == "static" || state == "generated" || state == "transient":
		return "", fmt.Errorf("unit %s is %s: it has no say in when it is started and cannot be enabled", m.Service, state)
	default:
		return fieldEnable, nil
	}
}

func (m *sdService) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if m.unit["NeedDaemonReload"] == "yes" {
		if err := act(ctx, h.Conn, nil, "systemctl", "daemon-reload"); err != nil {
			return engine.Result{}, err
		}
	}
	for _, f := range p.Fields {
		if err := act(ctx, h.Conn, nil, "systemctl", strings.ToLower(f), "--", string(m.Service)); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{}, nil
}
