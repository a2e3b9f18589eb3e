package deliver

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

// item is an event that is to be delivered.
type item struct {
	msg    jetstream.Msg
	event  events.Event
	stored time.Time
	seq    uint64
	size   int
	// attempts counts those that failed, earlier lives included.
	attempts uint64
}

func eventsOf(items []*item) []events.Event {
	out := make([]events.Event, len(items))
	for i, it := range items {
		out[i] = it.event
	}
	return out
}

// read takes the events to deliver out of what was handed out, in the order in which
// they were stored, and answers for the others.
func (l *lane) read(ctx context.Context, msgs []jetstream.Msg) []*item {
	var out []*item
	for _, m := range msgs {
		meta, err := m.Metadata()
		if err != nil {
			l.log.Error("event without a place", slog.Any("err", err))
			_ = m.Term()
			continue
		}
		l.account(ctx, meta)
		e, err := bus.DecodeEvent(m.Headers(), m.Data())
		if err != nil {
			l.log.Error("event cannot be read, and is not delivered", slog.Uint64("seq", meta.Sequence.Stream), slog.Any("err", err))
			_ = m.Term()
			continue
		}
		if !l.wants(m.Subject(), e, meta.Timestamp) {
			_ = m.Ack()
			continue
		}
		out = append(out, &item{
			msg: m, event: e, stored: meta.Timestamp, seq: meta.Sequence.Stream, size: len(m.Data()), attempts: meta.NumDelivered - 1,
		})
	}
	slices.SortFunc(out, func(a, b *item) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// wants reports whether an event is for the subscription.
func (l *lane) wants(subject string, e events.Event, stored time.Time) bool {
	switch {
	case dispatch.Forged(subject, e), e.Type() == events.TypeClockTicked:
		return false
	case e.Type() == events.TypeDeliveryFailed && e.Source() == source(l.name):
		return false // it would be told that it could not be told
	}
	sub, _ := l.now()
	ok, err := sub.filter.Takes(e, stored)
	if err != nil {
		l.log.Warn("the condition fails for an event, which is not delivered", slog.String("event", e.ID()), slog.Any("err", err))
	}
	return ok
}

// parcels splits events into what is sent at a time: no more bytes than a batch may
// have. Events that are handed out one by one are parcels of one.
func parcels(items []*item) (out [][]*item) {
	size := 0
	for _, it := range items {
		if len(out) == 0 || size+it.size > maxBatchBytes {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], it)
		size += it.size + 1
	}
	return out
}
