package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Limits says how much the bus keeps. A zero field means what an existing stream
// has, else the default.
type Limits struct {
	EventsMaxBytes int64         // stored events, default 1 GiB
	EventsMaxAge   time.Duration // default 7 days
	RunsMaxBytes   int64         // states and results of jobs, default 2 GiB
	RunsMaxAge     time.Duration // default 30 days; must exceed EventsMaxAge
	Replicas       int           // 1 embedded (the default), 3 on a cluster
}

// withDefaults fills in what is zero.
func (l Limits) withDefaults() Limits {
	const day = 24 * time.Hour
	l.EventsMaxBytes = cmp.Or(l.EventsMaxBytes, 1<<30)
	l.EventsMaxAge = cmp.Or(l.EventsMaxAge, 7*day)
	l.RunsMaxBytes = cmp.Or(l.RunsMaxBytes, 2<<30)
	l.RunsMaxAge = cmp.Or(l.RunsMaxAge, 30*day)
	l.Replicas = cmp.Or(l.Replicas, 1)
	return l
}

// Create makes the streams, buckets and the object store, or brings those that
// exist in line with l. It needs the role admin or bus, and may be repeated.
//
// Jobs must be remembered for longer than events: that an event's job exists is
// what keeps a redelivered event from running twice.
func (b *Bus) Create(ctx context.Context, l Limits) error {
	asked := l
	l = l.withDefaults()
	configs := streamConfigs(l)
	age := make(map[string]time.Duration)
	for i := range configs {
		c := &configs[i]
		if err := b.keep(ctx, c, asked); err != nil {
			return err
		}
		age[c.Name] = c.MaxAge
		switch c.Name {
		case StreamEvents: // others have a part of that
			l.EventsMaxBytes, l.EventsMaxAge = c.MaxBytes, c.MaxAge
		case StreamDecisions:
			c.MaxBytes, c.MaxAge = l.EventsMaxBytes/decisionsPart, l.EventsMaxAge
		case StreamSeen:
			c.MaxBytes = l.EventsMaxBytes / seenPart
		}
	}
	if age[StreamRuns] <= age[StreamEvents] {
		return fmt.Errorf("create streams: jobs are kept for %s, must be longer than the %s of events",
			age[StreamRuns], age[StreamEvents])
	}
	for _, c := range configs {
		if err := b.replaceWakeups(ctx, c); err != nil {
			return err
		}
		switch c.Name { // of which others have a part
		case StreamEvents:
			l.EventsMaxBytes = c.MaxBytes
		case StreamRuns:
			l.RunsMaxBytes = c.MaxBytes
		case StreamNotify:
			c.MaxBytes = l.EventsMaxBytes / notifyFraction
		}
		if err := answered(ctx, func(ctx context.Context) error {
			_, err := b.JS.CreateOrUpdateStream(ctx, c)
			return err
		}); err != nil {
			return fmt.Errorf("create stream %s: %w", c.Name, err)
		}
	}
	for _, c := range bucketConfigs(l) {
		if err := answered(ctx, func(ctx context.Context) error {
			_, err := b.JS.CreateOrUpdateKeyValue(ctx, c)
			return err
		}); err != nil {
			return fmt.Errorf("create bucket %s: %w", c.Bucket, err)
		}
	}
	for _, c := range objectConfigs(l) {
		if err := answered(ctx, func(ctx context.Context) error {
			_, err := b.JS.CreateOrUpdateObjectStore(ctx, c)
			return err
		}); err != nil {
			return fmt.Errorf("create object store %s: %w", c.Bucket, err)
		}
	}
	return nil
}

// How long a request that makes a stream is waited for, and how often it is made.
const (
	answerWithin = 3 * time.Second
	askAtMost    = 5
)

// answered makes a request until it is answered. A cluster does not answer one that
// met no leader, nor always the second of two that make the same stream at once.
func answered(ctx context.Context, ask func(context.Context) error) (err error) {
	for range askAtMost {
		try, cancel := context.WithTimeout(ctx, answerWithin)
		err = ask(try)
		cancel()
		silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
		if !silent || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// keep leaves an existing stream the size and age it has where none is asked for:
// how much there is room for was decided when it was made.
func (b *Bus) keep(ctx context.Context, c *jetstream.StreamConfig, asked Limits) error {
	var bytes int64
	var age time.Duration
	switch {
	case c.Name == StreamEvents:
		bytes, age = asked.EventsMaxBytes, asked.EventsMaxAge
	case c.Name == StreamRuns:
		bytes, age = asked.RunsMaxBytes, asked.RunsMaxAge
	case !hangsOnEvents(c.Name):
		return nil
	}
	var old jetstream.Stream
	err := answered(ctx, func(ctx context.Context) (err error) {
		old, err = b.JS.Stream(ctx, c.Name)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look up stream %s: %w", c.Name, err)
	}
	if hangsOnEvents(c.Name) {
		c.PersistMode = old.CachedInfo().Config.PersistMode
		return nil
	}
	if bytes == 0 {
		c.MaxBytes = old.CachedInfo().Config.MaxBytes
	}
	if age == 0 {
		c.MaxAge = old.CachedInfo().Config.MaxAge
	}
	return nil
}

// replaceWakeups removes a JOBS stream that persists in another way, which cannot be
// changed: an earlier version's. What waits in it is sent again.
func (b *Bus) replaceWakeups(ctx context.Context, c jetstream.StreamConfig) error {
	if c.Name != StreamJobs {
		return nil
	}
	var old jetstream.Stream
	err := answered(ctx, func(ctx context.Context) (err error) {
		old, err = b.JS.Stream(ctx, c.Name)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil && old.CachedInfo().Config.PersistMode != c.PersistMode {
		err = b.JS.DeleteStream(ctx, c.Name)
	}
	if err != nil {
		return fmt.Errorf("replace stream %s: %w", c.Name, err)
	}
	return nil
}
