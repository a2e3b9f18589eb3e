package subject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// maxPending and maxPendingBytes bound what a subscription holds that the bus has
	// not stored yet; what comes on top of it is lost.
	maxPending, maxPendingBytes = 16 << 10, 32 << 20
	// calm is how long nothing must have been lost until all is well again.
	calm = time.Minute
)

// subject is the source.
type subject struct {
	Config
	pending int // maxPending, but for tests
}

// run is one life of the source.
type run struct {
	*subject
	feed    source.Feed
	link    *link
	rejects source.Rejects

	dropped int       // messages of the subscription that were lost
	lossy   time.Time // when the last of them was; zero if that is long ago
	silent  bool      // the server of the stream did not answer
}

// Run takes messages until ctx ends.
func (s *subject) Run(ctx context.Context, f source.Feed) error {
	l, err := s.connect(ctx, f)
	if err == nil {
		defer l.close()
		r := &run{subject: s, feed: f, link: l}
		if s.Stream == "" {
			err = r.listen(ctx)
		} else {
			err = r.consume(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// next is what a subscription or a consumer has given.
type next[M any] struct {
	msg M
	err error
}

// listen takes the messages of a plain subscription.
func (r *run) listen(ctx context.Context) error {
	sub, err := r.link.conn.QueueSubscribeSync(r.Subject, r.Queue)
	if err == nil {
		err = sub.SetPendingLimits(r.pending, maxPendingBytes)
	}
	if err == nil {
		asked, cancel := context.WithTimeout(ctx, askTimeout)
		err = r.link.conn.FlushWithContext(asked) // the server has it now, or has refused it
		cancel()
	}
	var first *nats.Msg
	if err == nil {
		first, err = sub.NextMsg(time.Nanosecond) // this is where a refusal is said
	}
	if err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, nats.ErrSlowConsumer) {
		return fmt.Errorf("subscribe to %s: %w", r.Subject, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	given := make(chan next[*nats.Msg])
	wg.Go(func() {
		m, err := first, err
		for {
			if m != nil || !errors.Is(err, nats.ErrTimeout) {
				select {
				case given <- next[*nats.Msg]{m, err}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil && !errors.Is(err, nats.ErrSlowConsumer) && !errors.Is(err, nats.ErrTimeout) {
				return
			}
			m, err = sub.NextMsgWithContext(ctx)
		}
	})
	r.well()
	settle := time.NewTicker(calm / 4)
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.link.changed:
			r.well()
		case <-settle.C:
			if !r.lossy.IsZero() && r.feed.Now().Sub(r.lossy) >= calm {
				r.lossy = time.Time{}
				r.well()
			}
		case n := <-given:
			switch {
			case errors.Is(n.err, nats.ErrSlowConsumer):
				r.lose(sub)
			case n.err != nil:
				return fmt.Errorf("listen to %s: %w", r.Subject, n.err)
			default:
				m := message{subject: n.msg.Subject, header: n.msg.Header, data: n.msg.Data}
				if _, err := r.take(ctx, m); err != nil {
					return err
				}
			}
		}
	}
}

// lose tells that messages were lost.
func (r *run) lose(sub *nats.Subscription) {
	all, err := sub.Dropped()
	if err != nil {
		return // it is closed, which is told
	}
	r.feed.Log().Warn("messages were lost, they came faster than the bus stored them", slog.Int("lost", all-r.dropped))
	if r.lossy.IsZero() {
		r.feed.Failed(fmt.Errorf("%d messages were lost, they came faster than the bus stored them; a stream would have kept them", all-r.dropped), time.Time{})
	}
	r.dropped, r.lossy = all, r.feed.Now()
}

// well says how the source is, as far as its connection goes.
func (r *run) well() {
	switch err := r.link.state(); {
	case err != nil:
		r.feed.Failed(err, time.Time{})
	case r.lossy.IsZero() && !r.rejects.Failing():
		r.feed.OK(time.Time{})
	}
}

// take makes an event of a message and returns when it is stored. It reports false
// for a message that can never be one.
func (r *run) take(ctx context.Context, m message) (bool, error) {
	e, err := r.event(r.feed.Name(), m)
	if err == nil {
		err = r.feed.Publish(ctx, e)
		if err != nil && !errors.Is(err, source.ErrRefused) {
			return false, err
		}
	}
	if err != nil {
		r.rejects.Bad(r.feed, m.data, fmt.Errorf("message on %s: %w", source.Clip(m.subject, maxName), err))
		return false, nil
	}
	r.rejects.Good(r.feed)
	return true, nil
}
