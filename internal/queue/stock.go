package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// choresEvery is the time between looks at what crashes can leave behind.
	choresEvery = 10 * time.Second
	// stragglers is how many open jobs may be older than the mark.
	stragglers = 256
	// holdFor is how long the events' consumer is paused at a time.
	holdFor = time.Minute
)

// mark is where a scheduler that starts has to begin reading: everything before
// From has ended, but for the jobs in Also.
type mark struct {
	From uint64   `json:"from"`
	Also []string `json:"also,omitempty"`
}

// recover learns of the jobs that have not ended, and of their wake-ups.
func (s *Scheduler) recover(ctx context.Context) error {
	m, err := s.mark(ctx)
	if err != nil {
		return err
	}
	s.kept = m
	for _, id := range m.Also {
		last, err := s.Queue.bus.Last(ctx, bus.StreamRuns, bus.StateSubject(id))
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read job %s: %w", id, err)
		}
		s.recall(last)
	}
	s.seen = m.From - min(m.From, 1)
	// Older revisions come first and are replaced by newer ones.
	for msg, err := range s.Queue.bus.Tail(ctx, bus.StreamRuns, bus.AllStates, bus.TailOptions{From: m.From}) {
		if err != nil {
			return err
		}
		s.recall(msg)
	}
	if err := s.recoverWakeups(ctx); err != nil {
		return err
	}
	for _, j := range s.open {
		if j.job.State == Pending {
			s.admit(j)
		}
	}
	return nil
}

func (s *Scheduler) recall(m bus.Msg) {
	if b, ok := s.briefOf(m); ok {
		s.learn(b, m, true)
	}
}

// mark reads where to begin. A stream that ends before the mark has lost
// something; then all of it is read.
func (s *Scheduler) mark(ctx context.Context) (mark, error) {
	all := mark{From: 1}
	kv, err := s.Queue.bus.JS.KeyValue(ctx, bus.BucketConfig)
	if err != nil {
		return all, err
	}
	entry, err := kv.Get(ctx, bus.KeyOpenJobs)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	var m mark
	if err := json.Unmarshal(entry.Value(), &m); err != nil {
		return all, fmt.Errorf("decode %s: %w", bus.KeyOpenJobs, err)
	}
	stream, err := s.Queue.bus.JS.Stream(ctx, bus.StreamRuns)
	if err != nil {
		return all, err
	}
	if last := stream.CachedInfo().State.LastSeq; m.From > last+1 {
		s.Queue.log.Warn("the jobs are behind where they were; all are read again",
			slog.Uint64("was", m.From), slog.Uint64("last", last))
		return all, nil
	}
	return m, nil
}

// nextMark says where a successor may begin.
func (s *Scheduler) nextMark() mark {
	revs := make([]uint64, 0, len(s.open))
	for _, j := range s.open {
		revs = append(revs, j.rev)
	}
	slices.Sort(revs)
	m := mark{From: s.seen + 1}
	if len(revs) > stragglers {
		m.From = revs[stragglers]
	}
	for id, j := range s.open {
		if j.rev < m.From {
			m.Also = append(m.Also, id)
		}
	}
	slices.Sort(m.Also)
	return m
}

// keep stores the mark in the background.
func (s *Scheduler) keep() {
	m := s.nextMark()
	if m.From == s.kept.From && slices.Equal(m.Also, s.kept.Also) {
		return
	}
	s.kept = m // a mark that is not stored costs a successor some reading
	s.do(func(ctx context.Context) error { return s.Queue.storeMark(ctx, m) })
}

// keepLast stores the mark when the scheduler stops.
func (s *Scheduler) keepLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.Queue.storeMark(ctx, s.nextMark()); err != nil {
		s.Queue.log.Debug("scheduler", slog.Any("err", err))
	}
}

func (q *Queue) storeMark(ctx context.Context, m mark) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("store the mark of open jobs: %w", err)
	}
	kv, err := q.bus.JS.KeyValue(ctx, bus.BucketConfig)
	if err == nil {
		_, err = kv.Put(ctx, bus.KeyOpenJobs, data)
	}
	if err != nil {
		return fmt.Errorf("store the mark of open jobs: %w", err)
	}
	return nil
}

