package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

// line is the way of events through a dispatcher, in their order.
type line struct {
	d       *Dispatcher
	order   chan *item
	judging chan struct{} // holds a token for each event that is being judged
	inHand  chan struct{} // and one for each that is not done with
	wg      sync.WaitGroup
	// breakers are those of the rules, by name. Only the goroutine that sends
	// knows them.
	breakers map[string]*Breaker
}

// item is one event on its way.
type item struct {
	msg   jetstream.Msg
	seq   uint64
	at    time.Time // when it was stored
	again bool      // it was handed out before
	// content is what it is judged with.
	content Content
	log     *slog.Logger // see logger
	id, typ string       // of the event, once it is read

	// judged is closed when the two after it are set: what to do with an event
	// that no rule judges, or the jobs to be.
	judged chan struct{}
	settle func() error
	jobs   []job

	// What is waited for, the rules that left the event for their resume, and what
	// went wrong so far.
	waits   []wait
	skipped []string
	errs    []error
}

// job is a job to be, and the rule that fired.
type job struct {
	queue.Job
	rule *rules.Rule
}

// wait is a job that was sent.
type wait struct {
	job, rule string
	stored    func() (queue.Record, bool, error)
}

func newLine(ctx context.Context, d *Dispatcher) *line {
	l := &line{
		d: d, order: make(chan *item, inHand), judging: make(chan struct{}, workers),
		inHand: make(chan struct{}, inHand), breakers: map[string]*Breaker{},
	}
	l.wg.Go(func() {
		for it := range l.order {
			<-it.judged
			l.send(ctx, it)
			l.wg.Go(func() {
				defer func() { <-l.inHand }()
				d.finish(ctx, it)
			})
		}
	})
	return l
}

// close waits until all events are done with.
func (l *line) close() {
	close(l.order)
	l.wg.Wait()
}

// add puts an event at the end of the line.
func (l *line) add(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		l.d.log.Error("event without metadata", slog.Any("err", err))
		return
	}
	seq := meta.Sequence.Stream
	it := &item{
		msg: msg, seq: seq, at: meta.Timestamp, again: meta.NumDelivered > 1, content: l.d.contentFor(seq),
		log: l.d.log, judged: make(chan struct{}),
	}
	l.inHand <- struct{}{}
	l.judging <- struct{}{}
	l.order <- it
	l.wg.Go(func() {
		defer func() { <-l.judging }()
		defer close(it.judged)
		it.judge()
	})
}

// contentFor returns what the event at seq is judged with.
func (d *Dispatcher) contentFor(seq uint64) Content {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judged = max(d.judged, seq)
	return d.content
}

// judge finds out which jobs an event makes.
func (it *item) judge() {
	e, err := bus.DecodeEvent(it.msg.Headers(), it.msg.Data())
	if err != nil {
		// It stays on the stream for people to look at; no rule can judge it.
		it.logger().Error("event cannot be read, no rule judges it", slog.String("subject", it.msg.Subject()), slog.Any("err", err))
		it.settle = it.msg.Term
		return
	}
	it.id, it.typ = e.ID(), e.Type()
	if Forged(it.msg.Subject(), e) {
		it.logger().Warn("event is not judged, its type is for jet-bus itself", slog.String("source", e.Source()))
		it.settle = it.msg.Ack
		return
	}
	if clockTick(e) {
		it.settle = it.msg.Ack
		return
	}
	for _, v := range it.content.Set.Match(e, it.at) {
		switch v.Outcome {
		case rules.Fired:
			it.jobs = append(it.jobs, job{Job: Job(it.content, v, e, it.seq), rule: v.Rule})
		case rules.Failed:
			it.logger().Warn("rule failed", slog.String("rule", v.Rule.Name), slog.Any("err", v.Err))
		default:
		}
	}
}

// logger tells which event it is about. It is made only where there is something to
// tell: of most events there is nothing.
func (it *item) logger() *slog.Logger {
	log := it.log.With(slog.Uint64("seq", it.seq))
	if it.id != "" {
		log = log.With(slog.String("event", it.id), slog.String("type", it.typ))
	}
	return log
}

// send sends the jobs of an event, but for those of rules that are paused.
func (l *line) send(ctx context.Context, it *item) {
	for _, j := range it.jobs {
		name := j.rule.Name
		if !l.d.pauses.skip(name) && !it.again && l.tooOften(j.rule) {
			if err := l.d.trip(ctx, j.rule); err != nil {
				it.errs = append(it.errs, err)
				continue
			}
		}
		if l.d.pauses.skip(name) {
			it.skipped = append(it.skipped, name)
			continue
		}
		it.waits = append(it.waits, wait{job: j.ID, rule: name, stored: l.d.queue.Send(ctx, j.Job)})
	}
}

// finish waits for the jobs of an event and answers for it: one rule's trouble is
// not another's, but the event comes again for it.
func (d *Dispatcher) finish(ctx context.Context, it *item) {
	if it.settle != nil {
		_ = it.settle()
		return
	}
	errs := it.errs
	if len(it.waits) > 0 {
		errs = append(errs, d.stored(it.logger(), it.waits)...)
	}
	for _, rule := range it.skipped {
		if err := d.pauses.confirm(ctx, d.bus, rule, d.now); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		it.logger().Warn("event is tried again", slog.Any("err", err))
		_ = it.msg.NakWithDelay(retryAfter)
		return
	}
	if err := it.msg.Ack(); err != nil {
		it.logger().Warn("event not acknowledged", slog.Any("err", err)) // it comes again, and makes no second job
	}
}

// stored waits for jobs. A job that can never be stored is not an error.
func (d *Dispatcher) stored(log *slog.Logger, waits []wait) (errs []error) {
	for _, w := range waits {
		log := log.With(slog.String("rule", w.rule))
		_, fresh, err := w.stored()
		switch {
		case errors.Is(err, queue.ErrTooLarge):
			log.Warn("rule failed", slog.Any("err", err)) // and always would
		case err != nil:
			errs = append(errs, fmt.Errorf("rule %s: %w", w.rule, err))
		default:
			log.Info("rule fired", slog.String("job", w.job), slog.Bool("created", fresh))
		}
	}
	return errs
}
