package dispatch

import (
	"context"
	"sync"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
)

// resuming is which rules are being resumed.
type resuming struct {
	mu      sync.Mutex
	pauses  []control.Pause
	changed chan struct{}
}

func (f *resuming) follow(ctx context.Context, b *bus.Bus) error {
	for all, err := range control.Follow(ctx, b) {
		if err != nil {
			return err
		}
		var now []control.Pause
		for _, p := range all {
			if p.Kind == control.Rule && p.Resuming {
				now = append(now, p)
			}
		}
		f.mu.Lock()
		f.pauses = now
		f.mu.Unlock()
		select {
		case f.changed <- struct{}{}:
		default: // one is waiting
		}
	}
	return nil
}

func (f *resuming) list() []control.Pause {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pauses
}
