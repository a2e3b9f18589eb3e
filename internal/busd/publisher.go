package busd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// publisher stores what is taken in over HTTP.
type publisher struct {
	publish func(ctx context.Context, class string, e events.Event, same string) (bus.PubAck, error)
	// seen, if set, is asked whether an event was stored days ago.
	seen *bus.Seen
}

// publishers chooses how events are stored. Where every write is synced, those of
// many senders share syncs; without syncs that would cost more than it saves.
//
// The second publisher knows events for days. It costs a read before each event and a
// write after it, about as much processor time again as storing the event. Git hosts, and
// who sends alerts and webhooks, send an event again for hours or days, by themselves or
// at a click, and are slow enough for that. Senders of CloudEvents are programs that send
// again at once, which the server's two minutes cover, and send most.
func (p *Process) publishers() (plain, lasting publisher) {
	plain = publisher{publish: p.Bus.PublishEventAs}
	if p.o.Sync == busserver.Power {
		p.group = bus.NewGroup(p.Bus, p.stage)
		plain = publisher{publish: p.group.PublishEventAs}
	}
	p.seen = bus.NewSeen(p.Bus, p.log)
	lasting = plain
	lasting.seen = p.seen
	return plain, lasting
}

// stage sees to where batches are staged, and says from how many events on one is
// worth it. How a cluster stages batches is its own affair.
func (p *Process) stage() int {
	if p.server == nil {
		return bus.StagedOnDisk
	}
	if err := p.server.StageInMemory(bus.StreamEvents); err != nil {
		p.log.Warn("events of many senders are stored more slowly than they could be", slog.Any("err", err))
		return bus.StagedOnDisk
	}
	return bus.StagedInMemory
}

// PublishEvent stores an event from outside, see [webhook.Publisher].
func (p publisher) PublishEvent(ctx context.Context, e events.Event, same string) (uint64, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if p.seen != nil {
		if seq, ok := p.seen.Look(ctx, e); ok {
			return seq, true, nil
		}
	}
	ack, err := p.publish(ctx, bus.ClassExternal, e, same)
	switch {
	case errors.Is(err, bus.ErrTooLarge):
		return 0, false, fmt.Errorf("%w: %w", events.ErrTooLarge, err)
	case err != nil:
		return 0, false, fmt.Errorf("%w: %w", webhook.ErrUnavailable, err)
	}
	// What is stored before under another id is not this event.
	if p.seen != nil && (!ack.Duplicate || same == "") {
		p.seen.Note(e, ack.Seq)
	}
	return ack.Seq, ack.Duplicate, nil
}

// closePublishers waits for what is being stored.
func (p *Process) closePublishers(ctx context.Context) {
	if p.group != nil {
		if err := p.group.Close(ctx); err != nil {
			p.log.Warn("events not stored in time", slog.Any("err", err))
		}
	}
	if p.seen != nil {
		if err := p.seen.Close(ctx); err != nil {
			p.log.Warn("not noted in time which events are stored", slog.Any("err", err))
		}
	}
}
