package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/pause"
)

// lane sends the messages for one target.
type lane struct {
	*Sender
	name string
	log  *slog.Logger

	mu sync.Mutex
	// next is when the next attempt may begin.
	next time.Time
}

// errEnding says that an attempt was broken off since the work ends.
var errEnding = errors.New("jet-bus is stopping")

// run sends until ctx ends, and waits for what is on its way then.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.take(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("no notifications at the moment", slog.Any("err", err))
			pause.For(ctx, l.again)
		}
	}
}

// take sends until ctx ends or the bus has nothing to take from. No more messages
// are fetched than can be sent at once, so that none waits here.
func (l *lane) take(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	cons, err := l.consumer(asking, l.name)
	if err != nil {
		return err
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("take notifications: %w", err)
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Drain)()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		select {
		case <-ctx.Done():
		case slots <- struct{}{}:
			l.wait(ctx)
		}
		msg, err := it.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("take notifications: %w", err)
		case err != nil:
			if ctx.Err() != nil {
				return nil
			}
			l.log.Debug("the bus is silent", slog.Any("err", err))
			<-slots
			pause.For(ctx, l.again)
		case ctx.Err() != nil:
			_ = msg.Nak() // fetched before the end
		default:
			wg.Go(func() {
				defer func() { <-slots }()
				l.deal(ctx, msg)
			})
		}
	}
}

// wait holds until the next attempt may begin, and reserves it.
func (l *lane) wait(ctx context.Context) {
	for {
		l.mu.Lock()
		d := time.Until(l.next)
		if d <= 0 {
			l.next = time.Now().Add(l.pace)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if !pause.For(ctx, d) {
			return
		}
	}
}

// hold keeps attempts from beginning for d.
func (l *lane) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.next) {
		l.next = until
	}
}

// deal makes an attempt with one message and does what follows from it.
func (l *lane) deal(ctx context.Context, msg jetstream.Msg) {
	defer alive(msg)()
	work, stop := pause.Outlast(ctx, l.grace, errEnding)
	defer stop()
	m, meta, ok := l.read(work, msg)
	if !ok {
		return
	}
	t := l.target(l.name)
	if t == nil { // just now; what becomes of the message is not for us to say
		_ = msg.Nak()
		return
	}
	err := t.send(work, l.wire, m)
	log := l.log.With(slog.String("id", m.ID), slog.String("rule", m.Rule), slog.Uint64("attempt", meta.NumDelivered))
	if err == nil {
		if err := l.done(work, msg); err != nil {
			log.Warn("notification sent, and still on the bus: it may be sent again", slog.Any("err", err))
			return
		}
		log.Info("notification sent")
		return
	}
	if errors.Is(err, errEnding) {
		_ = msg.Nak()
		return
	}
	what := outbound.Known(err)
	delay := max(l.backoff(meta.NumDelivered), min(what.After, l.most))
	if what.After > 0 {
		l.hold(min(what.After, l.most))
	}
	age := time.Since(meta.Timestamp)
	if !what.Final && age+delay <= l.until {
		log.Warn("notification not sent, it is tried again", slog.Duration("in", delay), slog.Any("err", err))
		l.later(msg, delay)
		return
	}
	reason := err.Error()
	if !what.Final {
		reason = fmt.Sprintf("given up after %s: %s", age.Round(time.Second), reason)
	}
	l.giveUp(work, msg, m, meta.NumDelivered, reason)
}

// read decodes a message. One that cannot be read is taken away: ours are not so.
func (l *lane) read(ctx context.Context, msg jetstream.Msg) (Message, *jetstream.MsgMetadata, bool) {
	meta, err := msg.Metadata()
	if err != nil {
		l.log.Error("notification without a place", slog.Any("err", err))
		return Message{}, nil, false
	}
	m, err := decode(msg.Data())
	if err != nil || m.To != l.name {
		l.log.Error("a notification that cannot be read is taken away", slog.Uint64("seq", meta.Sequence.Stream), slog.Any("err", err))
		_ = l.done(ctx, msg)
		return Message{}, nil, false
	}
	return m, meta, true
}

// done takes a message off the bus. One that is not comes again.
func (l *lane) done(ctx context.Context, msg jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storing)
	defer cancel()
	return msg.DoubleAck(ctx)
}

// later has a message handed out again after a time, here or elsewhere.
func (l *lane) later(msg jetstream.Msg, d time.Duration) {
	if err := msg.NakWithDelay(d); err != nil {
		l.log.Debug("notification not given back", slog.Any("err", err)) // it comes after ackWait
	}
}

// alive tells the bus that a message is being dealt with, until stop is called.
func alive(msg jetstream.Msg) (stop func()) {
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
				_ = msg.InProgress()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
