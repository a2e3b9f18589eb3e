package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// How a [Group] divides its work. The figures are measured: see test/bench/flow.
const (
	// StagedOnDisk and StagedInMemory are from how many events on an atomic batch is
	// cheaper than one sync for each of them: the server makes a store for it, and
	// removes it again. On disk that takes syncs too.
	StagedOnDisk   = 16
	StagedInMemory = 4

	// batchBytes bounds a batch, batchEvent each event in it; a larger event is
	// published by itself.
	batchBytes = 8 << 20
	batchEvent = 64 << 10
	// batchesAtOnce is how many batches are under way at a time, batchNext how many
	// events must wait for one that is not the only one: two small ones take longer
	// than a larger one.
	batchesAtOnce = 2
	batchNext     = 256
	// aloneBetween is how many may go ahead between two batches while a line grows:
	// together they cost about as much as the batch that they save.
	aloneBetween = 8

	groupEvents = 4096
	groupBytes  = 64 << 20
)

// Group stores the events of many concurrent senders in few writes. To a server
// that syncs every write, a batch of a hundred events costs as much as a few single
// ones. So a Group collects what is published while the writes
// before are under way, and stores it as one. There is no clock in it: an event
// that comes alone is published at once.
//
// Make one with [NewGroup]; it is safe for concurrent use.
type Group struct {
	bus     *Bus
	room    *room
	staging sync.Mutex // one stage at a time
	stage   func() int

	mu sync.Mutex
	// least is from how many events on there are batches, and how many events are
	// published by themselves at a time.
	least   int
	waiting []*member
	// alone and batches are how many of each are under way, aloneMost how many
	// may be alone: right after a batch only one, since its senders are about to
	// publish again and should find each other.
	alone, aloneMost, batches int
	// crowd is how many senders there were when a batch was last stored, line how
	// many waited when a write was last done and the next begun, ahead how many
	// events went alone since the last batch.
	crowd, line, ahead int
}

// member is an event that waits to be published, then to be stored.
type member struct {
	offer *offer
	// turn is told once what has become of it.
	turn chan verdict
}

// verdict is what becomes of a member: it is stored, or its sender publishes it
// itself, in a slot that it has to give back or, after a batch that failed,
// without one.
type verdict struct {
	ack    PubAck
	stored bool
	slot   bool
}

// NewGroup makes a Group that publishes on b, which the caller keeps and closes
// after it. stage tells, now and whenever the server could not stage a batch, from how
// many events on a batch is worth it: [StagedOnDisk] or [StagedInMemory]. Nil is the
// former.
func NewGroup(b *Bus, stage func() int) *Group {
	if stage == nil {
		stage = func() int { return StagedOnDisk }
	}
	least := stage()
	return &Group{bus: b, room: newRoom(groupEvents, groupBytes), stage: stage, least: least, aloneMost: least}
}

// PublishEvent does what [Bus.PublishEvent] does, and promises the same. When
// ctx ends, only its own event is given up. If the Group has too many events in
// hand, it waits until there is room.
//
// After [Group.Close] it fails with [ErrUnavailable].
func (g *Group) PublishEvent(ctx context.Context, class string, e event.Event) (PubAck, error) {
	return g.PublishEventAs(ctx, class, e, "")
}

// PublishEventAs does what [Bus.PublishEventAs] does, and promises the same.
func (g *Group) PublishEventAs(ctx context.Context, class string, e event.Event, same string) (PubAck, error) {
	size := len(e.Data())
	if err := g.room.enter(ctx, size); err != nil {
		return PubAck{}, notSent(e, err)
	}
	defer g.room.leave(size)
	o, err := newOffer(class, e, same)
	if err != nil {
		return PubAck{}, err
	}
	m := &member{offer: o, turn: make(chan verdict, 1)}
	g.join(m) //nolint:contextcheck // a batch is nobody's alone, it outlives who gives up
	select {
	case v := <-m.turn:
		return g.carryOut(ctx, m, v)
	case <-ctx.Done():
	}
	if g.withdraw(m) {
		return PubAck{}, notSent(e, context.Cause(ctx))
	}
	select {
	case v := <-m.turn:
		return g.carryOut(ctx, m, v)
	default:
		// Its batch is under way, and goes on with it.
		return PubAck{}, fmt.Errorf("publish event %s of %s: %w: %w", e.ID(), e.Source(), ErrUnknownOutcome, context.Cause(ctx))
	}
}

// notSent is the error for an event whose sender gave up before it was sent.
func notSent(e event.Event, err error) error {
	if !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("publish event %s of %s: %w", e.ID(), e.Source(), err)
}

// carryOut does what the verdict leaves to the sender.
func (g *Group) carryOut(ctx context.Context, m *member, v verdict) (PubAck, error) {
	if v.stored {
		return v.ack, nil
	}
	if !v.slot {
		return g.bus.repeat(ctx, m.offer)
	}
	ack, again, err := g.bus.try(ctx, m.offer)
	g.landed() //nolint:contextcheck // as above
	switch {
	case err == nil:
		return ack, nil
	case !again || !pause(ctx, m.offer.attempts):
		return PubAck{}, m.offer.outcome(err)
	}
	return g.bus.repeat(ctx, m.offer)
}

