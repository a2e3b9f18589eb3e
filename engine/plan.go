package engine

// plan is what a play does to a host, as a flat list: a host only ever moves
// forward in it. Blocks are marks between the tasks, which a [walk] follows.
type plan struct {
	// number is that of the play in the playbook.
	number   int
	play     *play
	steps    []step
	handlers []step
}

// mark says what a step is.
type mark int

const (
	markTask mark = iota
	// markFlush runs the handlers that were notified so far.
	markFlush
	// markEnter, markRescue, markAlways and markLeave are where a block and its
	// parts begin, and where it ends.
	markEnter
	markRescue
	markAlways
	markLeave
)

// step is one step of a plan: a task with what it takes over from around it, or
// a mark.
type step struct {
	*task
	// number is the place among the plan's steps, or among its handlers.
	number  int
	mark    mark
	scope   *scope
	handler bool
	// set are the task's settings with those of everything around it.
	set settings
	// block is the name of the innermost block around a task that has one.
	block string
	// span is the block that a mark belongs to.
	span *span
}

// span is a block's place in a plan. The numbers are those of its marks.
type span struct {
	*block
	scope              *scope
	rescueAt, alwaysAt int
}

// rescues says whether the block has a part for failures.
func (s *span) rescues() bool { return s.alwaysAt > s.rescueAt+1 }

// planner makes the plan of a play.
type planner struct {
	plan
	sel *selection
}

// plan returns the play's plan, as far as the selection goes.
func (pl *play) plan(sel *selection) *plan {
	p := planner{plan: plan{play: pl}, sel: sel}
	for _, call := range pl.roles {
		sc := &scope{play: pl, role: call}
		set := settings{tags: call.tags}.within(pl.set)
		p.add(call.role.tasks, sc, set, "")
		p.addHandlers(call.role.handlers, sc, set)
	}
	sc := &scope{play: pl}
	p.add(pl.tasks, sc, pl.set, "")
	p.addHandlers(pl.handlers, sc, pl.set)
	for _, list := range [][]step{p.steps, p.handlers} {
		for i := range list {
			list[i].number = i
		}
	}
	return &p.plan
}

func (p *planner) add(nodes []*node, sc *scope, outer settings, block string) {
	for _, n := range nodes {
		switch {
		case n.task != nil:
			s := step{task: n.task, scope: sc, set: n.task.set.within(outer), block: block}
			if p.sel.task(s.name, s.set.tags) {
				p.steps = append(p.steps, s)
			}
		case n.flush:
			if p.sel.begun() {
				p.steps = append(p.steps, step{mark: markFlush})
			}
		default:
			p.addBlock(n.block, sc, outer, block)
		}
	}
}

func (p *planner) addBlock(b *block, sc *scope, outer settings, name string) {
	if b.name != "" {
		name = b.name
	}
	inner := sc
	if len(b.vars) > 0 {
		inner = &scope{play: sc.play, role: sc.role, outer: sc, vars: b.vars}
	}
	set := b.set.within(outer)
	sp := &span{block: b, scope: inner}
	begin := len(p.steps)
	p.steps = append(p.steps, step{mark: markEnter, span: sp})
	p.add(b.tasks, inner, set, name)
	sp.rescueAt = p.put(markRescue, sp)
	p.add(b.rescue, inner, set, name)
	sp.alwaysAt = p.put(markAlways, sp)
	p.add(b.always, inner, set, name)
	if p.put(markLeave, sp) == begin+3 {
		p.steps = p.steps[:begin] // nothing of it is left
	}
}

// put appends a mark and returns its number.
func (p *planner) put(m mark, sp *span) int {
	p.steps = append(p.steps, step{mark: m, span: sp})
	return len(p.steps) - 1
}

func (p *planner) addHandlers(nodes []*node, sc *scope, outer settings) {
	for _, n := range nodes {
		s := step{task: n.task, scope: sc, set: n.task.set.within(outer), handler: true}
		if p.sel.handler(s.set.tags) {
			p.handlers = append(p.handlers, s)
		}
	}
}
