package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// crew works through a play's plan, one batch of hosts after the other.
type crew struct {
	*run
	plan *plan
	// mayFail is how many hosts the play may lose, failed how many it did.
	mayFail int
	failed  atomic.Int64
}

// stopped says whether the play lost too many hosts to go on.
func (c *crew) stopped() bool { return int(c.failed.Load()) > c.mayFail }

// batch takes hosts through the whole plan: all together, task by task, or with
// the free strategy each on its own.
func (c *crew) batch(ctx context.Context, hosts []*hostState) {
	for _, h := range hosts {
		h.walk = walk{}
		h.walk.settle(c.plan)
	}
	if !c.plan.play.free {
		c.drive(ctx, hosts)
		return
	}
	each(ctx, c.Forks, hosts, func(h *hostState) { c.drive(ctx, []*hostState{h}) })
}

// drive takes hosts through the plan together. As they only move forward, it is
// enough to come by every step once: those that are elsewhere in a block wait.
func (c *crew) drive(ctx context.Context, hosts []*hostState) {
	for i := range c.plan.steps {
		s := &c.plan.steps[i]
		here := at(i, hosts)
		switch {
		case s.mark == markTask:
			c.task(ctx, s, here)
		case s.mark == markFlush && c.ready(ctx, here):
			c.flush(ctx, i, here)
		}
	}
	if end := len(c.plan.steps); c.ready(ctx, hosts) {
		c.handlers(ctx, end, at(end, hosts))
	}
}

// at returns the hosts that are still in play and have come to step i.
func at(i int, hosts []*hostState) []*hostState {
	var here []*hostState
	for _, h := range hosts {
		if !h.out && h.walk.at == i {
			here = append(here, h)
		}
	}
	return here
}

// ready says whether there is anything to do for these hosts.
func (c *crew) ready(ctx context.Context, hosts []*hostState) bool {
	return len(hosts) > 0 && ctx.Err() == nil && !c.stopped()
}

// flush runs the handlers that are due at step i, and moves on.
func (c *crew) flush(ctx context.Context, i int, hosts []*hostState) {
	var wanted []*hostState
	for _, h := range hosts {
		// A condition with a fault is the next task's to report.
		w := walk{frames: slices.Clone(h.walk.frames)}
		ok, err := c.admits(h, &w)
		if err != nil {
			continue
		}
		h.walk.frames = w.frames
		if ok {
			wanted = append(wanted, h)
		}
	}
	c.handlers(ctx, i, wanted)
	for _, h := range at(i, hosts) {
		h.walk.next(c.plan)
		c.lose(h)
	}
}

// handlers runs the handlers whose event was raised, each once a host. What
// handlers raise themselves is followed until nothing new is due. A host whose
// handler fails leaves step i, and with it the others.
func (c *crew) handlers(ctx context.Context, i int, hosts []*hostState) {
	ran := make(map[*hostState]map[int]bool, len(hosts))
	for _, h := range hosts {
		ran[h] = make(map[int]bool)
	}
	for again := true; again; {
		again = false
		for n := range c.plan.handlers {
			var due []*hostState
			for _, h := range at(i, hosts) {
				c.collect(h)
				if h.due[n] && !ran[h][n] {
					ran[h][n] = true
					due = append(due, h)
				}
				delete(h.due, n)
			}
			if c.ready(ctx, due) {
				again = true
				c.task(ctx, &c.plan.handlers[n], due)
			}
		}
	}
}

// collect notes which handlers are to run for what was raised on a host.
func (c *crew) collect(h *hostState) {
	if len(h.notified) == 0 {
		return
	}
	for n := range c.plan.handlers {
		if h.notified[c.plan.handlers[n].subscribe] {
			h.due[n] = true
		}
	}
	clear(h.notified)
}

// task runs one task or handler on hosts, and waits for them.
func (c *crew) task(ctx context.Context, s *step, hosts []*hostState) {
	if !c.ready(ctx, hosts) {
		return
	}
	e := s.event(TaskStarted)
	e.Hosts = names(hosts)
	c.report(e)
	each(ctx, c.Forks, hosts, func(h *hostState) { c.one(ctx, s, h) })
}

// one runs a task on one host, and moves the host on.
func (c *crew) one(ctx context.Context, s *step, h *hostState) {
	e := s.event(TaskFinished)
	e.Host, e.Started = h.host.Name, time.Now()
	x := execution{run: c.run, step: s, plan: c.plan, host: h}
	out := x.perform(ctx)
	e.Duration = time.Since(e.Started)
	failed, stopping := out.status == StatusFailed, ctx.Err() != nil
	if failed && !stopping && h.walk.rescued() {
		out.status = StatusRescued
	}
	out.describe(&e)
	h.stats.Add(e.Status, e.Changed)
	switch {
	case failed && !stopping:
		h.walk.fail(c.plan, failure{task: s.name, message: out.message()})
	case failed, out.status == StatusUnreachable:
		h.walk.lost = true
	case !s.handler:
		h.walk.next(c.plan)
	}
	c.lose(h)
	c.report(e)
}

// lose takes a host out of the run once its failure is final.
func (c *crew) lose(h *hostState) {
	if h.walk.lost && !h.out {
		h.out = true
		c.failed.Add(1)
	}
}

func (s *step) event(k Kind) Event {
	return Event{
		Kind: k, Play: s.scope.play.name, Role: s.scope.roleName(), Pos: s.pos,
		Task: s.name, Module: s.module.Name, Handler: s.handler,
	}
}
