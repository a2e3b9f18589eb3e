package intake

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/source/backfill"
)

// timing says when what is done.
type timing struct {
	// first is the pause before a source that ended is run again, which doubles up to
	// most; one that ran for steady begins with first again.
	first, most, steady time.Duration
	// every is the least time between two writes of how a source fares, unless it is
	// news. grace is how long the last may take when the work ends.
	every, grace time.Duration
	// again is when what failed is tried again.
	again time.Duration
}

// Supervisor runs the sources of the content in force. It needs the role bus. On a bus
// that several share, one at a time may be in [Supervisor.Run]; what a source saves
// and how it fares goes with it from one to the next.
type Supervisor struct {
	// By names this jet-bus, empty if it is alone.
	By string
	// Publish stores what sources bring: an event from outside, as webhooks do. same
	// is empty. It tells whether the event was known. By default, that is what the
	// bus itself remembers for two minutes.
	Publish func(ctx context.Context, e events.Event, same string) (seq uint64, known bool, err error)

	bus *bus.Bus
	log *slog.Logger
	timing

	mu sync.Mutex
	// sources are all that are to run: those of content, and others.
	sources, content, others *Sources
	// changed has a value when there is something else to run.
	changed chan struct{}
}

// New returns a Supervisor without sources.
func New(b *bus.Bus, log *slog.Logger) *Supervisor {
	return &Supervisor{
		bus: b, log: log, sources: &Sources{}, content: &Sources{}, others: &Sources{}, changed: make(chan struct{}, 1),
		Publish: func(ctx context.Context, e events.Event, _ string) (uint64, bool, error) {
			ack, err := b.PublishEvent(ctx, bus.ClassExternal, e)
			return ack.Seq, ack.Duplicate, err
		},
		timing: timing{
			first: time.Second, most: 5 * time.Minute, steady: time.Minute,
			every: 5 * time.Second, grace: 2 * time.Second, again: 5 * time.Second,
		},
	}
}

// Use puts other sources in force, also while they are run: what has changed is stopped
// and started, the rest goes on. It waits for nothing.
func (s *Supervisor) Use(all *Sources) {
	if all == nil {
		all = &Sources{}
	}
	s.mu.Lock()
	s.content = all
	s.sources = s.content.and(s.others)
	s.mu.Unlock()
	s.wake()
}

// UseBackfills puts other backfills of webhooks in force, as [Supervisor.Use] does with
// the sources of content.
func (s *Supervisor) UseBackfills(entries []backfill.Entry) error {
	all, err := backfills(entries)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.others = all
	s.sources = s.content.and(s.others)
	s.mu.Unlock()
	s.wake()
	return nil
}

func (s *Supervisor) inForce() *Sources {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources
}

func (s *Supervisor) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run runs the sources until ctx ends, and returns when all have stopped. It outlasts
// a bus that is away for a while.
func (s *Supervisor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sh := &shift{Supervisor: s, tasks: make(map[string]*task), polls: make(map[string]uint64), ended: make(chan *task)}
	known := make(chan struct{})
	errs := make(chan error, 2)
	var wg sync.WaitGroup
	follow := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				errs <- err
				cancel(err)
			}
		})
	}
	follow(func() error { return sh.followPauses(ctx, known) })
	follow(func() error { return followPolls(ctx, s.bus, sh.asked) })
	select {
	case <-known:
		sh.work(ctx)
	case <-ctx.Done():
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// shift is one Run of a Supervisor.
type shift struct {
	*Supervisor

	// tasks are those that have not ended; they belong to work.
	tasks map[string]*task
	ended chan *task
	// swept are the sources that all records are about.
	swept *Sources

	lock   sync.Mutex
	paused map[string]control.Pause
	polls  map[string]uint64
	feeds  map[string]*feed
}

// followPauses keeps up with what is paused, and closes known when it knows.
func (s *shift) followPauses(ctx context.Context, known chan<- struct{}) error {
	first := true
	for all, err := range control.Follow(ctx, s.bus) {
		if err != nil {
			return err
		}
		paused := make(map[string]control.Pause)
		for _, p := range all {
			if p.Kind == control.Source && p.Holds() {
				paused[p.Name] = p
			}
		}
		s.lock.Lock()
		s.paused = paused
		s.lock.Unlock()
		if first {
			close(known)
			first = false
		}
		s.wake()
	}
	return nil
}

// asked notes that a source should look now.
func (s *shift) asked(name string, seq uint64) {
	s.lock.Lock()
	s.polls[name] = seq
	f := s.feeds[name]
	s.lock.Unlock()
	if f != nil {
		f.ask(seq)
	}
}

// work runs what is to be run until ctx ends, and waits for all of it.
func (s *shift) work(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.changed:
			s.reconcile(ctx)
		case t := <-s.ended:
			s.drop(t)
			s.reconcile(ctx)
		case <-again.C:
			s.reconcile(ctx)
		}
		if s.swept != s.inForce() {
			again.Reset(s.again)
		}
	}
	for _, t := range s.tasks {
		t.cancel()
	}
	late := time.NewTimer(s.grace + s.again)
	defer late.Stop()
	for len(s.tasks) > 0 {
		select {
		case t := <-s.ended:
			s.drop(t)
		case <-late.C:
			s.log.Error("sources do not stop", slog.Any("sources", slices.Sorted(maps.Keys(s.tasks))))
		}
	}
}

