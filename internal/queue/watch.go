package queue

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// Update is one step in the life of a job: either a new state or a task result.
type Update struct {
	// Seq is the step's sequence on the RUNS stream, by which a watcher resumes.
	Seq uint64
	// Record is set for a new state.
	Record *Record
	// Result is set for a task result, Event is the event it came as.
	Result *events.TaskFinished
	Event  *events.Event
}

// Watch yields everything that happened to a job, from its creation or the
// sequence from on, and goes on as it happens until the job has ended. A watcher
// that comes late, or comes back, misses nothing. It needs no more than a
// viewer's rights.
func (q *Queue) Watch(ctx context.Context, id string, from uint64) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		for u, err := range q.updates(ctx, id, bus.TailOptions{From: from, Follow: true}) {
			if !yield(u, err) || err != nil || u.Record != nil && u.Record.State.Terminal() {
				return
			}
		}
	}
}

// History yields what happened to a job so far; see [Queue.Watch].
func (q *Queue) History(ctx context.Context, id string) iter.Seq2[Update, error] {
	return q.updates(ctx, id, bus.TailOptions{})
}

func (q *Queue) updates(ctx context.Context, id string, o bus.TailOptions) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		state, result := bus.StateSubject(id), bus.ResultSubject(id)
		filter := strings.TrimSuffix(state, "s") + "*"
		for m, err := range q.bus.Tail(ctx, bus.StreamRuns, filter, o) {
			u := Update{Seq: m.Seq}
			switch {
			case err != nil:
				err = fmt.Errorf("watch job %s: %w", id, err)
			case m.Subject == state:
				var r Record
				r, err = record(m)
				u.Record = &r
			case m.Subject == result:
				u.Result, u.Event, err = taskResult(m)
			default: // a heartbeat
				continue
			}
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

func taskResult(m bus.Msg) (*events.TaskFinished, *events.Event, error) {
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		return nil, nil, fmt.Errorf("decode the result at sequence %d: %w", m.Seq, err)
	}
	var t events.TaskFinished
	if err := e.DataAs(&t); err != nil {
		return nil, nil, fmt.Errorf("decode the result at sequence %d: %w", m.Seq, err)
	}
	return &t, &e, nil
}

// Follow yields every state of every job, from the sequence from on, and goes on
// as jobs change until ctx ends.
func (q *Queue) Follow(ctx context.Context, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for m, err := range q.bus.Tail(ctx, bus.StreamRuns, bus.AllStates, bus.TailOptions{From: from, Follow: true}) {
			var r Record
			if err != nil {
				err = fmt.Errorf("follow jobs: %w", err)
			} else {
				r, err = record(m)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
