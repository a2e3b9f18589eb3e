package notify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// maxReason bounds what is told of a failure, in bytes.
const maxReason = 2 << 10

// giveUp tells that a message is given up and takes it off the bus, in this order:
// rather it is told twice than not at all. While that cannot be told, it stays.
func (l *lane) giveUp(ctx context.Context, msg jetstream.Msg, m Message, attempts uint64, reason string) {
	e, err := failedEvent(m, attempts, reason)
	if err == nil {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), storing)
		defer cancel()
		_, err = l.bus.PublishEvent(asking, bus.ClassOwn, e)
	}
	log := l.log.With(slog.String("id", m.ID), slog.String("rule", m.Rule), slog.String("reason", reason))
	if err != nil {
		log.Error("a notification is to be given up, and that cannot be told; it is tried again", slog.Any("err", err))
		l.later(msg, l.most)
		return
	}
	if err := l.done(ctx, msg); err != nil {
		log.Error("notification given up, and still on the bus", slog.Any("err", err))
		return
	}
	log.Error("notification given up")
}

// failedEvent is the same event whenever one message is given up.
func failedEvent(m Message, attempts uint64, reason string) (events.Event, error) {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	e, err := events.New("/notify/"+m.To, events.TypeNotificationFailed, events.NotificationFailed{
		ID: m.ID, To: m.To, Rule: m.Rule, Subject: m.Subject, Reason: plain(reason), Attempts: attempts, At: m.At,
	})
	if err != nil {
		return e, fmt.Errorf("make the event of notification %s: %w", m.ID, err)
	}
	e.SetID(m.ID + ".failed")
	e.SetSubject(m.To)
	if m.Correlation != "" {
		e.SetExtension(events.ExtCorrelation, m.Correlation)
	}
	if m.Event != nil {
		e.SetExtension(events.ExtCausation, m.Event.ID)
	}
	if m.Depth > 0 {
		e.SetExtension(events.ExtDepth, m.Depth+1)
	}
	return e, nil
}

// adopt gives up a message without a target, if there still is none and it has
// waited for long enough.
func (l *lane) adopt(ctx context.Context, msg jetstream.Msg) {
	m, meta, ok := l.read(ctx, msg)
	if !ok {
		return
	}
	age := time.Since(meta.Timestamp)
	switch {
	case l.target(l.name) != nil:
		_ = msg.Nak()
	case age < l.orphan:
		l.later(msg, l.orphan-age)
	default:
		l.giveUp(ctx, msg, m, meta.NumDelivered-1, fmt.Sprintf("%s has no target %s any more", File, l.name))
	}
}
