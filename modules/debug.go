package modules

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// debug is the debug module. It shows the variables as they are in force for the
// host, blended by precedence. Passwords and passphrases are hidden. It needs no
// connection to the host, and speaks in check mode too.
type debug struct {
	// Vars names the variables to print; when it is not given, all are.
	Vars []string `yaml:"vars"`
}

// Offline says that the host is not needed.
func (m *debug) Offline() bool { return true }

func (m *debug) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *debug) Apply(_ context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	show := maps.Clone(h.Vars)
	var missing []string
	if m.Vars != nil {
		show = make(map[string]any, len(m.Vars))
		for _, name := range m.Vars {
			v, ok := h.Vars[name]
			if !ok {
				missing = append(missing, name)
				continue
			}
			show[name] = v
		}
	}
	delete(show, "item")
	for name := range show {
		if engine.IsSecret(name) {
			show[name] = engine.Hidden
		}
	}

	var parts []string
	if len(show) > 0 {
		text, err := h.Render("debug", "{{to_yaml vars}}", map[string]any{"vars": show})
		if err != nil {
			return engine.Result{}, fmt.Errorf("printing the variables: %w", err)
		}
		parts = append(parts, text)
	}
	if len(missing) > 0 {
		parts = append(parts, "# not defined: "+strings.Join(missing, ", "))
	}
	return engine.Result{Message: strings.Join(parts, "\n")}, nil
}
