package deliver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/pause"
)

// lane delivers for one subscription.
type lane struct {
	*Deliverer
	name    string
	batches bool
	workers int
	log     *slog.Logger

	mu  sync.Mutex
	sub *subscription
	// swapped is closed when the subscription is another one.
	swapped chan struct{}
	sink    sink
	seen    position
	kept    time.Duration // how long EVENTS keeps an event
	// state is what is told; dirty says that it was not told yet.
	state State
	dirty bool
}

// errEnding says that an attempt was broken off since the work ends.
var errEnding = errors.New("jet-bus is stopping")

func newLane(d *Deliverer, s *subscription) *lane {
	return &lane{
		Deliverer: d, name: s.name, batches: s.mode == batch, workers: s.parallel, sub: s, swapped: make(chan struct{}),
		log: d.log.With(slog.String("subscription", s.name)),
	}
}

// use goes on with what the subscription is now, unless that needs another lane.
func (l *lane) use(s *subscription) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s == l.sub {
		return true
	}
	if !slices.Equal(filters(s.filter.On()), filters(l.sub.filter.On())) || s.parallel != l.workers {
		return false
	}
	l.sub, l.sink = s, sink{}
	l.state.Sink, l.state.Next, l.dirty = s.sink(), time.Time{}, true
	close(l.swapped)
	l.swapped = make(chan struct{})
	return true
}

// now returns the subscription, and what is closed when it changes.
func (l *lane) now() (*subscription, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sub, l.swapped
}

// run delivers until ctx ends, and waits for what is on its way then.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.begin(ctx)
		if errors.Is(err, errGone) {
			<-ctx.Done() // whoever made this lane knows, or is about to
			return
		}
		if err != nil && ctx.Err() == nil {
			l.log.Warn("nothing is delivered at the moment", slog.Any("err", err))
			pause.For(ctx, l.again)
		}
	}
}

// begin delivers until ctx ends or the bus has nothing to take from.
func (l *lane) begin(ctx context.Context) error {
	cons, err := l.reopen(ctx)
	if err != nil {
		return err
	}
	if err := l.recall(ctx); err != nil {
		return err
	}
	if err := l.clear(ctx, cons); err != nil {
		return err
	}
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for range l.workers {
		wg.Go(func() { stop(l.take(work, cons)) })
	}
	reporting, end := context.WithCancel(context.WithoutCancel(ctx))
	var reporter sync.WaitGroup
	reporter.Go(func() { l.report(reporting, cons) })
	wg.Wait()
	end()
	reporter.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(work)
}

// reopen opens what hands out the events, where they were.
func (l *lane) reopen(ctx context.Context) (jetstream.Consumer, error) {
	l.mu.Lock()
	from := l.seen.seq
	l.mu.Unlock()
	if from > 0 {
		from++ // if somebody deleted the consumer
	}
	return l.open(ctx, l.name, from)
}

// room is how many events may be handed out and not answered for.
func room(cons jetstream.Consumer) int { return cons.CachedInfo().Config.MaxAckPending }

// take deals with what the bus hands out until ctx ends or it has nothing to take from.
func (l *lane) take(ctx context.Context, cons jetstream.Consumer) error {
	for ctx.Err() == nil {
		msgs, err := l.fetch(ctx, cons)
		switch {
		case ctx.Err() != nil:
			for _, m := range msgs {
				_ = m.Nak()
			}
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat):
			l.log.Debug("nothing to deliver", slog.Any("err", err))
		case err != nil:
			return err
		default:
			l.deal(ctx, msgs)
			if !l.batches || room(cons) == maxBatch {
				break
			}
			if cons, err = l.reopen(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch waits for an event, and for batches takes along what waits behind it.
func (l *lane) fetch(ctx context.Context, cons jetstream.Consumer) ([]jetstream.Msg, error) {
	first, err := cons.Next(jetstream.FetchContext(ctx))
	if err != nil || !l.batches || room(cons) == 1 {
		return slices.DeleteFunc([]jetstream.Msg{first}, func(m jetstream.Msg) bool { return m == nil }), err
	}
	msgs := []jetstream.Msg{first}
	more, err := cons.FetchNoWait(room(cons) - 1)
	if err != nil {
		return msgs, nil //nolint:nilerr // what is there is delivered; the next fetch will tell
	}
	for m := range more.Messages() {
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// deal delivers what the bus has handed out, or gives back what is left of it at the
// end.
func (l *lane) deal(ctx context.Context, msgs []jetstream.Msg) {
	defer alive(msgs)()
	work, stop := pause.Outlast(ctx, l.grace, errEnding)
	defer stop()
	for _, p := range parcels(l.read(work, msgs)) {
		l.deliver(ctx, work, p)
	}
}

// deliver sends events in one request until they are taken or given up, or the work
// ends.
func (l *lane) deliver(ctx, work context.Context, items []*item) {
	for len(items) > 0 {
		if items = l.await(ctx, work, items); len(items) == 0 {
			return
		}
		sub, _ := l.now()
		began := time.Now()
		_, err := sub.send(work, l.client, eventsOf(items))
		switch {
		case err == nil:
			l.took(items)
			l.done(work, items)
			return
		case errors.Is(err, errEnding):
			giveBack(items)
			return
		}
		for _, it := range items {
			it.attempts++
		}
		if !l.failed(sub, err, began) {
			continue
		}
		if len(items) == 1 {
			l.giveUp(ctx, work, items[0], err.Error())
			return
		}
		// Of a batch that is refused, perhaps only one event is what the sink does not want.
		for _, it := range items {
			l.deliver(ctx, work, []*item{it})
		}
		return
	}
}

// await waits until the sink may be tried, and gives up what becomes too old meanwhile.
// It returns what is left; at the end of the work nothing is.
func (l *lane) await(ctx, work context.Context, items []*item) []*item {
	for len(items) > 0 {
		if ctx.Err() != nil {
			giveBack(items)
			return nil
		}
		sub, swapped := l.now()
		until, failing, why := l.pause()
		left := time.Until(until)
		if left <= 0 {
			return items
		}
		first := items[0]
		limit := later(first.stored.Add(sub.tryFor), failing.Add(min(l.patience, sub.tryFor)))
		if !limit.After(time.Now()) {
			l.giveUp(ctx, work, first, "not taken within "+sub.tryFor.String()+": "+why)
			items = items[1:]
			continue
		}
		timer := time.NewTimer(min(left, time.Until(limit)))
		select {
		case <-ctx.Done():
		case <-swapped:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// done takes events off the subscription. One that is not comes again.
func (l *lane) done(ctx context.Context, items []*item) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storing)
	defer cancel()
	var err error
	for i, it := range items {
		if i+1 < len(items) {
			err = cmp.Or(err, it.msg.Ack())
			continue
		}
		err = cmp.Or(it.msg.DoubleAck(ctx), err) // acks are dealt with in their order
	}
	if err != nil {
		l.log.Warn("dealt with, and still handed out: it may be sent again", slog.String("event", items[0].event.ID()), slog.Any("err", err))
	}
}

func giveBack(items []*item) {
	for _, it := range items {
		_ = it.msg.Nak()
	}
}

// alive tells the bus that messages are being dealt with, until stop is called.
func alive(msgs []jetstream.Msg) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				for _, m := range msgs {
					_ = m.InProgress() // of one that was acknowledged this does nothing
				}
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
