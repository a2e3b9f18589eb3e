package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
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
)

// Content is what events are matched with: a rule set, and the bundle that holds
// it and everything its playbooks need.
type Content struct {
	Set    *rules.Set
	Bundle string
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
}

// Dispatcher makes jobs of events. Use must be called before Run.
type Dispatcher struct {
	// Name tells it from other dispatchers on the same bus; empty if it is alone.
	// Each judges the events that it takes with its own set. Set it before Use.
	Name string

	bus   *bus.Bus
	queue *queue.Queue
	lease queue.Timing
	log   *slog.Logger

	// mu is held for reading while an event is judged, for writing while the
	// content changes: it tells exactly which set judged which event.
	mu      sync.RWMutex
	content Content
	judged  atomic.Uint64 // highest sequence judged
}

// New returns a dispatcher. The lease is that of the queues it opens.
func New(b *bus.Bus, q *queue.Queue, lease queue.Timing, log *slog.Logger) *Dispatcher {
	return &Dispatcher{bus: b, queue: q, lease: lease, log: log}
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
		slog.String("bundle", c.Bundle))
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
	since := max(d.judged.Load(), info.AckFloor.Stream) + 1
	a := Activation{RuleSet: c.Set.Digest(), Bundle: c.Bundle, Since: since, By: d.Name}
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
		out = append(out, a)
	}
	return out, nil
}

func (d *Dispatcher) consumer(ctx context.Context) (jetstream.Consumer, error) {
	cons, err := d.bus.JS.CreateOrUpdateConsumer(ctx, bus.StreamEvents, jetstream.ConsumerConfig{
		Durable:       bus.ConsumerDispatch,
		Description:   "hands events to the rules",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: 2000,
	})
	if err != nil {
		return nil, fmt.Errorf("open the consumer of events: %w", err)
	}
	return cons, nil
}

// Run takes events until ctx ends, and returns when those in hand are done with.
// It outlasts a bus that has no leader for a while.
func (d *Dispatcher) Run(ctx context.Context) error {
	if d.Name != "" {
		defer d.retire(ctx) // last, when none is in hand
	}
	sem := make(chan struct{}, workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		err := d.take(ctx, func(msg jetstream.Msg) {
			sem <- struct{}{}
			wg.Go(func() {
				defer func() { <-sem }()
				d.handle(ctx, msg)
			})
		})
		if ctx.Err() != nil {
			return nil
		}
		// Made anew, a consumer that somebody deleted would give all events again:
		// that is for whoever starts us again to decide.
		_, gone := d.bus.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
		if errors.Is(gone, jetstream.ErrConsumerNotFound) || d.bus.Conn.IsClosed() {
			return err
		}
		d.log.Warn("no events at the moment", slog.Any("err", err))
		pause(ctx)
	}
}

// take gives the events to handle until ctx ends, or the consumer is gone.
func (d *Dispatcher) take(ctx context.Context, handle func(jetstream.Msg)) error {
	cons, err := d.consumer(ctx)
	if err != nil {
		return err
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(inHand), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("take events: %w", err)
	}
	// Those already fetched come through the loop, to be given back: kept, they
	// would be handed out again only after ackWait.
	defer context.AfterFunc(ctx, it.Drain)()
	for {
		msg, err := it.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("take events: %w", err) // the connection or the consumer is gone
		case err == nil && ctx.Err() != nil:
			_ = msg.Nak()
		case err == nil:
			handle(msg)
		default:
			d.log.Warn("no events at the moment", slog.Any("err", err))
			pause(ctx)
		}
	}
}

// pause waits a moment, so that a bus that does not answer is not asked all the
// time.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(retryAfter):
	}
}

// handle makes the jobs of one event.
func (d *Dispatcher) handle(ctx context.Context, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		d.log.Error("event without metadata", slog.Any("err", err))
		return
	}
	seq := meta.Sequence.Stream
	log := d.log.With(slog.Uint64("seq", seq))
	e, err := bus.DecodeEvent(msg.Headers(), msg.Data())
	if err != nil {
		// It stays on the stream for people to look at; no rule can judge it.
		log.Error("event cannot be read", slog.Any("err", err))
		_ = msg.Term()
		return
	}
	log = log.With(slog.String("event", e.ID()), slog.String("type", e.Type()))
	if Forged(msg.Subject(), e) {
		log.Warn("event is not judged, its type is for jet-bus itself", slog.String("source", e.Source()))
		_ = msg.Ack()
		return
	}
	if err := d.judge(ctx, log, e, seq); err != nil {
		log.Warn("event is tried again", slog.Any("err", err))
		_ = msg.NakWithDelay(retryAfter)
		return
	}
	if err := msg.Ack(); err != nil {
		log.Warn("event not acknowledged", slog.Any("err", err)) // it comes again, and makes no second job
	}
}

// Forged reports whether an event stored on subject claims to come from jet-bus
// itself and does not: its type is one of ours, and its class is not. No rule
// judges such an event.
func Forged(subject string, e events.Event) bool {
	return events.OwnType(e.Type()) && subject != bus.EventSubject(bus.ClassOwn, e.Type())
}

func (d *Dispatcher) judge(ctx context.Context, log *slog.Logger, e events.Event, seq uint64) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for {
		highest := d.judged.Load()
		if seq <= highest || d.judged.CompareAndSwap(highest, seq) {
			break
		}
	}
	var errs []error // one rule's trouble is not another's
	for _, v := range d.content.Set.Match(e) {
		log := log.With(slog.String("rule", v.Rule.Name))
		switch v.Outcome {
		case rules.Fired:
			j := Job(d.content, v, e, seq)
			_, created, err := d.queue.Submit(ctx, j)
			switch {
			case errors.Is(err, queue.ErrTooLarge):
				log.Warn("rule failed", slog.Any("err", err)) // and always would
			case err != nil:
				errs = append(errs, fmt.Errorf("rule %s: %w", v.Rule.Name, err))
			default:
				log.Info("rule fired", slog.String("job", j.ID), slog.Bool("created", created))
			}
		case rules.Failed:
			log.Warn("rule failed", slog.Any("err", v.Err))
		default:
		}
	}
	return errors.Join(errs...)
}

// Job returns the job that a verdict makes of an event.
func Job(c Content, v rules.Verdict, e events.Event, seq uint64) queue.Job {
	a := v.Action
	correlation := events.Extension(e, events.ExtCorrelation)
	if correlation == "" {
		correlation = e.ID()
	}
	return queue.Job{
		ID:            queue.ID(e.Source(), e.ID(), v.Rule.Name, ""),
		Rule:          v.Rule.Name,
		RuleSet:       c.Set.Digest(),
		Event:         &queue.EventRef{Source: e.Source(), ID: e.ID(), Type: e.Type(), Seq: seq},
		CorrelationID: correlation,
		Bundle:        c.Bundle,
		Playbook:      a.Playbook,
		Inventory:     a.Inventory,
		Limit:         a.Limit,
		Vars:          a.Vars,
		Check:         a.Check,
		Needs:         a.Needs,
		Timeout:       a.Timeout,
		OnRunnerLoss:  queue.OnLoss(a.OnRunnerLoss),
	}
}

// Judged returns the sequence up to which every event has been judged and its
// jobs stored. It needs no more than a viewer's rights.
func Judged(ctx context.Context, b *bus.Bus) (uint64, error) {
	cons, err := b.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
	if err != nil {
		return 0, fmt.Errorf("see how far the events are judged: %w", err)
	}
	return cons.CachedInfo().AckFloor.Stream, nil
}
