package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/ahead"
)

const (
	// farAway is the round-trip time from which on it pays to read ahead. Nearer
	// hosts answer sooner than it takes to guess.
	farAway = 2 * time.Millisecond
	// farSighted is how many of the coming tasks, and of a task's items, are
	// looked at.
	farSighted = 16
)

// Previewer is implemented by modules that know what they are going to read on
// the host. Preview reads it, before the task's turn has come, and throws it
// away: the connection keeps what was read for Query, which gets it at once as
// long as nothing has changed on the host. Whatever Preview returns or fails
// with does not matter; it changes nothing, and asks nobody but the host.
type Previewer interface {
	Preview(ctx context.Context, h *Host)
}

// foresight is what a host's run knows of coming tasks.
type foresight struct {
	memory *ahead.Memory
	epoch  *ahead.Epoch

	// seen are the steps that were looked at since the last change, and whether it
	// made sense to look at those behind them.
	seen map[*step]bool
	at   uint64
	// stop ends the reading that is under way.
	stop context.CancelFunc
}

func newForesight(e *ahead.Epoch) *foresight {
	return &foresight{memory: ahead.New(e), epoch: e, seen: make(map[*step]bool), stop: func() {}}
}

// beginAnew forgets what was read ahead; changes are counted by e from now on.
func (s *hostState) beginAnew(e *ahead.Epoch) {
	s.foresight.halt()
	s.foresight = newForesight(e)
}

// changing says that the task is about to change its place, or just has: what was
// read ahead there is worth nothing any more.
func (x *execution) changing(at *place) {
	x.host.foresight.halt()
	x.host.foresight.epoch.Change()
	if h := x.hosts[at.name]; at.delegated && h != nil {
		h.foresight.epoch.Change()
	}
}

// halt ends the reading that is under way.
func (f *foresight) halt() {
	f.stop()
	f.stop = func() {}
}

// forget makes the next reads go to the host.
func (f *foresight) forget() {
	f.halt()
	f.memory.Forget()
	clear(f.seen)
}

// lookAhead reads what the coming tasks of the host are going to read, over the
// connection c of the login user. It returns at once.
func (x *execution) lookAhead(ctx context.Context, t conn.Target, c conn.Conn) {
	if x.handler || c.RTT() < farAway {
		return
	}
	// A task that nobody can foresee is going to change something.
	if _, foreseeable := x.module.New().(Previewer); !foreseeable {
		return
	}
	f := x.host.foresight
	if now := f.epoch.Now(); f.at != now {
		f.at = now
		clear(f.seen)
	}
	var todo []func(context.Context)
	steps := x.host.walk.coming(x.plan, farSighted)
	if x.items != nil && x.merged == nil { // the items that follow this one
		steps = slices.Insert(steps, 0, x.step)
	}
	for _, s := range steps {
		on, seen := f.seen[s]
		if !seen {
			next := &execution{run: x.run, plan: x.plan, step: s, host: x.host}
			if s == x.step {
				next.item = x.item
			}
			var looks []func(context.Context)
			looks, on = next.preview(t, c)
			f.seen[s] = on
			todo = append(todo, looks...)
		}
		if !on {
			break
		}
	}
	if len(todo) == 0 {
		return
	}
	// It outlives the task at hand, whose time may be limited, and does not end
	// what was begun before.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	before := f.stop
	f.stop = func() { before(); cancel() }
	for _, look := range todo {
		x.previews.Go(func() {
			// A fault of the module shows when the task's turn comes.
			defer func() { _ = recover() }()
			look(ctx)
		})
	}
}

// preview returns what there is to read for the task, and whether it makes sense
// to look at the tasks behind it: not if this one is sure to change something.
func (x *execution) preview(t conn.Target, login conn.Conn) (looks []func(context.Context), on bool) {
	if x.set.delegateTo != nil {
		return nil, true // elsewhere
	}
	vars := x.variables()
	each := []map[string]any{vars}
	if x.items != nil {
		list, err := x.items.resolve(vars)
		if err != nil {
			return nil, false
		}
		each = x.merge(list, vars)
		if x.merged = each; each != nil {
			each = each[:1]
		} else {
			list = list[min(len(list), x.item):]
			for _, item := range list[:min(len(list), farSighted)] {
				itemVars := maps.Clone(vars)
				itemVars["item"] = item
				each = append(each, itemVars)
			}
		}
	}
	on = true
	for _, vars := range each {
		look, more := x.previewOnce(vars, t, login)
		if look != nil {
			looks = append(looks, look)
		}
		on = on && more
	}
	return looks, on
}

// previewOnce is preview with one set of variables; look is nil when there is
// nothing to read.
func (x *execution) previewOnce(vars map[string]any, t conn.Target, login conn.Conn) (look func(context.Context), on bool) {
	if x.condition != nil {
		if ok, err := x.condition.Eval(vars); err != nil || !ok {
			return nil, err == nil
		}
	}
	at := &place{name: x.host.host.Name, vars: vars}
	b, err := x.become(vars, at)
	if err != nil {
		return nil, false
	}
	if own, err := x.target(at); err != nil || own != t {
		return nil, false
	}
	q, err := x.prepare(vars)
	if err != nil {
		return nil, false
	}
	if o, ok := q.module.(Offline); ok && o.Offline() {
		return nil, true
	}
	p, foreseeable := q.module.(Previewer)
	return func(ctx context.Context) {
		c := login
		if b != (conn.Become{}) {
			if c, err = c.As(ctx, b); err != nil {
				return
			}
		}
		env, err := x.set.environ.render(vars)
		if err != nil {
			return
		}
		c = withEnviron(x.host.foresight.memory.Preview(c), env)
		if x.skipIfExists != nil {
			if exists, err := x.exists(ctx, c, vars); exists || err != nil {
				return
			}
		}
		if foreseeable {
			q.host.Conn = c
			p.Preview(ctx, q.host)
		}
	}, foreseeable
}