// drop forgets a task that has ended.
func (s *shift) drop(t *task) {
	delete(s.tasks, t.name)
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.feeds, t.name)
}

// reconcile stops what is not to be as it is, and starts what is not yet. A source is
// started after what ran under its name has ended.
func (s *shift) reconcile(ctx context.Context) {
	all := s.inForce()
	for name, t := range s.tasks {
		e, wanted := all.byName[name]
		if wanted && e.digest == t.digest && s.mode(name, e) == t.mode {
			continue
		}
		if !t.ending {
			t.ending = true
			t.cancel()
		}
	}
	for _, name := range all.Names() {
		if s.tasks[name] == nil {
			s.start(ctx, name, all.byName[name])
		}
	}
	if s.swept != all {
		s.sweep(ctx, all)
	}
}

// mode says what is to be done with a source.
func (s *shift) mode(name string, e entry) mode {
	if !e.enabled {
		return mode{state: Off}
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if p, ok := s.paused[name]; ok {
		return mode{state: Paused, by: p.By, reason: p.Reason}
	}
	return mode{state: Waiting}
}

// start has a source looked after.
func (s *shift) start(ctx context.Context, name string, e entry) {
	f := &feed{
		Supervisor: s.Supervisor, name: name, woken: make(chan struct{}, 1),
		log:    s.log.With(slog.String("source", name), slog.String("kind", e.kind.Key)),
		cursor: &cursor{bus: s.bus, name: name, kind: e.kind.Key},
	}
	t := &task{feed: f, entry: e, mode: s.mode(name, e)}
	ctx, t.cancel = context.WithCancel(ctx)
	s.tasks[name] = t
	s.lock.Lock()
	if s.feeds == nil {
		s.feeds = make(map[string]*feed)
	}
	s.feeds[name] = f
	f.ask(s.polls[name])
	s.lock.Unlock()
	go func() {
		defer t.cancel()
		t.run(ctx)
		s.ended <- t
	}()
}

// sweep takes away the states of sources that are in content no more. What they
// remember stays: content may come back.
func (s *shift) sweep(ctx context.Context, all *Sources) {
	ctx, cancel := context.WithTimeout(ctx, s.again)
	defer cancel()
	states, err := States(ctx, s.bus)
	for _, st := range states {
		_, wanted := all.byName[st.Name]
		if wanted || isHook(st.Name) {
			continue
		}
		if s.tasks[st.Name] != nil {
			return // it will write once more; its end comes here again
		}
		if err = remove(ctx, s.bus, keyState, st.Name); err != nil {
			break
		}
	}
	switch {
	case err == nil:
		s.swept = all
	case ctx.Err() == nil:
		s.log.Warn("sources that are gone are still listed", slog.Any("err", err))
	}
}
