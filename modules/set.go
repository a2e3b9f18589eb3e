package modules

import (
	"context"
	"maps"
	"slices"

	"github.com/jet-bus/jet-bus/engine"
)

// set is the set module. It stores variables of the host, in check mode too, and
// needs no connection to it.
type set struct {
	// Vars maps names of variables to their values. Templates in the values, at
	// any depth, are rendered and come to text; other values keep their type.
	// They replace what an earlier task set, for this host and for later plays,
	// and give way to the play's vars. None of them sees another one of the same
	// task.
	Vars map[string]any `yaml:"vars,required"`
}

// Validate checks the names.
func (m *set) Validate() error {
	for _, name := range slices.Sorted(maps.Keys(m.Vars)) {
		if err := checkVarName(name); err != nil {
			return err
		}
	}
	return nil
}

// Offline says that the host is not needed.
func (m *set) Offline() bool { return true }

func (m *set) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *set) Apply(_ context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	for name, v := range m.Vars {
		h.Set(name, v)
	}
	return engine.Result{}, nil
}
