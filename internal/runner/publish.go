package runner

import (
	"context"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/report"
)

// publish stores an event that the playbook of a job publishes, as a link in the
// chain that the job belongs to. Attempts at a job publish the same events.
func publish(ctx context.Context, b *bus.Bus, j queue.Job, p engine.Publication) (engine.Published, error) {
	e, err := report.Publication("/jobs/"+j.ID, p)
	if err != nil {
		return engine.Published{}, err
	}
	j.Chain(&e)
	ack, err := b.PublishEvent(ctx, bus.ClassExternal, e)
	if err != nil {
		return engine.Published{}, err
	}
	return engine.Published{ID: e.ID(), Source: e.Source(), Duplicate: ack.Duplicate}, nil
}
