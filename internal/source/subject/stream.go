package subject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// inHand is how many messages are fetched ahead.
	inHand = 32
	// ackWait is how long the server waits until it gives a message out again.
	ackWait = 30 * time.Second
	// heartbeat is how often the server shows that it holds our request.
	heartbeat = 5 * time.Second
	// saveEvery is how often it is written down how far the consumer is.
	saveEvery = 10 * time.Second
	// leaveWithin is how long it may take at the end to give back what was fetched.
	leaveWithin = 2 * time.Second
)

// cursor is how far a consumer was: every message up to Floor is stored.
type cursor struct {
	Stream  string    `json:"stream"`
	Durable string    `json:"durable"`
	Created time.Time `json:"created"` // the stream
	Floor   uint64    `json:"floor"`
}

// consumer is the durable consumer on the other server.
type consumer struct {
	jetstream.Consumer
	cursor cursor // as it was saved
}

// consume takes the messages of a stream.
func (r *run) consume(ctx context.Context) error {
	c, err := r.open(ctx)
	if err != nil {
		return r.link.why(err)
	}
	it, err := c.Messages(jetstream.PullMaxMessages(inHand), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("take messages of stream %s: %w", r.Stream, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	given := make(chan next[jetstream.Msg])
	var wg sync.WaitGroup
	wg.Go(func() { pass(ctx, it, given) })
	r.well()
	err = r.pull(ctx, c, given)
	// What was fetched is given back, as long as the server can be told.
	cancel()
	it.Drain()
	insist := time.AfterFunc(leaveWithin, r.link.conn.Close)
	wg.Wait()
	insist.Stop()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer done()
	if lost := r.save(last, c); err == nil || lost != nil {
		err = lost
	}
	return err
}

// pass gives what the iterator gives to whoever takes it. When ctx has ended, what
// there is goes back to the server.
func pass(ctx context.Context, it jetstream.MessagesContext, given chan<- next[jetstream.Msg]) {
	for {
		m, err := it.Next()
		select {
		case given <- next[jetstream.Msg]{m, err}:
		case <-ctx.Done():
			if err == nil {
				_ = m.Nak() // or it is given out again after ackWait
			}
		}
		if err != nil && !errors.Is(err, jetstream.ErrNoHeartbeat) {
			return
		}
	}
}

// pull makes events of what comes until ctx ends or the consumer does.
func (r *run) pull(ctx context.Context, c *consumer, given <-chan next[jetstream.Msg]) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.link.changed:
			r.well()
		case <-save.C:
			if r.silent {
				err = r.missing(ctx, jetstream.ErrNoHeartbeat)
			}
			if err == nil {
				err = r.save(ctx, c)
			}
		case n := <-given:
			if n.err != nil {
				err = r.missing(ctx, n.err)
			} else {
				err = r.store(ctx, n.msg)
			}
		}
		if err != nil {
			return err
		}
	}
}

// store stores the event of a message, and says so to the server.
func (r *run) store(ctx context.Context, msg jetstream.Msg) error {
	m, err := fromStream(msg)
	if err != nil {
		return err
	}
	good, err := r.take(ctx, m)
	switch {
	case err != nil:
		_ = msg.Nak()
		return err
	case good:
		err = msg.Ack()
	default:
		err = msg.Term() // it would never become one
	}
	if err != nil {
		r.feed.Log().Debug("message not acknowledged", slog.Any("err", err)) // it comes again, and is the same event
	}
	return nil
}

// probe asks the server for the consumer. gone is true if it will never come back by
// itself.
func (r *run) probe(ctx context.Context) (gone bool, err error) {
	js, err := jetstream.New(r.link.conn, jetstream.WithDefaultTimeout(askTimeout))
	if err == nil {
		_, err = js.Consumer(ctx, r.Stream, r.durable())
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return true, fmt.Errorf("stream %s was deleted on the server", r.Stream)
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return true, fmt.Errorf("consumer %s of stream %s was deleted on the server", r.durable(), r.Stream)
	case err != nil:
		return false, fmt.Errorf("look at consumer %s of stream %s: %w", r.durable(), r.Stream, r.link.why(err))
	}
	return false, nil
}

// missing finds out why nothing comes, and tells it. It returns an error if nothing
// will.
func (r *run) missing(ctx context.Context, why error) error {
	waits := errors.Is(why, jetstream.ErrNoHeartbeat) // the iterator goes on
	if waits && !r.link.up() {
		return nil // it is told, and all goes on when the connection is back
	}
	switch gone, err := r.probe(ctx); {
	case gone:
		return err
	case !waits:
		return fmt.Errorf("take messages of stream %s: %w", r.Stream, why)
	case err != nil:
		r.silent = true
		r.feed.Failed(err, time.Time{})
	case r.silent:
		r.silent = false
		r.well()
	}
	return nil
}

