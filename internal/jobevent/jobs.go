package jobevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// jobs tells of the states of jobs.
type jobs struct {
	bus *bus.Bus
	log *slog.Logger
	// known is what was seen last of the jobs that have not ended.
	known map[string]seen
}

// seen is what matters of the revision of a job to the one after it.
type seen struct {
	state   queue.State
	attempt int
	losses  int
}

func (j *jobs) tell(ctx context.Context, m bus.Msg) ([]events.Event, error) {
	r, err := queue.Decode(m)
	if err != nil {
		j.log.Error("a job is not told of", slog.Any("err", err))
		return nil, nil
	}
	before, err := j.before(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.State.Terminal() {
		delete(j.known, r.ID)
	} else {
		j.known[r.ID] = seen{r.State, r.Attempt, r.Losses}
	}
	var out []events.Event
	for _, s := range steps(before, r) {
		e, err := s.event(r)
		if err != nil {
			j.log.Error("a job is not told of", slog.String("job", r.ID), slog.Any("err", err))
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// before returns the revision before r: nil for the first, and where it is not stored
// any more.
func (j *jobs) before(ctx context.Context, r queue.Record) (*seen, error) {
	if first(r) {
		return nil, nil
	}
	if s, ok := j.known[r.ID]; ok {
		return &s, nil
	}
	var last *seen
	for m, err := range j.bus.Tail(ctx, bus.StreamRuns, bus.StateSubject(r.ID), bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("look what job %s was before: %w", r.ID, err)
		}
		if m.Seq >= r.Rev {
			break
		}
		old, err := queue.Decode(m)
		if errors.Is(err, queue.ErrUnreadable) {
			continue
		}
		last = &seen{old.State, old.Attempt, old.Losses}
	}
	return last, nil
}

func first(r queue.Record) bool { return r.First == r.Rev }

// step is something that happened to a job: an event's type, and the word for it that
// its id has.
type step struct{ typ, word string }

// stepOf is that a job came to a state; ok is false if that is not told: one that is
// being cancelled is still at work.
func stepOf(s queue.State) (_ step, ok bool) {
	typ := ""
	switch s {
	case queue.Unapproved, queue.Pending:
		typ = events.TypeJobQueued
	case queue.Running:
		typ = events.TypeJobStarted
	case queue.Succeeded:
		typ = events.TypeJobSucceeded
	case queue.Failed:
		typ = events.TypeJobFailed
	case queue.Cancelled:
		typ = events.TypeJobCancelled
	case queue.TimedOut:
		typ = events.TypeJobTimedOut
	case queue.Skipped:
		typ = events.TypeJobSkipped
	case queue.Dead:
		typ = events.TypeJobDead
	case queue.Cancelling:
	}
	return step{typ, string(s)}, typ != ""
}

// steps returns what happened to a job between two of its revisions, in order. Where
// nothing is known of the one before, it returns only what is certain.
func steps(before *seen, r queue.Record) (out []step) {
	if first(r) {
		before = nil
		if fired(r) {
			out = append(out, step{events.TypeRuleFired, "fired"})
		}
	}
	if before != nil && r.Losses > before.losses {
		out = append(out, step{events.TypeJobLost, "lost"})
	}
	s, ok := stepOf(r.State)
	switch {
	case !ok:
	case first(r), before == nil && r.State.Terminal():
		out = append(out, s)
	case before == nil:
	case before.state != r.State, before.attempt != r.Attempt:
		// A revision may also repeat the one before, or only know the hosts now.
		out = append(out, s)
	}
	return out
}

// fired reports whether the first revision of a job tells that a rule fired. That a
// rule fired because a rule fired is not told: a rule for these events would go on by
// itself.
func fired(r queue.Record) bool {
	return r.Rule != "" && r.RetryOf == "" && (r.Event == nil || r.Event.Type != events.TypeRuleFired)
}