// chores are done now and then, in the background: the mark is stored, and jobs
// whose wake-up went missing get another.
func (s *Scheduler) chores() {
	s.keep()
	var late []*openJob
	for id, j := range s.open {
		e := s.plan.jobs[id]
		if e.released && j.job.State == Pending && time.Since(j.since) > 2*s.Timing.Lease {
			late = append(late, j)
		}
	}
	if len(late) == 0 {
		return
	}
	// A wake-up that is there may still be lost to us: handed to a runner that died,
	// it comes again by the server's wall clock, whenever that is. It is replaced.
	s.withdraw(late)
}

// wakeKey names what a wake-up is for.
type wakeKey struct {
	id  string
	rev uint64
}

// wakeups lists what the work queue holds, with the sequences.
func (q *Queue) wakeups(ctx context.Context) (map[wakeKey]uint64, error) {
	there := make(map[wakeKey]uint64)
	for m, err := range q.bus.Tail(ctx, bus.StreamJobs, bus.AllJobs, bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list wake-ups: %w", err)
		}
		var w wakeup
		if json.Unmarshal(m.Data, &w) == nil {
			there[wakeKey{w.ID, w.Rev}] = m.Seq
		}
	}
	return there, nil
}

// unwake removes a wake-up, if there is one.
func (q *Queue) unwake(ctx context.Context, seq uint64) error {
	if seq == 0 {
		return nil
	}
	stream, err := q.bus.JS.Stream(ctx, bus.StreamJobs)
	if err == nil {
		err = stream.DeleteMsg(ctx, seq)
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return fmt.Errorf("remove wake-up %d: %w", seq, err)
	}
	return nil
}

func (s *Scheduler) recoverWakeups(ctx context.Context) error {
	there, err := s.Queue.wakeups(ctx)
	if err != nil {
		return err
	}
	for k := range maps.Keys(there) {
		if j, e := s.open[k.id], s.plan.jobs[k.id]; j != nil && j.rev == k.rev && j.job.State == Pending {
			s.plan.release(e, true)
		}
	}
	return nil
}

// checkSigns takes back the jobs whose runner fell silent. The runner has stopped
// by then, see [Timing]. What we may have missed, the stream tells.
func (s *Scheduler) checkSigns() {
	now := time.Now()
	for _, j := range s.open {
		works := j.job.State == Running || j.job.State == Cancelling
		if !works || j.acting || now.Sub(j.alive) < s.Timing.Lease {
			continue
		}
		j.acting = true
		s.do(func(ctx context.Context) error {
			m, err := s.Queue.bus.Last(ctx, bus.StreamRuns, bus.HeartbeatSubject(j.job.ID))
			if err != nil && !errors.Is(err, bus.ErrNotFound) {
				s.later(ctx, j, func() { j.acting = false })
				return fmt.Errorf("read heartbeat of job %s: %w", j.job.ID, err)
			}
			s.tell(ctx, func() {
				if s.open[j.job.ID] != j {
					return
				}
				j.acting = false
				if err == nil && m.Seq > j.sign {
					j.sign, j.alive = m.Seq, time.Now()
					return
				}
				s.Queue.log.Warn("runner lost", slog.String("job", j.job.ID), slog.String("runner", j.job.Runner))
				s.change(j, "take back", func(r Job) (Job, error) { return lost(r, s.Queue.now()) })
			})
			return nil
		})
	}
}

// holdEvents keeps further events from being judged while too many jobs are open.
func (s *Scheduler) holdEvents() {
	switch n := len(s.open); {
	case n >= s.MaxOpen && (!s.held || time.Until(s.holdEnd) < holdFor/2):
		if !s.held {
			s.Queue.log.Warn("too many jobs are open; events wait", slog.Int("jobs", n))
		}
		s.held, s.holdEnd = true, time.Now().Add(holdFor)
	case n < s.MaxOpen*3/4 && s.held:
		s.Queue.log.Info("events are judged again", slog.Int("jobs", n))
		s.held, s.holdEnd = false, time.Time{}
	default:
		return
	}
	until := s.holdEnd
	s.do(func(ctx context.Context) error {
		var err error
		if until.IsZero() {
			_, err = s.Queue.bus.JS.ResumeConsumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
		} else {
			_, err = s.Queue.bus.JS.PauseConsumer(ctx, bus.StreamEvents, bus.ConsumerDispatch, until)
		}
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDoesNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hold events: %w", err)
		}
		return nil
	})
}