// Close takes no more events and waits until those in hand are stored or given
// up, or until ctx ends; then a batch that is under way ends by itself in seconds.
func (g *Group) Close(ctx context.Context) error {
	g.room.close()
	select {
	case <-g.room.left:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("finish publishing events: %w", context.Cause(ctx))
	}
}

// join puts m in line.
func (g *Group) join(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, m)
	g.advance(g.alone == 0)
}

// withdraw takes m out of the line, and reports whether it was still in it.
func (g *Group) withdraw(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == m {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// landed gives back the slot of an event that was published alone.
func (g *Group) landed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone--
	g.ahead++
	if len(g.waiting) < g.least {
		g.aloneMost = min(g.aloneMost+1, g.least)
	}
	g.advance(g.gathered())
	g.line = len(g.waiting)
}

// restage has batches staged anew.
func (g *Group) restage() {
	g.staging.Lock()
	defer g.staging.Unlock()
	least := g.stage()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.least = least
}

// stored gives back the place of a batch of n events.
func (g *Group) stored(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batches--
	g.aloneMost, g.ahead = 1, 0
	g.crowd = n + len(g.waiting)
	g.advance(g.gathered())
	g.line = len(g.waiting)
}

// gathered reports whether those who wait should be stored as a batch now. As
// long as their number still grows towards what it was, storing one event alone
// is a better use of the time: a batch costs as much as a few of these. That
// the sender of the one just stored is back is no growth. g.mu is held.
func (g *Group) gathered() bool {
	return g.ahead >= aloneBetween || len(g.waiting) >= g.crowd/4*3 || len(g.waiting) <= g.line+g.alone+1
}

// advance sends off what may be under way, a batch only if gathered says so or
// another is under way and many wait. g.mu is held.
func (g *Group) advance(gathered bool) {
	for len(g.waiting) > 0 {
		n := len(g.waiting)
		if g.batches > 0 {
			if n < batchNext || g.batches == batchesAtOnce {
				break
			}
			g.sendBatch()
			continue
		}
		if n >= g.least && gathered {
			g.sendBatch()
			continue
		}
		if g.alone >= g.aloneMost {
			break
		}
		g.alone++
		g.waiting[0].turn <- verdict{slot: true}
		g.waiting[0] = nil
		g.waiting = g.waiting[1:]
	}
}

// sendBatch makes a batch of what waits. g.mu is held.
func (g *Group) sendBatch() {
	var batch []*member
	size, n := 0, 0
	for _, m := range g.waiting {
		if len(batch) == maxBatch || size+len(m.offer.msg.Data) > batchBytes {
			break
		}
		n++
		if len(m.offer.msg.Data) > batchEvent {
			m.turn <- verdict{}
			continue
		}
		size += len(m.offer.msg.Data)
		batch = append(batch, m)
	}
	g.waiting = g.waiting[n:]
	if len(batch) == 0 {
		return
	}
	g.batches++
	least := g.least
	g.room.hold()
	go func() {
		defer g.room.release()
		// A sender that gives up does not take the others along.
		if err := g.store(context.Background(), batch, least); errors.Is(err, ErrUnavailable) {
			g.restage()
		}
		g.stored(len(batch))
	}()
}

// store stores a batch and tells its members. Those of a batch that fails try by
// themselves, which tells each what is the matter with its own event; if only
// some are known already, halving the batch spares the others that. The error is
// the batch's.
func (g *Group) store(ctx context.Context, batch []*member, least int) (err error) {
	batch, twins := distinct(batch)
	if len(batch) >= least {
		var last uint64
		if last, err = g.tryStore(ctx, batch); err == nil {
			first := last - uint64(len(batch)) + 1
			for i, m := range batch {
				m.turn <- verdict{ack: PubAck{Seq: first + uint64(i)}, stored: true}
			}
			batch = nil
		}
	}
	for _, m := range twins {
		m.turn <- verdict{}
	}
	if errors.Is(err, ErrDuplicate) && len(batch) >= 2*least {
		half := len(batch) / 2
		return errors.Join(g.store(ctx, batch[:half], least), g.store(ctx, batch[half:], least))
	}
	for _, m := range batch {
		if err != nil && !errors.Is(err, ErrDuplicate) {
			m.offer.failed(err)
		}
		m.turn <- verdict{}
	}
	return err
}

// tryStore publishes one batch, once.
func (g *Group) tryStore(ctx context.Context, batch []*member) (last uint64, err error) {
	msgs := make([]*nats.Msg, len(batch))
	for i, m := range batch {
		msgs[i] = m.offer.msg
	}
	ctx, cancel := context.WithTimeout(ctx, publishAttempt)
	defer cancel()
	return g.bus.tryBatch(ctx, msgs)
}

// distinct sets apart the members whose event is in the batch before: the server
// refuses a batch that holds an id twice.
func distinct(batch []*member) (first, twins []*member) {
	seen := make(map[string]struct{}, len(batch))
	for _, m := range batch {
		id := m.offer.msg.Header.Get(headerMsgID)
		if _, ok := seen[id]; ok {
			twins = append(twins, m)
			continue
		}
		seen[id] = struct{}{}
		first = append(first, m)
	}
	return first, twins
}
