package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/pause"
)

const (
	// atOnce is how many messages are on their way to one target.
	atOnce = 4
	// ackWait is how long a message is ours without a sign of life, which is given
	// every aliveEvery; after a crash it is sent again that much later.
	ackWait    = 30 * time.Second
	aliveEvery = 10 * time.Second
	// heartbeat is how often the bus shows that it holds our request for messages.
	heartbeat = 2 * time.Second
	// inactive is after how long the bus forgets the consumer of a target that
	// nobody knows any more. Its messages stay.
	inactive = 7 * 24 * time.Hour
	// storing bounds what is asked of the bus, after the end of the work too.
	storing = 5 * time.Second
)

// timing says when what is done.
type timing struct {
	// first is the time before the second attempt, which doubles up to most; until
	// is when no more are made.
	first, most, until time.Duration
	// pace is the least time between two attempts for one target.
	pace time.Duration
	// grace is how long attempts under way may take when the work ends.
	grace time.Duration
	// sweep is how often messages without a target are looked for, and orphan how
	// old these must be: another jet-bus may know it, or a reload is on its way.
	sweep, orphan time.Duration
	// again is the time after which the bus is asked again.
	again time.Duration
}

// backoff is the time after so many attempts that failed.
func (t timing) backoff(attempts uint64) time.Duration {
	return pause.Grown(t.first, t.most, int(min(attempts, 64)))
}

// Sender sends what is stored. It needs the role bus. Any number of them may share
// a bus; each sends to the targets that it knows.
type Sender struct {
	bus  *bus.Bus
	log  *slog.Logger
	wire *wire
	timing

	mu      sync.Mutex
	targets *Targets
	// changed has a value when targets changed since they were looked at.
	changed chan struct{}
}

// NewSender returns a Sender that knows no target.
func NewSender(b *bus.Bus, log *slog.Logger) *Sender {
	return &Sender{
		bus: b, log: log, wire: newWire(nil), targets: &Targets{}, changed: make(chan struct{}, 1),
		timing: timing{
			first: 5 * time.Second, most: 10 * time.Minute, until: 24 * time.Hour, pace: 100 * time.Millisecond,
			grace: 3 * time.Second, sweep: time.Minute, orphan: 10 * time.Minute, again: time.Second,
		},
	}
}

// Use puts other targets in force, for messages that wait as well. Secret files that
// cannot be read are logged: it is better known before there is something to send.
func (s *Sender) Use(t *Targets) {
	s.mu.Lock()
	s.targets = t
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	for _, name := range t.Names() {
		for _, file := range t.byName[name].secrets() {
			if _, err := outbound.Secret(file); err != nil {
				s.log.Warn("a target of notifications cannot be reached yet", slog.String("target", name), slog.Any("err", err))
			}
		}
	}
}

// target returns what is in force under a name, nil if nothing is.
func (s *Sender) target(name string) *target {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets.byName[name]
}

func (s *Sender) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets.Names()
}

// Run sends until ctx ends. What is being sent then has a few seconds to come to an
// end, and is given back otherwise. It outlasts a bus that is away for a while.
func (s *Sender) Run(ctx context.Context) error {
	defer s.wire.client.Close()
	lanes := make(map[string]*running)
	defer func() {
		for _, r := range lanes {
			r.stop()
		}
	}()
	tick := time.NewTicker(s.sweep)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.reconcile(ctx, lanes)
		if err := s.giveUpOrphans(ctx); err != nil && ctx.Err() == nil {
			if s.bus.Conn.IsClosed() {
				return err
			}
			s.log.Warn("notifications without a target not looked for", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-s.changed:
		case <-tick.C:
		}
	}
	return nil
}

// running is a lane that works.
type running struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// reconcile gives each target a lane, and stops those of targets that are gone.
func (s *Sender) reconcile(ctx context.Context, lanes map[string]*running) {
	names := s.names()
	for _, name := range slices.Sorted(maps.Keys(lanes)) {
		if !slices.Contains(names, name) {
			lanes[name].stop()
			delete(lanes, name)
		}
	}
	for _, name := range names {
		if lanes[name] != nil {
			continue
		}
		work, cancel := context.WithCancel(ctx)
		r := &running{cancel: cancel, ended: make(chan struct{})}
		lanes[name] = r
		l := &lane{Sender: s, name: name, log: s.log.With(slog.String("target", name))}
		go func() {
			defer close(r.ended)
			l.run(work)
		}()
	}
}

// consumer opens what hands out the messages for a target. Messages that wait for
// their next attempt count as handed out, so there is no bound on these.
func (s *Sender) consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	cons, err := s.bus.JS.CreateOrUpdateConsumer(ctx, bus.StreamNotify, jetstream.ConsumerConfig{
		Durable:           "to-" + name,
		Description:       "hands out the notifications for " + name,
		FilterSubject:     bus.NotifySubject(name),
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           ackWait,
		MaxDeliver:        -1,
		MaxAckPending:     -1,
		InactiveThreshold: inactive,
	})
	if err != nil {
		return nil, fmt.Errorf("open the consumer of notifications for %s: %w", name, err)
	}
	return cons, nil
}

// giveUpOrphans gives up messages that have waited for a target that is not there.
func (s *Sender) giveUpOrphans(ctx context.Context) error {
	stream, err := s.bus.JS.Stream(ctx, bus.StreamNotify)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamNotify, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(bus.AllNotify))
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamNotify, err)
	}
	for _, subject := range slices.Sorted(maps.Keys(info.State.Subjects)) {
		name := strings.TrimPrefix(subject, strings.TrimSuffix(bus.AllNotify, ">"))
		if s.target(name) != nil {
			continue
		}
		first, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue // another one was faster
		case err != nil:
			return fmt.Errorf("read the first message on %s: %w", subject, err)
		case time.Since(first.Time) < s.orphan:
			continue
		}
		if err := s.giveUpAll(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// giveUpAll gives up what has waited for long enough for a target that is not there.
func (s *Sender) giveUpAll(ctx context.Context, name string) error {
	cons, err := s.consumer(ctx, name)
	if err != nil {
		return err
	}
	l := &lane{Sender: s, name: name, log: s.log.With(slog.String("target", name))}
	for ctx.Err() == nil {
		batch, err := cons.FetchNoWait(atOnce)
		if err != nil {
			return fmt.Errorf("take notifications for %s: %w", name, err)
		}
		n := 0
		for msg := range batch.Messages() {
			n++
			l.adopt(ctx, msg)
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return fmt.Errorf("take notifications for %s: %w", name, err)
		}
		if n == 0 {
			return nil
		}
	}
	return ctx.Err()
}
