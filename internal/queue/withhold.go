package queue

import (
	"context"
	"log/slog"
	"maps"
	"time"
)

const (
	// runnersEvery is how often the scheduler looks who is there.
	runnersEvery = time.Second
	// unservedAfter is how long a queue may be without a runner before its jobs step
	// out of the lines: runners say that they live every few seconds, and after a
	// restart of the bus all have to do so first.
	unservedAfter = 10 * time.Second
)

// followRunners keeps account of the queues that nobody serves. A job that nobody can
// run must not keep others from its hosts.
func (s *Scheduler) followRunners(ctx context.Context) error {
	tick := time.NewTicker(runnersEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		runners, err := s.Queue.Runners(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.Queue.log.Debug("scheduler", slog.Any("err", err))
			}
			continue // nothing is known, so nothing changes
		}
		s.tell(ctx, func() { s.served(runners) })
	}
}

// served takes note of who is there.
func (s *Scheduler) served(runners []RunnerInfo) {
	now := time.Now()
	missed, unserved := make(map[string]time.Time), make(map[string]bool)
	for id, j := range s.open {
		name := s.plan.jobs[id].queue
		if _, known := missed[name]; known {
			continue
		}
		if Served(j.job.Needs, runners) {
			continue
		}
		since, known := s.missed[name]
		if !known {
			since = now
		}
		missed[name] = since
		if now.Sub(since) >= unservedAfter {
			unserved[name] = true
		}
	}
	s.missed = missed
	if maps.Equal(unserved, s.unserved) {
		return
	}
	for name := range unserved {
		if !s.unserved[name] {
			s.Queue.log.Warn("no runner has the labels that the jobs of a queue need; they let others pass", slog.String("queue", name))
		}
	}
	s.unserved = unserved
	s.withhold()
}

// withhold tells the plan what hands out nothing, and takes back the wake-ups that
// nobody has acted on.
func (s *Scheduler) withhold() {
	queues := maps.Clone(s.pausedQueues)
	if queues == nil {
		queues = make(map[string]bool)
	}
	maps.Copy(queues, s.unserved)
	s.plan.pause(s.pausedRules, queues)
	var back []*openJob
	for id, e := range s.plan.jobs {
		if e.released && e.state == Pending && (s.pausedRules[e.rule] || queues[e.queue]) {
			back = append(back, s.open[id])
		}
	}
	if len(back) > 0 {
		s.withdraw(back)
	}
}

// withdraw takes back the wake-ups of jobs that wait for a runner. One that a runner
// has in hand may still be acted on.
func (s *Scheduler) withdraw(jobs []*openJob) {
	s.do(func(ctx context.Context) error {
		there, err := s.Queue.wakeups(ctx)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if err := s.Queue.unwake(ctx, there[wakeKey{j.job.ID, j.rev}]); err != nil {
				return err
			}
			s.tell(ctx, func() {
				if s.open[j.job.ID] == j {
					s.plan.release(s.plan.jobs[j.job.ID], false)
				}
			})
		}
		return nil
	})
}
