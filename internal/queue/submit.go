package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Submit stores j under its id, as pending or, if it needs an approval, as
// unapproved. It may be repeated: a job that exists already is left as it is,
// fresh is false, and the stored record is returned. When the job's turn comes,
// the [Scheduler] wakes a runner.
func (q *Queue) Submit(ctx context.Context, j Job) (r Record, fresh bool, err error) {
	return q.Send(ctx, j)()
}

// Send is [Queue.Submit] in two steps: it sends the record, and the function it
// returns waits until it is stored; that must be called, once. Records are stored
// in the order in which they were sent, and so jobs take their turns in it.
func (q *Queue) Send(ctx context.Context, j Job) (wait func() (r Record, fresh bool, err error)) {
	j = created(j, q.now())
	msg, err := stateMsg(j, 0)
	if err == nil {
		err = fits(msg.Data)
	}
	if err != nil {
		return func() (Record, bool, error) { return Record{}, false, err }
	}
	stored := q.bus.Send(ctx, msg)
	return func() (r Record, fresh bool, err error) {
		rev, _, err := stored()
		switch {
		case err == nil:
			j.First = rev
			r, fresh = Record{Job: j, Rev: rev}, true
		case errors.Is(err, bus.ErrConflict):
			if r, err = q.Get(ctx, j.ID); err != nil {
				return r, false, err
			}
		default:
			return r, false, fmt.Errorf("store job %s as %s: %w", j.ID, j.State, err)
		}
		return r, fresh, nil
	}
}
