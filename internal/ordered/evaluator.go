package ordered

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// Content is what events are judged with: see [dispatch.Content].
type Content = dispatch.Content

// ErrNoContent says that a bundle can not be had, now or later: it is gone, or its
// rules are none for this version.
var ErrNoContent = errors.New("the content cannot be had any more")

// Fetch returns the content of a bundle. It fails with [ErrNoContent]; after any
// other error it is asked again.
type Fetch func(ctx context.Context, bundle string) (Content, error)

// Notification is a message to people, to be sent once for its ID.
type Notification struct {
	ID   string `json:"id"`
	Rule string `json:"rule"`
	// To names the target.
	To      string `json:"to"`
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
	// Event is what the firing came of, EventSubject its subject.
	Event        *queue.EventRef `json:"event"`
	EventSubject string          `json:"event_subject,omitempty"`
	// Correlation is the id that all events of the chain share, Depth how many rules
	// in a row led here.
	Correlation string    `json:"correlation,omitempty"`
	Depth       int       `json:"depth,omitempty"`
	At          time.Time `json:"at"`
}

// Evaluator judges the ordered rules. Set its fields before Run.
type Evaluator struct {
	// Name tells this jet-bus from others on the bus, empty if it is alone.
	Name string
	// Fetch gives the content of a set that came into force elsewhere or before.
	Fetch Fetch
	// Notify sends a message and returns a function that waits until it is stored,
	// which must be called, once. If it is nil, such a firing fails.
	Notify func(ctx context.Context, n Notification) (wait func() error)

	bus   *bus.Bus
	queue *queue.Queue
	log   *slog.Logger

	mu      sync.Mutex
	own     Content // zero until Use is called
	changed chan struct{}

	pauses pauses

	// abrupt leaves out the last snapshot, as a crash does.
	abrupt bool
	now    func() time.Time
	times  times
}

// times are how long things take that tests have no time for.
type times struct {
	// look is how often an evaluator with open windows compares the clocks.
	look time.Duration
	// tick is the least time between two ticks.
	tick time.Duration
	// snapshot is the least time between two snapshots.
	snapshot time.Duration
	// retry is how long it waits after something went wrong, or a breaker is open.
	retry time.Duration
	// events is after how many events there is a snapshot in any case.
	events int
	// held is how many firings of one rule are held at the most.
	held int
}

// New returns an evaluator. A nil log discards.
func New(b *bus.Bus, q *queue.Queue, log *slog.Logger) *Evaluator {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Evaluator{
		bus: b, queue: q, log: log, now: time.Now, changed: make(chan struct{}, 1),
		pauses: pauses{changed: make(chan struct{}, 1)},
		times: times{
			look: time.Second, tick: 250 * time.Millisecond, snapshot: time.Minute, retry: 250 * time.Millisecond, events: 50_000, held: 10_000,
		},
	}
}

// Use says which content is to be in force. It is from the moment on that the
// evaluator, once it has caught up with the events, has told all others so on the
// bus. The bundle must be in the object store.
func (ev *Evaluator) Use(c Content) {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ev.own = c
	wake(ev.changed)
}

func (ev *Evaluator) content() Content {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	return ev.own
}

// wake makes c readable.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is
	}
}

// Run judges events until ctx ends. One on a bus is enough; a second one does no
// harm for as long as both live, but the work twice: see the package comment.
func (ev *Evaluator) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	known := make(chan struct{})
	var followed error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		followed = ev.pauses.follow(ctx, ev.bus, known)
	})
	defer wg.Wait()
	select {
	case <-known: // not before: a paused rule must not fire at the start
	case <-ctx.Done():
	}
	said := ""
	for ctx.Err() == nil {
		err := ev.live(ctx)
		switch {
		case ctx.Err() != nil || err == nil:
			continue
		case ev.bus.Conn.IsClosed(), !errors.Is(err, bus.ErrRewound) && !passing(err):
			stop()
			return err
		case err.Error() == said: // no news
		case errors.Is(err, bus.ErrRewound):
			ev.log.Error("the events went back; what ordered rules remember is looked for again", slog.Any("err", err))
		default:
			ev.log.Warn("ordered rules have to wait", slog.Any("err", err))
		}
		said = err.Error()
		pause.For(ctx, ev.times.retry)
	}
	wg.Wait()
	return followed
}

// live is one life of the fold: until ctx ends, or the stream is not what it was.
func (ev *Evaluator) live(ctx context.Context) error {
	f, err := ev.recover(ctx)
	if err != nil {
		return err
	}
	defer f.end(ctx)
	for ctx.Err() == nil {
		step := f.follow
		if !f.awake() {
			step = f.idle
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// passing tells the errors that waiting may cure.
func passing(err error) bool {
	return errors.Is(err, bus.ErrUnavailable) || errors.Is(err, bus.ErrUnknownOutcome) || errors.Is(err, bus.ErrFull)
}
