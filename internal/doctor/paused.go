package doctor

import (
	"context"
	"fmt"

	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// paused tells of what somebody, or a breaker, has stopped, and of what waits for it.
func (e *examination) paused(ctx context.Context) error {
	all, err := control.List(ctx, e.bus)
	if err != nil {
		return fmt.Errorf("see what is paused: %w", err)
	}
	none := true
	for _, p := range all {
		if !p.Holds() {
			continue
		}
		none = false
		waiting := 0
		for _, j := range e.jobs {
			if j.State == queue.Pending && (p.Kind == control.Rule && j.Rule == p.Name || p.Kind == control.Queue && queue.NameFor(j.Needs) == p.Name) {
				waiting++
			}
		}
		text := fmt.Sprintf("%s is paused since %s by %s", p, p.Since.UTC().Format("2006-01-02 15:04 MST"), p.By)
		if p.Reason != "" {
			text += ": " + p.Reason
		}
		if p.Kind != control.Source {
			text += fmt.Sprintf("; %d of its jobs wait", waiting)
		}
		switch {
		case p.Kind == control.Source:
			e.warn("jet sources resume "+p.Name+", once it may go on", "%s", text)
		case p.Kind == control.Rule:
			e.warn("jet rules resume "+p.Name+", once it may go on", "%s, and it judges no event from %d on", text, p.From)
		case waiting > 0:
			e.warn("jet queues resume "+p.Name+", once they may run", "%s", text)
		default:
			e.ok("%s", text)
		}
	}
	if none {
		e.ok("no rule, no queue and no source is")
	}
	return nil
}
