package jobevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// saveEvery is how often it is noted how far we are, at most.
	saveEvery = time.Second
	// retryAfter is the pause after something that failed.
	retryAfter = time.Second
)

// Follower publishes what is wanted of jobs and rules. It is safe for concurrent use,
// but for Run. Of several that share a bus one may run at a time; should two for a
// while, they publish the same events, under the same ids.
type Follower struct {
	bus   *bus.Bus
	log   *slog.Logger
	feeds []*feed
	// save is how often the cursor is stored, retry the pause after a failure.
	save, retry time.Duration

	mu    sync.Mutex
	wants map[string]func(typ string) bool
}

// End is where the streams end that are followed.
type End struct{ runs, decisions uint64 }

// New returns a follower for which nobody wants anything yet. A nil log discards.
func New(b *bus.Bus, log *slog.Logger) *Follower {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{bus: b, log: log, save: saveEvery, retry: retryAfter, wants: make(map[string]func(string) bool)}
	f.feeds = []*feed{
		newFeed(f, bus.StreamRuns, bus.AllStates, bus.KeyJobEvents, func() teller { return &jobs{bus: b, log: log, known: make(map[string]seen)} },
			append(events.JobTypes(), events.TypeRuleFired)...),
		newFeed(f, bus.StreamDecisions, bus.AllDecisions, bus.KeyRuleEvents, func() teller { return decisions{log} }, events.TypeRuleFired),
	}
	return f
}

// End returns where jobs and decisions are now. Who is about to put something in force
// that wants events asks before, and tells [Follower.Want] after.
func (f *Follower) End(ctx context.Context) (e End, err error) {
	if e.runs, err = endOf(ctx, f.bus, bus.StreamRuns); err == nil {
		e.decisions, err = endOf(ctx, f.bus, bus.StreamDecisions)
	}
	return e, err
}

func endOf(ctx context.Context, b *bus.Bus, stream string) (uint64, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("see where %s ends: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Want says what somebody wants from now on, in place of what they wanted before: wants
// reports whether events of a type are of use to them, and is called by several
// goroutines; nil wants nothing. What nobody wanted before is told from what happened
// after begin on.
func (f *Follower) Want(who string, wants func(typ string) bool, begin End) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := make([]bool, len(f.feeds))
	for i, d := range f.feeds {
		was[i] = f.wantsAny(d.types)
	}
	f.wants[who] = wants
	for i, d := range f.feeds {
		if !was[i] && f.wantsAny(d.types) {
			d.begin = begin.runs + 1
			if d.stream == bus.StreamDecisions {
				d.begin = begin.decisions + 1
			}
		}
		select {
		case d.changed <- struct{}{}:
		default: // it has been told and did not look yet
		}
	}
}

func (f *Follower) wantsAny(types []string) bool {
	for _, wants := range f.wants {
		if wants != nil && slices.ContainsFunc(types, wants) {
			return true
		}
	}
	return false
}

// wanted reports whether somebody wants events of a type.
func (f *Follower) wanted(typ string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wantsAny([]string{typ})
}

// Run tells until ctx ends. It outlasts a bus that does not answer, that is full, or
// that is behind what was seen of it.
func (f *Follower) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(f.feeds))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for i, d := range f.feeds {
		wg.Go(func() {
			if errs[i] = d.run(ctx); errs[i] != nil {
				stop()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
