package jobevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
)

// batch is how many messages are told of before it is waited until that is stored.
const batch = 256

// teller makes events of the messages of a stream, in their order.
type teller interface {
	// tell returns the events that a message is told by. An error says that the bus did
	// not answer.
	tell(ctx context.Context, m bus.Msg) ([]events.Event, error)
}

// feed tells what a stream has. But for what Want sets, it belongs to one goroutine.
type feed struct {
	f              *Follower
	stream, filter string
	key            string // of the cursor
	newTeller      func() teller
	types          []string
	changed        chan struct{} // what is wanted
	begin          uint64        // by f.mu: where to begin what nobody wanted before

	cursor cursor
	rev    uint64 // of the cursor
	// next is the first message that is not told of, from the cursor on.
	next uint64
}

func newFeed(f *Follower, stream, filter, key string, t func() teller, types ...string) *feed {
	return &feed{f: f, stream: stream, filter: filter, key: key, newTeller: t, types: types, changed: make(chan struct{}, 1)}
}

// run tells until ctx ends, or the bus is gone for good.
func (d *feed) run(ctx context.Context) error {
	for {
		err := d.once(ctx)
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to stop
		}
		if errors.Is(err, bus.ErrDenied) || d.f.bus.Conn.IsClosed() {
			return err
		}
		d.f.log.Warn("events about jobs have to wait", slog.String("stream", d.stream), slog.Any("err", err))
		pause.For(ctx, d.f.retry)
	}
}

func (d *feed) once(ctx context.Context) error {
	if err := d.load(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		begin, wanted := d.wanted()
		switch {
		case wanted && !d.cursor.Idle:
			if err := d.follow(ctx); err != nil {
				return err
			}
		case wanted:
			end, err := endOf(ctx, d.f.bus, d.stream)
			if err != nil {
				return err
			}
			if err := d.store(ctx, cursor{Next: min(max(begin, d.cursor.Next, 1), end+1)}); err != nil {
				return err
			}
		case d.cursor.Idle:
			select {
			case <-ctx.Done():
			case <-d.changed:
			}
		default:
			end, err := endOf(ctx, d.f.bus, d.stream)
			if err != nil {
				return err
			}
			if err := d.store(ctx, cursor{Next: end + 1, Idle: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// wanted reports whether anything is, and where that begins if nothing was before.
func (d *feed) wanted() (begin uint64, wanted bool) {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	return d.begin, d.f.wantsAny(d.types)
}

// follow tells from the cursor on, for as long as something is wanted.
func (d *feed) follow(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	msgs := make(chan bus.Msg, batch)
	var failed error
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		defer close(msgs)
		for m, err := range d.f.bus.Tail(reading, d.stream, d.filter, bus.TailOptions{From: d.cursor.Next, Follow: true}) {
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
	d.next = d.cursor.Next
	defer d.keepLast(ctx)
	t := d.newTeller()
	tick := time.NewTicker(d.f.save)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
			if _, wanted := d.wanted(); !wanted {
				return nil
			}
		case <-tick.C:
			if err := d.keep(ctx); err != nil {
				return err
			}
		case m, ok := <-msgs:
			if !ok {
				return failed // nil if ctx ended
			}
			if err := d.batch(ctx, t, m, msgs); err != nil {
				return err
			}
		}
	}
}

// batch tells of a message and of those that are there already, and returns once all
// of that is stored.
func (d *feed) batch(ctx context.Context, t teller, m bus.Msg, more <-chan bus.Msg) error {
	var list []events.Event
	for n := 1; ; n++ {
		made, err := t.tell(ctx, m)
		if err != nil {
			return err
		}
		for _, e := range made {
			if d.f.wanted(e.Type()) {
				list = append(list, e)
			}
		}
		last, ok := m.Seq, false
		if n < batch {
			select {
			case m, ok = <-more:
			default:
			}
		}
		if ok {
			continue
		}
		if err := d.publish(ctx, list); err != nil {
			return err
		}
		d.next = last + 1
		return nil
	}
}

// publish stores events, in their order, and tries again what fails for want of the
// bus until ctx ends. One that can never be stored keeps no other.
func (d *feed) publish(ctx context.Context, list []events.Event) error {
	for told := false; len(list) > 0; told = true {
		waits := make([]func() (uint64, bool, error), len(list))
		for i, e := range list {
			msg, err := bus.EncodeEvent(bus.EventSubject(bus.ClassOwn, e.Type()), e)
			if err != nil {
				d.f.log.Error("an event about a job cannot be published", slog.String("id", e.ID()), slog.Any("err", err))
				continue
			}
			waits[i] = d.f.bus.Send(ctx, msg)
		}
		var again []events.Event
		var last error
		for i, wait := range waits {
			if wait == nil {
				continue
			}
			_, _, err := wait()
			switch {
			case err == nil:
			case errors.Is(err, bus.ErrTooLarge):
				d.f.log.Error("an event about a job cannot be published", slog.String("id", list[i].ID()), slog.Any("err", err))
			default:
				again, last = append(again, list[i]), err
			}
		}
		if list = again; len(list) == 0 {
			return nil
		}
		if ctx.Err() != nil || errors.Is(last, bus.ErrDenied) {
			return fmt.Errorf("tell of jobs: %w", last)
		}
		if !told {
			d.f.log.Warn("events about jobs have to wait", slog.Int("waiting", len(list)), slog.Any("err", last))
		}
		pause.For(ctx, d.f.retry)
	}
	return nil
}
