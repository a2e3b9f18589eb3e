package doctor

import (
	"context"
	"fmt"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

// recent is how many of the newest events are looked at.
const recent = 200

// unreadable looks for events that were stored and that no rule can judge: the bus
// acknowledges what a client publishes on it, whatever that is.
func (e *examination) unreadable(ctx context.Context) error {
	s, err := e.bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamEvents, err)
	}
	from := uint64(1)
	if last := s.CachedInfo().State.LastSeq; last > recent {
		from = last - recent + 1
	}
	seen, bad, latest := 0, 0, ""
	for m, err := range e.bus.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: from}) {
		if err != nil {
			return fmt.Errorf("read the newest events: %w", err)
		}
		seen++
		ev, err := bus.DecodeEvent(m.Header, m.Data)
		switch {
		case err != nil:
			latest = fmt.Sprintf("event %d on %s: %s", m.Seq, m.Subject, err)
		case dispatch.Forged(m.Subject, ev):
			latest = fmt.Sprintf("event %d on %s: its type is for jet-bus itself", m.Seq, m.Subject)
		default:
			continue
		}
		bad++
	}
	if bad == 0 {
		e.ok("each of the newest %d can be judged", seen)
		return nil
	}
	e.warn("mend whoever publishes them: CloudEvents 1.0, as structured JSON or with ce- headers, of types of their own; jet events shows them",
		"%d of the newest %d are not judged by any rule, the last: %s", bad, seen, latest)
	return nil
}
