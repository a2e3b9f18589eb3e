package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

const (
	// ackWait is how long the jobs of one event may take to be stored before it
	// is handed out again; so long do those wait that a dying server took along.
	ackWait = 30 * time.Second
	// heartbeat is how often the bus shows that it holds our request for events;
	// without two of them it is asked anew.
	heartbeat = 2 * time.Second
	// inHand is how many events are fetched ahead, workers how many are worked
	// on at once.
	inHand, workers = 256, 16
	retryAfter      = time.Second
	// closing is how long the resume of a rule goes on after the rule judges new
	// events again, for dispatchers that do not know it yet.
	closing = 30 * time.Second
)

// Content is what events are matched with: a rule set, and the bundle that holds
// it and everything its playbooks need.
type Content struct {
	Set    *rules.Set
	Bundle string
	// Hosts, if set, returns the hosts that an action will touch, sorted; nil if
	// that cannot be known before it runs. It is called by several goroutines.
	Hosts func(*rules.Action) []string
	Origin
}

// Origin says where content came from.
type Origin struct {
	// Revision is the commit, empty for content of a directory: its bundle's digest says which it is.
	Revision string `json:"revision,omitempty"`
	// From is the directory or the repository, for people.
	From string `json:"from,omitempty"`
	// Pinned is true if it came into force because somebody pinned it, see [Pin].
	Pinned bool `json:"pinned,omitempty"`
}

// Activation is the record of a rule set coming into force, kept with its
// predecessors so that an event can be explained with the set that judged it.
type Activation struct {
	RuleSet string `json:"rule_set"`
	Bundle  string `json:"bundle"`
	// Since is the sequence of the first event judged with this set.
	Since uint64 `json:"since"`
	// By is the Name of the dispatcher. One that stopped has recorded an activation
	// of no set at all.
	By string `json:"by,omitempty"`
	Origin
	// At is when it was recorded; it is not stored.
	At time.Time `json:"-"`
}

// Dispatcher makes jobs of events. Use must be called before Run and CatchUp.
type Dispatcher struct {
	// Name tells it from other dispatchers on the same bus; empty if it is alone.
	// Each judges the events that it takes with its own set. Set it before Use.
	Name string

	bus   *bus.Bus
	queue *queue.Queue
	lease queue.Timing
	log   *slog.Logger

	// mu is held while an event gets the content it is judged with, and while the
	// content changes: it tells exactly which set judged which event.
	mu      sync.Mutex
	content Content
	judged  uint64 // highest sequence that got its content

	pauses  pauses
	now     func() time.Time // for intervals
	closing time.Duration
}

// New returns a dispatcher. The lease is that of the queues it opens.
func New(b *bus.Bus, q *queue.Queue, lease queue.Timing, log *slog.Logger) *Dispatcher {
	return &Dispatcher{bus: b, queue: q, lease: lease, log: log, now: time.Now, closing: closing}
}

// Use puts a rule set in force for the events that follow: it opens the queues
// its rules need and records the change. The bundle must be in the object store.
// On an error the set before stays in force.
func (d *Dispatcher) Use(ctx context.Context, c Content) error {
	cons, err := d.consumer(ctx)
	if err != nil {
		return err
	}
	if err := d.queue.Open(ctx, nil, d.lease); err != nil {
		return err
	}
	for _, r := range c.Set.Rules() {
		if r.Run == nil {
			continue
		}
		if err := d.queue.Open(ctx, r.Run.Needs, d.lease); err != nil {
			return fmt.Errorf("rule %s: %w", r.Name, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.record(ctx, cons, c); err != nil {
		return err
	}
	d.content = c
	d.log.Info("rule set in force", slog.String("rule_set", c.Set.Digest()), slog.Int("rules", len(c.Set.Rules())),
		slog.String("bundle", c.Bundle), slog.String("revision", c.Revision))
	return nil
}

func (d *Dispatcher) record(ctx context.Context, cons jetstream.Consumer, c Content) error {
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("record the rule set: %w", err)
	}
	all, err := Activations(ctx, d.bus)
	if err != nil {
		return err
	}
	// Events that were handed out and not judged yet will be by this set.
	since := max(d.judged, info.AckFloor.Stream) + 1
	a := Activation{RuleSet: c.Set.Digest(), Bundle: c.Bundle, Since: since, By: d.Name, Origin: c.Origin}
	own, other := last(all, d.Name)
	if d.Name != "" && other.By != "" && (other.RuleSet != a.RuleSet || other.Bundle != a.Bundle) {
		d.log.Warn("another jet-bus has other content; each judges the events it takes with its own",
			slog.String("other", other.By), slog.String("its_rule_set", other.RuleSet), slog.String("its_bundle", other.Bundle))
	}
	if own.RuleSet == a.RuleSet && own.Bundle == a.Bundle {
		return nil
	}
	return d.write(ctx, a)
}

// write adds to the record of activations.
func (d *Dispatcher) write(ctx context.Context, a Activation) error {
	kv, err := d.bus.JS.KeyValue(ctx, bus.BucketConfig)
	if err != nil {
		return fmt.Errorf("record the rule set: %w", err)
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("record the rule set: %w", err)
	}
	if _, err := kv.Put(ctx, bus.KeyRuleSet, data); err != nil {
		return fmt.Errorf("record the rule set: %w", err)
	}
	return nil
}

// Activations returns the rule sets that were in force, oldest first. It needs no
// more than a viewer's rights.
func Activations(ctx context.Context, b *bus.Bus) ([]Activation, error) {
	var out []Activation
	for m, err := range b.Tail(ctx, "KV_"+bus.BucketConfig, "$KV."+bus.BucketConfig+"."+bus.KeyRuleSet, bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("read the rule sets that were in force: %w", err)
		}
		var a Activation
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return nil, fmt.Errorf("decode the rule set at sequence %d: %w", m.Seq, err)
		}
		a.At = m.Time
		out = append(out, a)
	}
	return out, nil
}

func (d *Dispatcher) consumer(ctx context.Context) (jetstream.Consumer, error) {
	// Whoever holds back events has paused the consumer; it must stay so.
	var held *time.Time
	if old, err := d.bus.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch); err == nil && old.CachedInfo().Paused {
		held = old.CachedInfo().Config.PauseUntil
	}
	cons, err := d.bus.JS.CreateOrUpdateConsumer(ctx, bus.StreamEvents, jetstream.ConsumerConfig{
		Durable:       bus.ConsumerDispatch,
		Description:   "hands events to the rules",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: 2000,
		PauseUntil:    held,
	})
	if err != nil {
		return nil, fmt.Errorf("open the consumer of events: %w", err)
	}
	return cons, nil
}
