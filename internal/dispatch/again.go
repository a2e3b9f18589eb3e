package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// watchEvery is how often the oldest event that is not done with is looked at.
const watchEvery = 5 * time.Second

// Redeliver sees to it that events which were handed out and came to nothing are
// handed out again, until ctx ends. The server does that after ackWait, but by its
// wall clock: while that is wrong, or after it was, the time may be hours away.
// Events that are judged twice for this make no second job.
func (d *Dispatcher) Redeliver(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var floor uint64
	since := d.now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		cons, err := d.bus.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
		if err != nil {
			continue // the bus is away, or Run will say so
		}
		info := cons.CachedInfo()
		if info.NumAckPending == 0 || info.Paused || info.AckFloor.Stream != floor {
			floor, since = info.AckFloor.Stream, d.now()
			continue
		}
		if d.now().Sub(since) < ackWait+watchEvery {
			continue
		}
		d.log.Warn("an event was handed out and not done with for long; it is handed out again",
			slog.Uint64("seq", floor+1), slog.Int("in_hand", info.NumAckPending))
		if err := d.reset(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("events not handed out again", slog.Any("err", err))
		}
		since = d.now()
	}
}

// reset has all events handed out again that are not done with.
func (d *Dispatcher) reset(ctx context.Context) error {
	_, err := d.bus.JS.ResetConsumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("hand events out again: %w", err)
	}
	return nil
}
