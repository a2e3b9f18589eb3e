package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// defaultForks is how many hosts are worked on at once unless told otherwise.
const defaultForks = 20

// Options say how a playbook is run. Dialer is needed; zero values elsewhere
// are the defaults.
type Options struct {
	// Dialer opens the connections, one a host.
	Dialer conn.Dialer
	// Check only looks for what would be changed.
	Check bool
	// Limit holds names of hosts and groups to keep to; empty means all.
	Limit []string
	// ExtraVars win over all other variables. They must not be changed while
	// the run lasts.
	ExtraVars map[string]any
	// Sudo, SSHUser and SSHPort hold where a play, a task or the inventory says
	// nothing else.
	Sudo    string
	SSHUser string
	SSHPort int
	// Local takes this machine for every host.
	Local bool
	// Forks is how many hosts are worked on at once, 20 if zero or less.
	Forks int
	// Report is told every step, in order and one at a time. The run waits
	// while it blocks. It may be nil.
	Report func(Event)
}

// Run runs a playbook over the hosts of an inventory. Hosts that fail or cannot
// be reached leave the run, the others go on; the summary says how each fared.
// The error is for what stops the run as a whole: unknown groups, an unknown or
// empty selection, or the end of ctx, which is returned as [context.Cause]. The
// summary is valid in any case.
func Run(ctx context.Context, pb *Playbook, inv *inventory.Inventory, o Options) (Summary, error) {
	r := &run{Options: o, inv: inv, hosts: make(map[string]*hostState)}
	if r.Forks <= 0 {
		r.Forks = defaultForks
	}
	selected, err := pb.selectHosts(inv, o.Limit)
	if err != nil {
		return r.summary(), err
	}
	for _, h := range slices.Concat(selected...) {
		if r.hosts[h.Name] == nil {
			r.hosts[h.Name] = newHostState(h)
		}
	}
	defer r.closeAll(ctx)
	for i, pl := range pb.plays {
		if ctx.Err() != nil {
			break
		}
		r.play(ctx, pl, selected[i])
	}
	return r.summary(), context.Cause(ctx)
}

// run is the state of one Run.
type run struct {
	Options
	inv   *inventory.Inventory
	hosts map[string]*hostState

	reporting sync.Mutex
}

// step is a task with the variables it sees.
type step struct {
	*task
	scope   *scope
	handler bool
}

// steps returns the tasks and the handlers of a play in the order they run.
func (pl *play) steps() (tasks, handlers []step) {
	add := func(sc *scope, ts, hs []*task) {
		for _, t := range ts {
			tasks = append(tasks, step{task: t, scope: sc})
		}
		for _, t := range hs {
			handlers = append(handlers, step{task: t, scope: sc, handler: true})
		}
	}
	for _, call := range pl.roles {
		add(&scope{play: pl, role: call}, call.role.tasks, call.role.handlers)
	}
	add(&scope{play: pl}, pl.tasks, pl.handlers)
	return tasks, handlers
}

func (r *run) play(ctx context.Context, pl *play, selected []*inventory.Host) {
	started := time.Now()
	hosts := make([]*hostState, len(selected))
	for i, h := range selected {
		hosts[i] = r.hosts[h.Name]
		clear(hosts[i].notified)
	}
	hosts = inPlay(hosts)
	e := Event{Kind: PlayStarted, Play: pl.name, Pos: pl.pos, Hosts: names(hosts)}
	r.report(e)

	tasks, handlers := pl.steps()
	for batch := range slices.Chunk(hosts, max(1, cmp.Or(pl.batch, len(hosts)))) {
		for _, s := range tasks {
			r.step(ctx, s, batch)
		}
		r.handlers(ctx, handlers, batch)
	}
	e.Kind, e.Hosts = PlayFinished, nil
	e.Started, e.Duration = started, time.Since(started)
	r.report(e)
}

// handlers runs the handlers whose event was raised, each once a host. What
// handlers raise themselves is followed until nothing new is due.
func (r *run) handlers(ctx context.Context, handlers []step, hosts []*hostState) {
	type once struct {
		handler int
		host    *hostState
	}
	done := make(map[once]bool)
	for again := true; again; {
		again = false
		for i, s := range handlers {
			var due []*hostState
			for _, h := range inPlay(hosts) {
				if o := (once{i, h}); h.notified[s.subscribe] && !done[o] {
					done[o] = true
					due = append(due, h)
				}
			}
			if len(due) > 0 {
				again = true
				r.step(ctx, s, due)
			}
		}
	}
}

// step runs one task on all hosts that are still in play, and waits for them.
func (r *run) step(ctx context.Context, s step, hosts []*hostState) {
	hosts = inPlay(hosts)
	if len(hosts) == 0 || ctx.Err() != nil {
		return
	}
	e := s.event(TaskStarted)
	e.Hosts = names(hosts)
	r.report(e)
	each(ctx, r.Forks, hosts, func(h *hostState) {
		e := s.event(TaskFinished)
		e.Host, e.Started = h.host.Name, time.Now()
		x := execution{run: r, step: s, host: h}
		out := x.task(ctx)
		e.Duration = time.Since(e.Started)
		out.describe(&e)
		h.stats.Add(e.Status, e.Changed)
		h.out = e.Status == StatusFailed || e.Status == StatusUnreachable
		r.report(e)
	})
}

func (s step) event(k Kind) Event {
	return Event{
		Kind: k, Play: s.scope.play.name, Role: s.scope.roleName(), Pos: s.pos,
		Task: s.name, Module: s.module.Name, Handler: s.handler,
	}
}

func (r *run) report(e Event) {
	if r.Report == nil {
		return
	}
	e.Check = r.Check
	r.reporting.Lock()
	defer r.reporting.Unlock()
	r.Report(e)
}

func (r *run) summary() Summary {
	s := Summary{Hosts: make(map[string]Stats, len(r.hosts))}
	for name, h := range r.hosts {
		s.Hosts[name] = h.stats
	}
	return s
}

// closeAll closes all connections, also after the end of ctx. There is nothing
// left to lose over them, so errors do not matter.
func (r *run) closeAll(ctx context.Context) {
	var open []conn.Conn
	for _, h := range r.hosts {
		for _, c := range h.conns {
			open = append(open, c)
		}
	}
	each(context.WithoutCancel(ctx), r.Forks, open, func(c conn.Conn) { _ = c.Close() })
}

// inPlay returns the hosts that did not fail.
func inPlay(hosts []*hostState) []*hostState {
	var in []*hostState
	for _, h := range hosts {
		if !h.out {
			in = append(in, h)
		}
	}
	return in
}

func names(hosts []*hostState) []string {
	ns := make([]string, len(hosts))
	for i, h := range hosts {
		ns[i] = h.host.Name
	}
	return ns
}

// each calls f for the members of list, at most n at once, and returns when all
// calls have. Members whose turn has not come when ctx ends are left out.
func each[T any](ctx context.Context, n int, list []T, f func(T)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	turn := make(chan struct{}, n)
	for _, v := range list {
		select {
		case <-ctx.Done():
			return
		case turn <- struct{}{}:
		}
		if ctx.Err() != nil {
			return
		}
		wg.Go(func() {
			defer func() { <-turn }()
			f(v)
		})
	}
}
