package ordered

import (
	"context"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// batch is how many events are judged before what they ask for is waited for.
const batch = 256

// idle waits, while no rule in force is ordered, for a set that has some. It reads
// nothing of EVENTS but the activations, and these only when our own content changed.
func (f *fold) idle(ctx context.Context) error {
	for {
		for m, err := range f.ev.bus.Tail(ctx, bus.StreamEvents, activations, bus.TailOptions{From: f.pos + 1}) {
			if err != nil {
				return err
			}
			list, err := f.take(ctx, m)
			if err == nil {
				err = f.carryOut(ctx, list)
			}
			if err != nil || f.awake() {
				return err
			}
		}
		if own := f.ev.content(); hasOrdered(own) {
			if err := f.announce(ctx, own); err != nil {
				return err
			}
			continue
		}
		if err := f.release(ctx); err != nil {
			return err
		}
		f.snaps.sleepy(ctx, f)
		var again <-chan time.Time
		if !f.retry.IsZero() {
			again = time.After(max(f.retry.Sub(f.ev.now()), time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.ev.changed:
		case <-f.ev.pauses.changed:
		case <-again:
		}
	}
}

// follow judges all events, while a rule in force is ordered.
func (f *fold) follow(ctx context.Context) error {
	if err := f.lookBack(ctx); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	msgs := make(chan bus.Msg, batch)
	var failed error
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		defer close(msgs)
		for m, err := range f.ev.bus.Tail(reading, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: f.pos + 1, Follow: true}) {
			if err != nil {
				failed = err
				return
			}
			select {
			case msgs <- m:
			case <-reading.Done():
				return
			}
		}
	})
	for f.awake() {
		timer := time.NewTimer(f.wait())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case m, ok := <-msgs:
			timer.Stop()
			if !ok {
				return failed // nil if ctx ended
			}
			if err := f.batch(ctx, m, msgs); err != nil {
				return err
			}
		case <-timer.C:
		case <-f.ev.changed:
			timer.Stop()
		case <-f.ev.pauses.changed:
			timer.Stop()
			f.retry = f.ev.now()
		}
		if err := f.keepUp(ctx); err != nil {
			return err
		}
	}
	return nil
}

// batch judges a message and those that are there already, and has carried out what
// they ask for when it returns.
func (f *fold) batch(ctx context.Context, m bus.Msg, more <-chan bus.Msg) error {
	f.behind = true
	var list []*firing
	for n := 1; ; n++ {
		next, err := f.take(ctx, m)
		if err != nil {
			return err
		}
		list = append(list, next...)
		if n == batch || !f.awake() {
			break
		}
		ok := false
		select {
		case m, ok = <-more:
		default:
		}
		if !ok {
			break
		}
	}
	return f.carryOut(ctx, list)
}

func (f *fold) carryOut(ctx context.Context, list []*firing) error {
	f.behind = true
	if err := f.perform(ctx, list); err != nil {
		return err
	}
	f.behind = false
	if f.caughtUp() { // what comes now nobody has seen before
		f.past = past{end: f.past.end}
	}
	return nil
}

// keepUp does what is due beside events.
func (f *fold) keepUp(ctx context.Context) error {
	f.snaps.perhaps(ctx, f)
	if !f.caughtUp() || !f.awake() {
		return nil
	}
	own, now := f.ev.content(), f.content
	if own.Set != nil && f.activation <= f.pos && (own.Bundle != now.Bundle || own.Set.Digest() != now.Set.Digest()) {
		if err := f.announce(ctx, own); err != nil {
			return err
		}
	}
	if !f.retry.IsZero() && !f.ev.now().Before(f.retry) {
		if err := f.release(ctx); err != nil {
			return err
		}
	}
	return f.tick(ctx)
}
