package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// untoldWarn is how long people may wait for a message.
const untoldWarn = 15 * time.Minute

// notifications tells of messages to people that are not sent.
func (e *examination) notifications(ctx context.Context) error {
	s, err := e.bus.JS.Stream(ctx, bus.StreamNotify)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamNotify, err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		e.ok("none waits to be sent")
		return nil
	}
	age := e.age(state.FirstTime)
	if age < untoldWarn {
		e.ok("%d wait to be sent, the oldest for %s", state.Msgs, age)
		return nil
	}
	e.warn("see the log of jet-bus for what their targets in notify.yml answer", "%d wait to be sent, the oldest for %s", state.Msgs, age)
	return nil
}
