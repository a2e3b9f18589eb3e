package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Run takes events until ctx ends, and returns when those in hand are done with.
//
// Events are judged side by side. Then the records of their jobs are sent one
// after the other, in the order of the events, without waiting for one to be
// stored before the next is sent; an event is acknowledged when all of its own
// are. One that could not be dealt with comes again, and then out of order. It
// outlasts a bus that has no leader for a while.
func (d *Dispatcher) Run(ctx context.Context) error {
	if d.Name != "" {
		defer d.retire(ctx) // last, when none is in hand
	} else if err := d.reset(ctx); err != nil && ctx.Err() == nil {
		return err // nobody else is on the bus: what is in hand was so in an earlier life
	}
	work, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	known, failed := make(chan struct{}), make(chan error, 1)
	wg.Go(func() {
		if err := d.pauses.follow(work, d.bus, known); err != nil {
			failed <- err
		}
		stop()
	})
	select {
	case <-known: // not before: a paused rule must not fire at the start
	case <-work.Done():
	}
	for work.Err() == nil {
		err := d.take(work)
		if work.Err() != nil {
			break
		}
		// Made anew, a consumer that somebody deleted would give all events again:
		// that is for whoever starts us again to decide.
		_, gone := d.bus.JS.Consumer(work, bus.StreamEvents, bus.ConsumerDispatch)
		if errors.Is(gone, jetstream.ErrConsumerNotFound) || d.bus.Conn.IsClosed() {
			return err
		}
		d.log.Warn("no events at the moment", slog.Any("err", err))
		pause(work)
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// take gives events to the line until ctx ends, or the consumer is gone.
func (d *Dispatcher) take(ctx context.Context) error {
	cons, err := d.consumer(ctx)
	if err != nil {
		return err
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(inHand), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("take events: %w", err)
	}
	// Those already fetched come through the loop, to be given back: kept, they
	// would be handed out again only after ackWait.
	defer context.AfterFunc(ctx, it.Drain)()
	l := newLine(ctx, d)
	defer l.close()
	for {
		msg, err := it.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("take events: %w", err) // the connection or the consumer is gone
		case err == nil && ctx.Err() != nil:
			_ = msg.Nak()
		case err == nil:
			l.add(msg)
		default:
			d.log.Warn("no events at the moment", slog.Any("err", err))
			pause(ctx)
		}
	}
}

// pause waits a moment, so that a bus that does not answer is not asked all the
// time.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(retryAfter):
	}
}
