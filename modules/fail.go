package modules

import (
	"context"
	"errors"

	"github.com/jet-bus/jet-bus/engine"
)

// fail is the fail module. It ends the run for the host, in check mode as well. It
// needs no connection to the host, and mostly stands under a condition.
type fail struct {
	// Msg is the reason to show.
	Msg string `yaml:"msg"`
}

// Offline says that the host is not needed.
func (m *fail) Offline() bool { return true }

func (m *fail) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *fail) Apply(context.Context, *engine.Host, engine.Plan) (engine.Result, error) {
	if m.Msg == "" {
		return engine.Result{}, errors.New("the playbook says to fail here")
	}
	return engine.Result{}, errors.New(m.Msg)
}
