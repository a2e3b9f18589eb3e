package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Sweeper mends what a crash can leave between two streams: a pending job whose
// wake-up was never sent, and a running one whose wake-up is gone. Several may
// run; every step is a compare-and-set or harmless when doubled.
type Sweeper struct {
	Queue *Queue
	// Lease is the queues' timing.
	Lease Timing
	// Every is the time between sweeps; zero means 30 s.
	Every time.Duration

	mu   sync.Mutex
	open map[string]*openJob
}

// openJob is a job that has not ended, and since when we have seen it stand
// still by our own clock.
type openJob struct {
	Record
	sign  uint64 // sequence of its last sign of life
	since time.Time
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	s.open = make(map[string]*openJob)
	if s.Every == 0 {
		s.Every = 30 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var follow sync.WaitGroup
	defer follow.Wait()
	var followErr error
	follow.Go(func() {
		defer cancel()
		followErr = s.follow(ctx)
	})
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			follow.Wait()
			return followErr
		case <-tick.C:
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.Queue.log.Warn("sweep not finished", slog.Any("err", err))
			}
		}
	}
}

// follow keeps the set of open jobs.
func (s *Sweeper) follow(ctx context.Context) error {
	for r, err := range s.Queue.Follow(ctx, 0) {
		if err != nil {
			return err
		}
		s.mu.Lock()
		if r.State.Terminal() {
			delete(s.open, r.ID)
		} else {
			s.open[r.ID] = &openJob{Record: r, sign: r.Rev, since: time.Now()}
		}
		s.mu.Unlock()
	}
	return nil
}

// still returns the open jobs that stood still for d or longer.
func (s *Sweeper) still(d time.Duration) []*openJob {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*openJob
	for _, j := range s.open {
		if time.Since(j.since) >= d {
			out = append(out, j)
		}
	}
	return out
}

func (s *Sweeper) sweep(ctx context.Context) error {
	stale := s.still(2 * s.Lease.AckWait)
	if len(stale) == 0 {
		return nil
	}
	ids, seqs, err := s.wakeups(ctx)
	if err != nil {
		return err
	}
	for _, j := range stale {
		if err := s.mend(ctx, j, ids, seqs); err != nil {
			return err
		}
	}
	return nil
}

// wakeups lists what the work queue holds, by job and by sequence.
func (s *Sweeper) wakeups(ctx context.Context) (ids map[string]bool, seqs map[uint64]bool, err error) {
	ids, seqs = make(map[string]bool), make(map[uint64]bool)
	for m, err := range s.Queue.bus.Tail(ctx, bus.StreamJobs, "jobs.>", bus.TailOptions{}) {
		if err != nil {
			return nil, nil, fmt.Errorf("list wake-ups: %w", err)
		}
		var w wakeup
		if json.Unmarshal(m.Data, &w) == nil {
			ids[w.ID] = true
		}
		seqs[m.Seq] = true
	}
	return ids, seqs, nil
}

// mend looks at one job that stood still. Where its wake-up is on the queue, the
// queue takes care of it.
func (s *Sweeper) mend(ctx context.Context, j *openJob, ids map[string]bool, seqs map[uint64]bool) error {
	q := s.Queue
	log := q.log.With(slog.String("job", j.ID))
	if j.State == Pending {
		if ids[j.ID] {
			return nil
		}
		log.Warn("pending job had no wake-up; sent another")
		return q.wake(ctx, j.Job)
	}
	if seqs[j.Wake] {
		return nil
	}
	if m, err := q.bus.Last(ctx, bus.StreamRuns, bus.HeartbeatSubject(j.ID)); err == nil && m.Seq > j.sign {
		s.mu.Lock()
		j.sign, j.since = m.Seq, time.Now()
		s.mu.Unlock()
		return nil
	} else if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return fmt.Errorf("read heartbeat of job %s: %w", j.ID, err)
	}
	next, err := lost(j.Job, q.now())
	if err != nil {
		return err
	}
	_, err = q.put(ctx, next, j.Rev)
	if errors.Is(err, bus.ErrConflict) {
		return nil // it lives after all
	}
	if err != nil {
		return err
	}
	log.Warn("running job had no wake-up and no heartbeat", slog.String("runner", j.Runner), slog.String("state", string(next.State)))
	if next.State == Pending {
		return q.wake(ctx, next)
	}
	return nil
}
