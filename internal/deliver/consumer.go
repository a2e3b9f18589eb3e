package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	prefixConsumer = "sub-"
	// ackWait is how long an event is ours without a sign of life, which is given every
	// aliveEvery; after a crash it is sent again that much later.
	ackWait    = 30 * time.Second
	aliveEvery = 10 * time.Second
	// inactive is after how long the bus forgets the consumer of a subscription that
	// nobody knows any more.
	inactive = 30 * 24 * time.Hour
)

// consumerOf names the consumer of a subscription.
func consumerOf(name string) string { return prefixConsumer + name }

// filters are the subjects of the events that a subscription may be for. None of them
// is within another: the server wants it so.
func filters(on []string) []string {
	if len(on) == 0 {
		return []string{bus.AllEvents}
	}
	var out []string
	for _, t := range on {
		if !slices.ContainsFunc(on, func(other string) bool {
			prefix, ok := strings.CutSuffix(other, "*")
			return ok && other != t && strings.HasPrefix(t, prefix)
		}) {
			out = append(out, bus.EventsOf(t))
		}
	}
	return out
}

// errGone says that a subscription is not in force any more.
var errGone = errors.New("the subscription is gone")

// open makes what hands out the events of a subscription, or brings it in line. Events
// begin with the sequence from, if that is not 0 and there is no consumer.
func (d *Deliverer) open(ctx context.Context, name string, from uint64) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	d.consumers.Lock()
	defer d.consumers.Unlock()
	s := d.current(name)
	if s == nil {
		return nil, errGone
	}
	d.mu.Lock()
	from = max(from, d.begin[name], 1)
	d.mu.Unlock()
	want := jetstream.ConsumerConfig{
		Durable:           consumerOf(name),
		Description:       "delivers events for subscription " + name,
		FilterSubjects:    filters(s.filter.On()),
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       from,
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           ackWait,
		MaxDeliver:        -1,
		MaxAckPending:     s.atOnce(),
		InactiveThreshold: inactive,
	}
	cons, err := d.bus.JS.Consumer(ctx, bus.StreamEvents, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		cons, err = d.bus.JS.CreateConsumer(ctx, bus.StreamEvents, want)
	case err == nil:
		if n := cons.CachedInfo().NumAckPending; s.mode == batch && n > 0 {
			// What was in hand at a crash comes again later. Until that is dealt with, there
			// is no room for what is behind it; see reopen.
			want.MaxAckPending = min(n, want.MaxAckPending)
		}
		is := cons.CachedInfo().Config // where it began stays
		want.DeliverPolicy, want.OptStartSeq = is.DeliverPolicy, is.OptStartSeq
		if !slices.Equal(is.FilterSubjects, want.FilterSubjects) || is.MaxAckPending != want.MaxAckPending {
			cons, err = d.bus.JS.UpdateConsumer(ctx, bus.StreamEvents, want)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the consumer of subscription %s: %w", name, err)
	}
	return cons, nil
}

// sweep takes away what is left of subscriptions that are gone: those that this process
// knew, and if it is alone on the bus, all. What cannot be taken away is tried again at
// the next change.
func (d *Deliverer) sweep(ctx context.Context, s *Subscriptions, known map[string]bool) {
	asking, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	if err := d.earlier(asking, known); err != nil && ctx.Err() == nil {
		d.log.Warn("earlier subscriptions not looked for", slog.Any("err", err))
	}
	for _, name := range s.Names() {
		known[name] = true
	}
	for name := range known {
		if s.byName[name] != nil {
			continue
		}
		if err := d.remove(asking, name); err != nil && ctx.Err() == nil {
			d.log.Warn("subscription not taken away", slog.String("subscription", name), slog.Any("err", err))
			continue
		}
		delete(known, name)
	}
}

// earlier finds the subscriptions that there are consumers for.
func (d *Deliverer) earlier(ctx context.Context, known map[string]bool) error {
	if !d.Sole {
		return nil
	}
	events, err := d.bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamEvents, err)
	}
	all := events.ConsumerNames(ctx)
	for name := range all.Name() {
		if sub, ok := strings.CutPrefix(name, prefixConsumer); ok {
			known[sub] = true
		}
	}
	return all.Err()
}

func (d *Deliverer) remove(ctx context.Context, name string) error {
	d.consumers.Lock()
	defer d.consumers.Unlock()
	if d.current(name) != nil {
		return nil // again
	}
	err := d.bus.JS.DeleteConsumer(ctx, bus.StreamEvents, consumerOf(name))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("remove the consumer of subscription %s: %w", name, err)
	}
	return forget(ctx, d.bus, name)
}
