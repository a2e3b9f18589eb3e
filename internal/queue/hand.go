package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// handLabel is the label that a job by hand needs: its own id.
	handLabel = "jet-run"
	// handIdle is how long the queue of a job by hand outlasts its process.
	handIdle = time.Hour
)

// HandNeeds are the needs of a job by hand: one that is run by the process that
// submits it, and by no other.
func HandNeeds(id string) map[string]string { return map[string]string{handLabel: id} }

// OpenHand makes the queue of the job by hand with this id, with the lease that
// other jobs have. [Queue.CloseHand] removes it; should nobody, the [HandSweeper]
// does.
func (q *Queue) OpenHand(ctx context.Context, id string) error {
	needs := HandNeeds(id)
	name := NameFor(needs)
	if err := q.Open(ctx, needs, DefaultTiming); err != nil {
		return err
	}
	cons, err := q.bus.JS.Consumer(ctx, bus.StreamJobs, name)
	if err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	c := cons.CachedInfo().Config
	c.InactiveThreshold = handIdle
	if c.AckWait, err = q.ackWait(ctx, NameFor(nil)); err != nil {
		return err
	}
	if _, err := q.bus.JS.UpdateConsumer(ctx, bus.StreamJobs, c); err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	return nil
}

// ackWait returns the lease of a queue.
func (q *Queue) ackWait(ctx context.Context, name string) (time.Duration, error) {
	cons, err := q.bus.JS.Consumer(ctx, bus.StreamJobs, name)
	if err != nil {
		return 0, fmt.Errorf("read the lease of queue %s: %w", name, err)
	}
	return cons.CachedInfo().Config.AckWait, nil
}

// CloseHand removes all that the queue of a job by hand consists of. It may be
// repeated. The job must have ended: by its queue the [HandSweeper] knows of it.
func (q *Queue) CloseHand(ctx context.Context, id string) error {
	name := NameFor(HandNeeds(id))
	err := q.bus.JS.DeleteConsumer(ctx, bus.StreamJobs, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		err = nil
	}
	// The entry is purged, for a deleted one would leave a marker for ever.
	for stream, subject := range map[string]string{
		bus.StreamJobs:           bus.JobSubject(name, priority),
		"KV_" + bus.BucketQueues: "$KV." + bus.BucketQueues + "." + name,
	} {
		s, serr := q.bus.JS.Stream(ctx, stream)
		if serr == nil {
			serr = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
		}
		err = errors.Join(err, serr)
	}
	if err != nil {
		return fmt.Errorf("remove the queue of job %s: %w", id, err)
	}
	return nil
}

// hands returns the ids of the jobs by hand that have a queue.
func (q *Queue) hands(ctx context.Context) ([]string, error) {
	var ids []string
	for m, err := range q.bus.Tail(ctx, "KV_"+bus.BucketQueues, "$KV."+bus.BucketQueues+".>", bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list queues: %w", err)
		}
		var needs map[string]string
		if json.Unmarshal(m.Data, &needs) != nil || len(needs) != 1 {
			continue
		}
		// Rules may name any labels.
		if id := needs[handLabel]; len(id) == len(NewID()) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// HandSweeper ends the jobs by hand whose process is gone before they began, and
// removes what such processes left: nobody else serves their queues. Those that had
// begun the [Scheduler] takes back like any other. Several may run; every step is a
// compare-and-set or harmless when doubled. The fields are set before Run.
type HandSweeper struct {
	Queue *Queue
	// Every is the time between looks; zero means 2 s.
	Every time.Duration
	// Patience is how long a process may be away from the registry; zero means
	// [bus.RunnerTTL].
	Patience time.Duration
}

// sighting is when a job's last sign of life was first seen, by our own clock.
type sighting struct {
	sign uint64
	at   time.Time
}

// Run looks until ctx ends.
func (s *HandSweeper) Run(ctx context.Context) error {
	every, patience := s.Every, s.Patience
	if every == 0 {
		every = 2 * time.Second
	}
	if patience == 0 {
		patience = bus.RunnerTTL
	}
	seen := make(map[string]sighting)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.look(ctx, seen, patience); err != nil && ctx.Err() == nil {
				s.Queue.log.Warn("jobs by hand not looked at", slog.Any("err", err))
			}
		}
	}
}

func (s *HandSweeper) look(ctx context.Context, seen map[string]sighting, patience time.Duration) error {
	ids, err := s.Queue.hands(ctx)
	if err != nil {
		return err
	}
	for id := range seen {
		if !slices.Contains(ids, id) {
			delete(seen, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	runners, err := s.Queue.Runners(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.check(ctx, id, Served(HandNeeds(id), runners), seen, patience); err != nil {
			return err
		}
	}
	return nil
}

// Served reports whether one of the runners can run a job with needs.
func Served(needs map[string]string, runners []RunnerInfo) bool {
	return slices.ContainsFunc(runners, func(r RunnerInfo) bool { return r.serves(needs) })
}

// serves reports whether the runner takes jobs with needs. The process of a job by
// hand takes no other.
func (i RunnerInfo) serves(needs map[string]string) bool {
	return Satisfies(i.Labels, needs) && i.Labels[handLabel] == needs[handLabel]
}

// check looks at one job, and acts if it has stood still for too long.
func (s *HandSweeper) check(ctx context.Context, id string, alive bool, seen map[string]sighting, patience time.Duration) error {
	q := s.Queue
	rec, err := q.Get(ctx, id)
	if err != nil && !errors.Is(err, ErrNoJob) {
		return err
	}
	gone := err != nil || rec.State.Terminal()
	if !gone && rec.State != Pending {
		delete(seen, id)
		return nil
	}
	sign := rec.Rev
	was, ok := seen[id]
	switch {
	case !ok || was.sign != sign || alive && !gone:
		seen[id] = sighting{sign, time.Now()}
		return nil
	case time.Since(was.at) < patience:
		return nil
	case gone:
		return q.CloseHand(ctx, id)
	}
	reason := fmt.Sprintf("the jet run of %s is gone before it could begin", rec.StartedBy)
	next, err := finished(rec.Job, Cancelled, reason, q.now())
	if err != nil {
		return err
	}
	_, err = q.put(ctx, next, rec.Rev)
	if errors.Is(err, bus.ErrConflict) {
		return nil // it lives after all
	}
	return err
}
