package engine

import "slices"

// walk is where a host is in a plan: at the step it comes to next, within some
// blocks. The zero walk is before the first step.
type walk struct {
	at     int
	frames []frame // outermost first
	// lost is true once a failure left the outermost block, or there was none
	// around it.
	lost bool
}

// frame is what a walk remembers of a block that it is in.
type frame struct {
	*span
	part part
	// decided is true once the block's condition was asked, skip if it was false.
	decided, skip bool
	// failed is what the rescue part is there for, pending a failure that goes on
	// once the always part is through.
	failed, pending *failure
}

type part int

const (
	inTasks part = iota
	inRescue
	inAlways
)

// failure is a failed task, for the rescue part of a block.
type failure struct{ task, message string }

// settle moves on over marks, to the next task or flush or to the plan's end.
func (w *walk) settle(p *plan) {
	for w.at < len(p.steps) && !w.lost {
		s := &p.steps[w.at]
		switch s.mark {
		case markEnter:
			w.frames = append(w.frames, frame{span: s.span})
			w.at++
		case markRescue: // the tasks before it went well
			w.at = s.span.alwaysAt
		case markAlways:
			w.frames[len(w.frames)-1].part = inAlways
			w.at++
		case markLeave:
			last := len(w.frames) - 1
			pending := w.frames[last].pending
			w.frames = w.frames[:last]
			w.at++
			if pending != nil {
				w.raise(*pending)
			}
		default:
			return
		}
	}
}

// next moves on from a task that went well.
func (w *walk) next(p *plan) {
	w.at++
	w.settle(p)
}

// fail moves on from a task that failed: to the rescue of a block around it, to
// what is to be done always, or nowhere.
func (w *walk) fail(p *plan, f failure) {
	w.raise(f)
	w.settle(p)
}

func (w *walk) raise(f failure) {
	for len(w.frames) > 0 {
		top := &w.frames[len(w.frames)-1]
		switch {
		case top.part == inTasks && top.rescues():
			top.part, top.failed = inRescue, &f
			w.at = top.rescueAt + 1
			return
		case top.part != inAlways:
			top.part, top.pending = inAlways, &f
			w.at = top.alwaysAt + 1
			return
		}
		w.frames = w.frames[:len(w.frames)-1]
	}
	w.lost = true
}

// rescued says whether a failure here would come to a rescue.
func (w *walk) rescued() bool {
	return slices.ContainsFunc(w.frames, func(f frame) bool { return f.part == inTasks && f.rescues() })
}

// failure returns the one that the walk is in the rescue of, nil if it is in
// none.
func (w *walk) failure() *failure {
	for _, f := range slices.Backward(w.frames) {
		if f.part == inRescue {
			return f.failed
		}
	}
	return nil
}

// admitted says whether the conditions of all blocks around hold; eval evaluates
// one that was not asked yet. Where one cannot be evaluated, the blocks within that
// block are left: they never began.
func (w *walk) admitted(eval func(*span) (bool, error)) (bool, error) {
	for i := range w.frames {
		f := &w.frames[i]
		if !f.decided && f.condition != nil {
			ok, err := eval(f.span)
			if err != nil {
				f.decided = true
				w.frames = w.frames[:i+1]
				return false, err
			}
			f.skip = !ok
		}
		f.decided = true
		if f.skip {
			return false, nil
		}
	}
	return true, nil
}

// coming returns at most n of the tasks that come after the one at hand if all
// goes well, up to a flush.
func (w *walk) coming(p *plan, n int) []*step {
	ahead := walk{at: w.at, frames: slices.Clone(w.frames)}
	var list []*step
	for len(list) < n {
		ahead.next(p)
		if ahead.lost || ahead.at >= len(p.steps) || p.steps[ahead.at].mark != markTask {
			break
		}
		list = append(list, &p.steps[ahead.at])
	}
	return list
}
