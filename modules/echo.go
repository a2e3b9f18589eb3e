package modules

import (
	"context"

	"github.com/jet-bus/jet-bus/engine"
)

// echo is the echo module. It says something to whoever looks at the run, in check
// mode too, and needs no connection to the host.
//
// The result holds the message as msg.
type echo struct {
	// Msg is the text to print.
	Msg string `yaml:"msg,required"`
}

// Offline says that the host is not needed.
func (m *echo) Offline() bool { return true }

func (m *echo) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *echo) Apply(context.Context, *engine.Host, engine.Plan) (engine.Result, error) {
	return engine.Result{Message: m.Msg}, nil
}
