package queue

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// ErrTerminal means that no retry can mend what went wrong: when Prepare wraps it,
// the job fails with the error as its reason. Other errors give the job back.
var ErrTerminal = errors.New("the job cannot run")

// Outcome is how a run ended.
type Outcome struct {
	State  State
	Reason string
}

// Prepared is a job that is ready to run.
type Prepared struct {
	// Hosts are those the run will touch; their locks are taken with the claim.
	Hosts []string
	// Run does the work. Its context ends when the lease is lost, the job is
	// cancelled or its time is up; Run must then stop everything it started
	// before it returns.
	Run func(ctx context.Context, l *Lease) Outcome
}

// Worker claims jobs and runs them. The fields are set before Work and not
// changed after.
type Worker struct {
	Queue *Queue
	// Name is this runner's, unique on the bus.
	Name string
	// Labels decide which queues it serves.
	Labels map[string]string
	// Only, if set, is the one queue that is served, whatever the labels allow.
	Only string
	// Slots is how many jobs run at once; zero means one.
	Slots int
	// Prepare gets a job ready before it is claimed. It must not change anything
	// on the hosts.
	Prepare func(ctx context.Context, j Job) (Prepared, error)
	// Busy, if set, is told how many jobs are in hand whenever that changes.
	Busy func(n int)

	slots   chan struct{}
	wg      sync.WaitGroup
	cancels cancels
	locks   knownLocks
}

// rediscover is how often the worker looks for new queues.
const rediscover = 3 * time.Second

// Work serves every queue the labels allow until ctx ends or drain is closed.
// After drain it claims nothing new and returns when the jobs in hand are done.
// When ctx ends, jobs in hand are stopped and given back for another runner.
func (w *Worker) Work(ctx context.Context, drain <-chan struct{}) error {
	w.slots = make(chan struct{}, max(w.Slots, 1))
	heard, err := w.cancels.follow(w.Queue.bus)
	if err != nil {
		return err
	}
	defer heard()
	// Jobs in hand outlive the pulling.
	pull, stop := context.WithCancel(ctx)
	defer stop()
	w.wg.Go(func() {
		select {
		case <-drain:
			stop()
		case <-pull.Done():
		}
	})
	serving := map[string]bool{}
	tick := time.NewTicker(rediscover)
	defer tick.Stop()
	for {
		queues, err := w.queues(pull)
		if err != nil && pull.Err() == nil {
			w.Queue.log.Warn("cannot look up queues", slog.Any("err", err))
		}
		for _, name := range queues {
			if serving[name] {
				continue
			}
			cons, err := w.Queue.bus.JS.Consumer(pull, bus.StreamJobs, name)
			if err != nil {
				w.Queue.log.Warn("cannot serve queue", slog.String("queue", name), slog.Any("err", err))
				continue
			}
			from, err := newPuller(w.Queue.bus, name)
			if err != nil {
				w.Queue.log.Warn("cannot serve queue", slog.String("queue", name), slog.Any("err", err))
				continue
			}
			serving[name] = true
			timing := Timing{Lease: cons.CachedInfo().Config.AckWait}
			w.wg.Go(func() {
				defer from.close()
				w.serve(ctx, pull, from, timing)
			})
		}
		select {
		case <-pull.Done():
			w.wg.Wait()
			return nil
		case <-tick.C:
		}
	}
}

// queues returns the queues whose needs the labels satisfy.
func (w *Worker) queues(ctx context.Context) ([]string, error) {
	if w.Only != "" {
		return []string{w.Only}, nil
	}
	all, err := w.Queue.Queues(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range all {
		if Satisfies(w.Labels, i.Needs) {
			names = append(names, i.Name)
		}
	}
	return names, nil
}

// serve pulls from one queue, one message for a free slot, so that a busy runner
// holds back nothing that an idle one could run.
func (w *Worker) serve(ctx, pull context.Context, from *puller, timing Timing) {
	for pull.Err() == nil {
		select {
		case w.slots <- struct{}{}:
		case <-pull.Done():
			return
		}
		// The slot is free: let other queues have it while this one is asked.
		<-w.slots
		msg, err := from.next(pull)
		if err != nil && pull.Err() == nil {
			w.Queue.log.Debug("no work fetched", slog.Any("err", err))
			select { // the bus may be away; do not spin
			case <-pull.Done():
			case <-time.After(pullAgain):
			}
		}
		if msg == nil {
			continue
		}
		select {
		case w.slots <- struct{}{}:
		default:
			_ = msg.Nak() // another queue was faster; nothing is lost
			continue
		}
		w.busy()
		w.wg.Go(func() {
			defer func() { <-w.slots; w.busy() }()
			w.handle(ctx, msg, timing)
		})
	}
}

func (w *Worker) busy() {
	if w.Busy != nil {
		w.Busy(len(w.slots))
	}
}

// handle takes one wake-up to its end: dropped, given back, or worked off.
func (w *Worker) handle(ctx context.Context, msg *nats.Msg, timing Timing) {
	log := w.Queue.log
	var wake wakeup
	if err := json.Unmarshal(msg.Data, &wake); err != nil || wake.ID == "" {
		log.Error("dropped a wake-up that names no job", slog.String("data", string(msg.Data)))
		_ = msg.Term()
		return
	}
	log = log.With(slog.String("job", wake.ID))
	meta, err := msg.Metadata()
	if err != nil {
		log.Error("dropped a wake-up without metadata", slog.Any("err", err))
		_ = msg.Term()
		return
	}
	if meta.NumDelivered > 1 {
		wake.Lock = 0 // long ago
	}
	c := &claim{w: w, msg: msg, wake: wake, timing: timing, log: log}
	rec, err := w.record(ctx, wake, meta.NumDelivered)
	switch {
	case errors.Is(err, ErrNoJob):
		log.Warn("dropped a wake-up for a job that is gone")
		_ = msg.Ack()
		return
	case err != nil:
		log.Warn("cannot read job", slog.Any("err", err))
		c.giveBack(meta.NumDelivered)
		return
	}
	lease, err := c.take(ctx, rec)
	switch {
	case errors.Is(err, errNotNow):
		log.Debug("job given back", slog.Any("err", err))
		c.giveBack(meta.NumDelivered)
	case err != nil:
		log.Warn("cannot claim job", slog.Any("err", err))
		c.giveBack(meta.NumDelivered)
	case lease == nil: // settled without a run
		_ = msg.Ack()
	default:
		_ = msg.Ack() // the record is what counts from here on
		lease.work(ctx)
	}
}

// record returns the record of a job. A wake-up brings it along as it was: if it
// changed since, the claim fails, and when the wake-up comes again, it is read.
func (w *Worker) record(ctx context.Context, wake wakeup, delivered uint64) (Record, error) {
	if delivered > 1 || wake.Job == nil {
		return w.Queue.Get(ctx, wake.ID)
	}
	return record(bus.Msg{Subject: bus.StateSubject(wake.ID), Seq: wake.Rev, Data: wake.Job})
}

// backoff is how long a wake-up that could not be used now stays away: doubling
// from 100 ms to 1.6 s, with jitter so that runners do not meet again.
func backoff(delivered uint64) time.Duration {
	d := 100 * time.Millisecond << min(delivered-1, 4)
	return d/2 + rand.N(d) //nolint:gosec // jitter needs no secrecy
}
