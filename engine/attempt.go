package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// errTimeout is the cause of a context that a task's timeout ended.
var errTimeout = errors.New("the task took too long")

// attempts tries until it works, until trying is no use, or as often as the
// task wants.
func (x *execution) attempts(ctx context.Context, vars map[string]any, at *place) (outcome, error) {
	for n := 1; ; n++ {
		out, err := x.attempt(ctx, vars, at)
		out.attempts = n
		if err == nil || uint(n) > x.retry {
			return out, err
		}
		if _, hopeless := errors.AsType[fault](err); hopeless || ctx.Err() != nil {
			return out, err
		}
		x.retrying(n, err, at)
		if !wait(ctx, x.delay) {
			return out, err
		}
		x.host.foresight.forget()
	}
}

// retrying reports that another attempt is going to be made.
func (x *execution) retrying(made int, err error, at *place) {
	e := x.event(TaskRetrying)
	e.Host, e.Attempts, e.Started = x.host.host.Name, made, time.Now()
	if e.Message = unsaid; !x.set.noLog {
		e.Message = x.veil.replacer().Replace(x.say(err))
	}
	if at.delegated {
		e.Delegate = at.name
	}
	x.report(e)
}

// wait returns after d, or false as soon as ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// attempt tries once, within the task's timeout.
func (x *execution) attempt(ctx context.Context, vars map[string]any, at *place) (outcome, error) {
	limited, cancel := ctx, func() {}
	if x.set.timeout > 0 {
		limited, cancel = context.WithTimeoutCause(ctx, x.set.timeout, errTimeout)
	}
	defer cancel()
	out, err := x.work(limited, vars, at)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("the task was stopped at its timeout of %s", x.set.timeout)
	}
	return out, err
}

// work asks what is to be done, and does it. A connection may have died since it
// was last used: when that shows before anything was done, another is dialled.
func (x *execution) work(ctx context.Context, vars map[string]any, at *place) (outcome, error) {
	l := &line{x: x, vars: vars, at: at}
	q, err := x.inquire(ctx, vars, l.get)
	if l.lost(err) && ctx.Err() == nil {
		q, err = x.inquire(ctx, vars, l.get)
	}
	if err != nil {
		l.lost(err)
		return outcome{}, err
	}
	if x.set.delegateTo != nil && q.converges() && !x.Check {
		// Tasks of other hosts may want the same of this place: who is second
		// must see what the first one did.
		done, err := x.turns.take(ctx, at.name)
		if err != nil {
			return outcome{}, err
		}
		defer done()
		x.host.foresight.forget()
		if q, err = x.inquire(ctx, vars, l.get); err != nil {
			l.lost(err)
			return outcome{}, err
		}
	}
	if q.host != nil && q.host.Conn != nil {
		q.host.Conn, q.host.run.line = l.acting, l
	}
	if need := q.plan.Need; !q.skip && need != Matched && need != Passive && !x.Check {
		x.changing(at)
		defer x.changing(at)
	}
	out, err := x.carryOut(ctx, q, vars)
	l.lost(err)
	return out, err
}

// carryOut does what the inquiry found, unless only that was asked for.
func (x *execution) carryOut(ctx context.Context, q inquiry, vars map[string]any) (outcome, error) {
	if q.skip {
		return outcome{status: StatusSkipped}, nil
	}
	need := q.plan.Need
	status, ok := need.status()
	if !ok {
		return outcome{}, fmt.Errorf("module %s answered its query with the unknown need %d", x.module.Name, need)
	}
	out := outcome{status: status, changed: status.changes(), fields: q.plan.Fields}
	if x.Diff {
		out.diffs = q.plan.Diffs
	}
	if need == Matched {
		return x.judge(out, vars, nil)
	}
	if x.Check && need != Passive {
		return x.foresee(out, vars), nil
	}
	q.host.run.state, q.host.run.x = x.host, x
	res, err := q.module.Apply(ctx, q.host, q.plan)
	if res.Passive {
		out.status, out.changed = StatusPassive, false
	}
	if res.Message != "" {
		out.messages = []string{res.Message}
	}
	out.command, out.data = res.Command, res.Data
	if need == Execute && errors.Is(err, conn.ErrUnreachable) {
		err = fault{fmt.Errorf("the connection was lost while this ran: it may still run on the host, and is not tried again: %w", err)}
	}
	return x.judge(out, vars, err)
}

// status returns the status of a task whose plan was carried out.
func (n Need) status() (Status, bool) {
	switch n {
	case Matched:
		return StatusMatched, true
	case Create:
		return StatusCreated, true
	case Modify:
		return StatusModified, true
	case Remove:
		return StatusRemoved, true
	case Execute:
		return StatusExecuted, true
	case Passive:
		return StatusPassive, true
	default:
		return "", false
	}
}
