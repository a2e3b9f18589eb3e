package ordered

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// effect is one thing that a firing does.
type effect struct {
	of *firing
	// send sends it and returns what waits until it is stored.
	send func(ctx context.Context) (wait func() error)
	wait func() error
}

// perform carries out firings, in their order, and records them. It returns when all
// of that is stored; what fails for want of the bus it tries again until ctx ends. A
// part that can never be stored is noted, and keeps nothing else.
func (f *fold) perform(ctx context.Context, list []*firing) error {
	list = slices.DeleteFunc(slices.Clone(list), func(x *firing) bool { return x.done })
	var all []*effect
	for _, x := range list {
		if x.Record.Held {
			all = append(all, f.holding(x))
			continue
		}
		all = append(all, f.effects(x)...)
	}
	if err := f.insist(ctx, all, func(x *firing, err error) {
		if x.Record.Held {
			x.Record.Held = false
			f.held[x.Record.Rule]--
		}
		x.failed(err)
	}); err != nil {
		return err
	}
	records := make([]*effect, 0, len(list))
	for _, x := range list {
		f.report(x)
		records = append(records, &effect{of: x, send: func(ctx context.Context) func() error {
			msg, err := x.Record.message()
			if err != nil {
				return func() error { return err }
			}
			wait := f.ev.bus.Send(ctx, msg)
			return func() error {
				seq, _, err := wait()
				f.snaps.decided = max(f.snaps.decided, seq)
				return err
			}
		}})
	}
	return f.insist(ctx, records, func(x *firing, err error) {
		f.log.Error("a decision is not recorded", slog.String("rule", x.Record.Rule), slog.Any("err", err))
	})
}

// insist sends effects, in their order, until each is stored or has failed for good.
func (f *fold) insist(ctx context.Context, list []*effect, failed func(x *firing, err error)) error {
	for told := false; len(list) > 0; told = true {
		for _, e := range list {
			e.wait = e.send(ctx)
		}
		var again []*effect
		var last error
		for _, e := range list {
			err := e.wait()
			switch {
			case err == nil:
			case final(err):
				failed(e.of, err)
			default:
				again, last = append(again, e), err
			}
		}
		if list = again; len(list) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("carry out what rules ask for: %w", context.Cause(ctx))
		}
		if !told {
			f.log.Warn("what rules ask for has to wait", slog.Int("waiting", len(list)), slog.Any("err", last))
		}
		pause.For(ctx, f.ev.times.retry)
	}
	return nil
}

// errNever marks what no other attempt would change.
var errNever = errors.New("cannot be done")

func final(err error) bool {
	for _, never := range []error{errNever, queue.ErrTooLarge, bus.ErrTooLarge, bus.ErrDenied} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}

func never(err error) func() error { return func() error { return err } }

// effects are what a firing does.
func (f *fold) effects(x *firing) (out []*effect) {
	if x.Record.Dropped {
		return nil
	}
	if x.Job != nil {
		out = append(out, &effect{of: x, send: func(ctx context.Context) func() error {
			wait := f.ev.queue.Send(ctx, *x.Job)
			return func() error {
				_, _, err := wait()
				if errors.Is(err, queue.ErrUnreadable) {
					return nil // it is there, and somebody else's trouble
				}
				if err != nil && !passing(err) && queue.Check(*x.Job) != nil {
					return fmt.Errorf("%w: %w", errNever, err)
				}
				return err
			}
		}})
	}
	for _, p := range x.Publish {
		if id := p.Event.ID(); f.past.published[id] || f.released.published[id] {
			continue
		}
		out = append(out, &effect{of: x, send: func(ctx context.Context) func() error {
			msg, err := bus.EncodeEvent(bus.EventSubject(p.Class, p.Event.Type()), p.Event)
			if err != nil {
				return never(fmt.Errorf("%w: %w", errNever, err))
			}
			return storing(f.ev.bus.Send(ctx, msg))
		}})
	}
	for _, n := range x.Notify {
		out = append(out, &effect{of: x, send: func(ctx context.Context) func() error {
			if f.ev.Notify == nil {
				return never(fmt.Errorf("notify %s: %w: this jet-bus sends no messages", n.To, errNever))
			}
			wait := f.ev.Notify(ctx, n)
			return func() error {
				err := wait()
				// People do not hold up what is for machines.
				if err != nil && (errors.Is(err, bus.ErrFull) || !passing(err) && ctx.Err() == nil) {
					err = fmt.Errorf("notify %s: %w: %w", n.To, errNever, err)
				}
				return err
			}
		}})
	}
	return out
}

func storing(wait func() (uint64, bool, error)) func() error {
	return func() error {
		_, _, err := wait()
		return err
	}
}

// report logs what became of a firing.
func (f *fold) report(x *firing) {
	log := f.log.With(slog.String("rule", x.Record.Rule), slog.Uint64("seq", x.Record.Seq))
	switch {
	case len(x.errs) > 0:
		log.Warn("rule failed", slog.String("err", x.Record.Error))
	case x.Record.Outcome != outcomeFired:
	case x.Record.Held:
		log.Debug("firing is held until the rule is resumed")
	case x.Record.Dropped:
		log.Debug("firing is left out, as its rule was resumed without it")
	default:
		log.Info("rule fired", slog.String("job", x.Record.Job), slog.Int("published", len(x.Publish)),
			slog.Int("notified", len(x.Notify)), slog.Int("facts", len(x.Record.Set)))
	}
}

// holding stores a firing for the resume of its rule.
func (f *fold) holding(x *firing) *effect {
	return &effect{of: x, send: func(ctx context.Context) func() error {
		data, err := json.Marshal(x)
		if err != nil {
			return never(fmt.Errorf("%w: %w", errNever, err))
		}
		msg := &nats.Msg{Subject: heldSubject(x.Record.Rule) + fmt.Sprintf("%020d.%s", x.Record.Seq, x.Record.ID), Header: nats.Header{}, Data: data}
		bus.ExpectSubjectSeq(msg, msg.Subject, 0)
		wait := f.ev.bus.Send(ctx, msg)
		return func() error {
			_, _, err := wait()
			switch {
			case errors.Is(err, bus.ErrConflict): // an earlier life did
				return nil
			case errors.Is(err, bus.ErrFull):
				return fmt.Errorf("hold it until the rule is resumed: %w: %w", errNever, err)
			}
			return err
		}
	}}
}
