package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// recall reads how the subscription fared in an earlier life.
func (l *lane) recall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	was, err := load(ctx, l.bus, l.name)
	if err != nil {
		return fmt.Errorf("see how subscription %s fared: %w", l.name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Name != "" {
		return nil // it is in this life
	}
	now := time.Now().UTC()
	if was.Name == "" {
		was = State{Name: l.name, Kind: kind, State: StateOK, Since: now, Counted: now}
	}
	was.By, was.Sink, was.Next = l.By, l.sub.sink(), time.Time{}
	l.state, l.dirty = was, true
	l.seen = position{was.Clear, was.ClearAt}
	return nil
}

// report writes down how the subscription fares, until ctx ends.
func (l *lane) report(ctx context.Context, cons jetstream.Consumer) {
	tick := time.NewTicker(l.timing.report)
	defer tick.Stop()
	looked := time.Now() // when the lane began
	for {
		if time.Since(looked) >= l.idle {
			looked = time.Now()
			if err := l.clear(ctx, cons); err != nil && ctx.Err() == nil {
				l.log.Debug("it is not known what waits", slog.Any("err", err))
			}
		}
		l.write(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			l.write(context.WithoutCancel(ctx))
			return
		}
	}
}

// write writes down how the subscription fares, if that is not done.
func (l *lane) write(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	l.mu.Lock()
	state, dirty := l.state, l.dirty
	state.Clear, state.ClearAt = l.seen.seq, l.seen.at.UTC()
	l.dirty = false
	l.mu.Unlock()
	if !dirty || l.current(l.name) == nil {
		return
	}
	if err := store(ctx, l.bus, state); err != nil && ctx.Err() == nil {
		l.log.Debug("how the subscription fares is not written down", slog.Any("err", err))
		l.mu.Lock()
		l.dirty = true
		l.mu.Unlock()
	}
}
