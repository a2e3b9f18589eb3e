package doctor

import (
	"context"
	"time"

	"github.com/jet-bus/jet-bus/internal/deliver"
)

// undeliveredWarn is for how long a sink may fail.
const undeliveredWarn = 15 * time.Minute

// subscriptions tells of sinks that do not take their events.
func (e *examination) subscriptions(ctx context.Context) error {
	all, err := deliver.List(ctx, e.bus)
	if err != nil {
		return err
	}
	var waiting uint64
	well := true
	for _, s := range all {
		waiting += s.Pending
		if s.State.State != deliver.StateFailing || e.age(s.Since) < undeliveredWarn {
			continue
		}
		well = false
		e.warn("see what is wrong with "+s.Sink+", and try jet subscriptions test "+s.Name+" on the machine of jet-bus",
			"%s fails for %s: %s; %d events wait, %d were given up", s.Name, e.age(s.Since), s.Error, s.Pending, s.GivenUp)
	}
	switch {
	case len(all) == 0:
		e.ok("there are none")
	case well:
		e.ok("%d are delivered, %d of their events wait", len(all), waiting)
	}
	return nil
}
