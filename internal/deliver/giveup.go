package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// maxReason bounds what is told of a failure, in bytes.
const maxReason = 2 << 10

// giveUp tells that an event is given up and takes it off the subscription, in this
// order: rather it is told twice than not at all. While it cannot be told, it stays;
// at the end of the work it is given back then.
//
// Of an event that says that a delivery failed nothing is told but in the log: two
// sinks that are away could go on telling each other for ever.
func (l *lane) giveUp(ctx, work context.Context, it *item, reason string) {
	log := l.log.With(slog.String("event", it.event.ID()), slog.String("type", it.event.Type()), slog.String("reason", reason))
	if it.event.Type() != events.TypeDeliveryFailed {
		e, err := failedEvent(l.name, it, reason)
		for err == nil {
			if _, err = l.bus.PublishEvent(work, bus.ClassOwn, e); err == nil {
				break
			}
			if ctx.Err() != nil {
				giveBack([]*item{it})
				return
			}
			log.Error("an event is to be given up, and that cannot be told; it is kept", slog.Any("err", err))
			pause.For(ctx, l.again)
			err = nil
		}
		if err != nil { // it cannot even be made
			log.Error("event given up, which cannot be told", slog.Any("err", err))
		}
	}
	l.mu.Lock()
	l.state.GivenUp++
	l.dirty = true
	l.mu.Unlock()
	log.Error("event given up")
	l.done(work, []*item{it})
}

// failedEvent is the same event whenever one event is given up.
func failedEvent(subscription string, it *item, reason string) (events.Event, error) {
	return told(subscription, it.event.Source()+"\x00"+it.event.ID(), &it.event, events.DeliveryFailed{
		ID: it.event.ID(), Source: it.event.Source(), Type: it.event.Type(),
		Reason: reason, Attempts: it.attempts, At: it.stored.UTC(),
	})
}

// missedEvent is the same event whenever the same range is missed.
func missedEvent(subscription string, from, to uint64, at time.Time) (events.Event, error) {
	n := to - from + 1
	return told(subscription, fmt.Sprintf("missed\x00%d\x00%d", from, to), nil, events.DeliveryFailed{
		Reason: fmt.Sprintf("up to %d events were no longer stored when their turn came", n),
		At:     at.UTC(), Missed: n, From: from, To: to,
	})
}

// told makes the event of a failure; key is what there is one of for each subscription.
func told(subscription, key string, cause *events.Event, data events.DeliveryFailed) (events.Event, error) {
	data.Subscription = subscription
	data.Reason = strings.ToValidUTF8(proc.Cut(data.Reason, maxReason), "\uFFFD")
	e, err := events.New(source(subscription), events.TypeDeliveryFailed, data)
	if err != nil {
		return e, fmt.Errorf("make the event of a failed delivery: %w", err)
	}
	sum := sha256.Sum256([]byte(key))
	e.SetID(hex.EncodeToString(sum[:16]) + ".failed")
	e.SetSubject(subscription)
	if cause == nil {
		return e, nil
	}
	e.SetExtension(events.ExtCausation, cause.ID())
	for _, name := range []string{events.ExtCorrelation, events.ExtDepth} {
		if v, ok := cause.Extensions()[name]; ok {
			e.SetExtension(name, v)
		}
	}
	return e, nil
}