// durable is the consumer's name.
func (r *run) durable() string {
	if r.Durable != "" {
		return r.Durable
	}
	return "jet-bus-" + r.feed.Name()
}

// open finds the consumer, or makes it: where the one before was if there was one,
// else where the configuration says.
func (r *run) open(ctx context.Context) (*consumer, error) {
	js, err := jetstream.New(r.link.conn, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	stream, err := js.Stream(ctx, r.Stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("the server has no stream %s", r.Stream)
	case err != nil:
		return nil, fmt.Errorf("look at stream %s: %w", r.Stream, err)
	}
	info := stream.CachedInfo()
	c := &consumer{}
	if _, err := r.feed.Load(ctx, &c.cursor); err != nil {
		return nil, err
	}
	before := c.cursor
	if before.Stream != r.Stream || before.Durable != r.durable() {
		before, c.cursor = cursor{}, cursor{}
	}
	c.Consumer, err = stream.Consumer(ctx, r.durable())
	switch {
	case err == nil:
		if err := r.fit(ctx, stream, c); err != nil {
			return nil, err
		}
		floor := c.CachedInfo().AckFloor.Stream
		return c, r.keep(ctx, c, cursor{Stream: r.Stream, Durable: r.durable(), Created: info.Created, Floor: floor})
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		return nil, fmt.Errorf("consumer %s of stream %s is a push consumer; name another durable", r.durable(), r.Stream)
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, fmt.Errorf("look at consumer %s of stream %s: %w", r.durable(), r.Stream, err)
	}
	floor := uint64(0)
	switch {
	case before.Stream != "" && before.Created.Equal(info.Created):
		floor = min(before.Floor, info.State.LastSeq)
		r.feed.Log().Warn("the consumer is gone, it is made anew where it was", slog.String("durable", r.durable()), slog.Uint64("after", floor))
	case before.Stream != "":
		r.feed.Log().Warn("the stream is another one, it is read from its beginning", slog.String("stream", r.Stream))
	case r.Deliver == deliverNew:
		floor = info.State.LastSeq
	}
	// Written down first: who is stopped between the two begins at the same place.
	if err := r.keep(ctx, c, cursor{Stream: r.Stream, Durable: r.durable(), Created: info.Created, Floor: floor}); err != nil {
		return nil, err
	}
	c.Consumer, err = stream.CreateConsumer(ctx, r.settings(floor))
	if err != nil {
		return nil, fmt.Errorf("make consumer %s of stream %s: %w", r.durable(), r.Stream, err)
	}
	return c, nil
}

// settings are those of a consumer that begins after floor.
func (r *run) settings(floor uint64) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       r.durable(),
		Description:   "source " + r.feed.Name() + " of jet-bus",
		FilterSubject: r.Subject,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   floor + 1,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: 8 * inHand,
	}
}

// fit sees that a consumer that is there will do. The subject of our own is changed.
func (r *run) fit(ctx context.Context, stream jetstream.Stream, c *consumer) error {
	cfg := c.CachedInfo().Config
	if cfg.AckPolicy != jetstream.AckExplicitPolicy {
		return fmt.Errorf("consumer %s of stream %s does not want its messages acknowledged; name another durable", r.durable(), r.Stream)
	}
	filters := cfg.FilterSubjects
	if cfg.FilterSubject != "" {
		filters = []string{cfg.FilterSubject}
	}
	if slices.Equal(filters, []string{r.Subject}) {
		return nil
	}
	if r.Durable != "" {
		return fmt.Errorf("consumer %s of stream %s is for the subjects %q, not for %s; delete it there, or name another durable",
			r.durable(), r.Stream, filters, r.Subject)
	}
	cfg.FilterSubject, cfg.FilterSubjects = r.Subject, nil
	changed, err := stream.UpdateConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("change the subject of consumer %s of stream %s: %w", r.durable(), r.Stream, err)
	}
	c.Consumer = changed
	return nil
}

// save writes down how far the consumer is. It fails only if another jet-bus runs the
// source by now.
func (r *run) save(ctx context.Context, c *consumer) error {
	if !r.link.conn.IsConnected() {
		return nil
	}
	info, err := c.Info(ctx)
	if err == nil {
		to := c.cursor
		to.Floor = max(to.Floor, info.AckFloor.Stream)
		err = r.keep(ctx, c, to)
	}
	if errors.Is(err, source.ErrLost) {
		return err
	}
	if err != nil {
		r.feed.Log().Warn("it is not kept how far the consumer is", slog.Any("err", r.link.why(err)))
	}
	return nil
}

// keep saves a cursor if it is not the one that is saved.
func (r *run) keep(ctx context.Context, c *consumer, to cursor) error {
	if to == c.cursor {
		return nil
	}
	if err := r.feed.Save(ctx, to); err != nil {
		return err
	}
	c.cursor = to
	return nil
}
