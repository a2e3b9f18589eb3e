package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/outbound"
)

// timing says when what is done.
type timing struct {
	// first is about the time before the second attempt; it doubles up to most.
	first, most time.Duration
	// asked is how long a sink may ask to be left alone.
	asked time.Duration
	// patience is for how long a sink must have failed, as far as this process has seen,
	// before an event is given up that is too old: it may have waited for others.
	patience time.Duration
	// grace is how long attempts under way may take when the work ends.
	grace time.Duration
	// report is how often it is written down how a subscription fares, idle how often it
	// is noted that nothing waits.
	report, idle time.Duration
	// again is the time after which the bus is asked again.
	again time.Duration
}

// storing bounds what is asked of the bus, after the end of the work too.
const storing = 5 * time.Second

// Deliverer delivers. It needs the role bus. Any number of them may share a bus; each
// delivers for the subscriptions that it knows.
type Deliverer struct {
	// By names this jet-bus. Sole says that no other is on the bus: then whatever
	// subscription is not in force has ended. Neither may be changed once it runs.
	By   string
	Sole bool

	bus    *bus.Bus
	log    *slog.Logger
	client *outbound.Client
	timing

	mu   sync.Mutex
	subs *Subscriptions
	// begin is the sequence from which on a subscription has events, if it is new.
	begin map[string]uint64
	// changed is closed when other subscriptions come into force.
	changed chan struct{}
	// consumers is held by who makes or removes one, and looks before what is in force.
	consumers sync.Mutex
}

// New returns a Deliverer that knows no subscription.
func New(b *bus.Bus, log *slog.Logger) *Deliverer {
	return &Deliverer{
		bus: b, log: log, client: outbound.NewClient(nil, maxParallel), subs: &Subscriptions{},
		begin: make(map[string]uint64), changed: make(chan struct{}),
		timing: timing{
			first: 5 * time.Second, most: 10 * time.Minute, asked: time.Hour, patience: 15 * time.Minute,
			grace: 3 * time.Second, report: 5 * time.Second, idle: time.Minute, again: time.Second,
		},
	}
}

// Use puts other subscriptions in force. Those that are new get the events that are
// stored from now on. An event that waits to be sent again is sent at once by what is
// in force now. Secret files that cannot be read are logged: it is better known before
// there is something to send.
func (d *Deliverer) Use(ctx context.Context, s *Subscriptions) error {
	next := uint64(1)
	if len(s.byName) > 0 {
		events, err := d.bus.JS.Stream(ctx, bus.StreamEvents)
		if err != nil {
			return fmt.Errorf("see where the events end: %w", err)
		}
		next = events.CachedInfo().State.LastSeq + 1
	}
	d.mu.Lock()
	for _, name := range s.Names() {
		if _, known := d.subs.byName[name]; !known {
			d.begin[name] = next
		}
	}
	d.subs = s
	close(d.changed)
	d.changed = make(chan struct{})
	d.mu.Unlock()
	for _, name := range s.Names() {
		for _, file := range s.byName[name].secrets() {
			if _, err := readable(s.byName[name], file); err != nil {
				d.log.Warn("a subscription cannot be delivered yet", slog.String("subscription", name), slog.Any("err", err))
			}
		}
	}
	return nil
}

// readable reads a secret file as it will be read to send.
func readable(s *subscription, file string) (any, error) {
	if file == s.signingFile {
		return readKeys(file)
	}
	return outbound.Secret(file)
}

// inForce returns what is in force, and what is closed when that changes.
func (d *Deliverer) inForce() (*Subscriptions, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subs, d.changed
}

// current returns a subscription, nil if it is not in force.
func (d *Deliverer) current(name string) *subscription {
	s, _ := d.inForce()
	return s.byName[name]
}

// Run delivers until ctx ends, but for batches, and takes away what is left of
// subscriptions that are gone. What is being sent at the end has a few seconds to come
// to an end, and is given back otherwise. It outlasts a bus that is away for a while.
func (d *Deliverer) Run(ctx context.Context) error {
	defer d.client.Close()
	known := make(map[string]bool)
	return d.run(ctx, func(s *subscription) bool { return s.mode != batch }, func(s *Subscriptions) {
		d.sweep(ctx, s, known)
	})
}

// RunBatches delivers batches until ctx ends, as Run does. Of several jet-bus only one
// may do so at a time.
func (d *Deliverer) RunBatches(ctx context.Context) error {
	return d.run(ctx, func(s *subscription) bool { return s.mode == batch }, func(*Subscriptions) {})
}

// running is a lane that works.
type running struct {
	lane   *lane
	cancel context.CancelFunc
	ended  chan struct{}
}

func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// run gives each subscription that is mine a lane, and stops those of others.
func (d *Deliverer) run(ctx context.Context, mine func(*subscription) bool, then func(*Subscriptions)) error {
	lanes := make(map[string]*running)
	defer func() {
		for _, r := range lanes {
			r.cancel()
		}
		for _, r := range lanes {
			<-r.ended
		}
	}()
	for ctx.Err() == nil {
		subs, changed := d.inForce()
		for _, name := range slices.Sorted(maps.Keys(lanes)) {
			s := subs.byName[name]
			if s == nil || !mine(s) || !lanes[name].lane.use(s) {
				lanes[name].stop()
				delete(lanes, name)
			}
		}
		for _, name := range subs.Names() {
			if s := subs.byName[name]; lanes[name] == nil && mine(s) {
				lanes[name] = d.start(ctx, s)
			}
		}
		then(subs)
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return nil
}

func (d *Deliverer) start(ctx context.Context, s *subscription) *running {
	work, cancel := context.WithCancel(ctx)
	r := &running{lane: newLane(d, s), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.lane.run(work)
	}()
	return r
}
