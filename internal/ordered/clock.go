package ordered

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/rules"
)

// tickAgain is how long there is no tick after one could not be stored.
const tickAgain = 5 * time.Second

// ticks is the part of a fold that moves the clock of rules: where no event does, a
// tick says on the bus that the time has come.
type ticks struct {
	// last is the sequence of our last tick, next when there may be another.
	last uint64
	next time.Time
	// vain is a due time that a tick did not reach: our clock is ahead of the
	// server's. until is when it has, by our clock.
	vain, until time.Time
}

// come notes a tick that has come, at a time of the stream and at now by our clock.
func (t *ticks) come(e events.Event, s *rules.State, at, now time.Time) {
	if s == nil || e.Context == nil || e.Type() != events.TypeClockTicked {
		return
	}
	if due := s.Due(); due.After(at) {
		t.vain, t.until = due, now.Add(due.Sub(at))
	}
}

// clock is the time as the server has it, as far as is known: not before that of the
// last message.
func (f *fold) clock() time.Time {
	now := f.ev.now()
	if at := f.at.Add(now.Sub(f.seen)); at.After(now) {
		return at
	}
	return now
}

// wait returns for how long nothing has to happen by time; at most look while
// windows are open.
func (f *fold) wait() time.Duration {
	now := f.ev.now()
	d := time.Hour
	if due := f.state.Due(); !due.IsZero() {
		d = f.ev.times.look
		if f.caughtUp() && f.ticks.last <= f.pos {
			soon := max(due.Sub(f.clock()), f.ticks.next.Sub(now))
			if due.Equal(f.ticks.vain) {
				soon = max(soon, f.ticks.until.Sub(now))
			}
			d = min(d, soon)
		}
	}
	if f.snaps.wanted() {
		d = min(d, max(f.snaps.next.Sub(now), f.ev.times.look))
	}
	if !f.retry.IsZero() && f.caughtUp() {
		d = min(d, f.retry.Sub(now))
	}
	return max(d, time.Millisecond)
}

// tick publishes a tick if one is due and none is on its way.
func (f *fold) tick(ctx context.Context) error {
	due, now := f.state.Due(), f.ev.now()
	switch {
	case due.IsZero(), f.clock().Before(due), now.Before(f.ticks.next), f.ticks.last > f.pos:
		return nil
	case due.Equal(f.ticks.vain) && now.Before(f.ticks.until):
		return nil
	}
	f.ticks.next = now.Add(f.ev.times.tick)
	// Two who are at the same place publish the same tick.
	seq, err := f.ev.publish(ctx, events.TypeClockTicked, "/jet-bus/clock",
		hashed("tick", due.UTC().Format(time.RFC3339Nano), fmt.Sprint(f.pos)), events.ClockTicked{Due: due.UTC()})
	if err != nil {
		if !passing(err) {
			return err
		}
		f.ticks.next = now.Add(tickAgain)
		f.log.Warn("a window that has ended has to wait", slog.Any("err", err))
		return nil
	}
	f.ticks.last = seq
	return nil
}

// publish stores an event of our own and returns its sequence.
func (ev *Evaluator) publish(ctx context.Context, typ, source, id string, data any) (uint64, error) {
	e, err := events.New(source, typ, data)
	if err != nil {
		return 0, err
	}
	e.SetID(id)
	ack, err := ev.bus.PublishEvent(ctx, bus.ClassOwn, e)
	if err != nil {
		return 0, fmt.Errorf("tell that %s: %w", typ, err)
	}
	return ack.Seq, nil
}
