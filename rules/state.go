package rules

import (
	"container/heap"
	"maps"
	"math"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// State is what the ordered rules of a set remember from one event to the next:
// open windows, throttles, absences that are waited for, and facts. It is a fold
// over a stream of events: the same events, at the same times, from the same
// beginning, give the same decisions. It knows no other clock than theirs: what
// ends by time does so at the first event, or [State.Tick], that is stored at
// that time or later. Time does not go back: what was stored before the time that
// the state has come to counts as stored then.
//
// A State is for one goroutine.
type State struct {
	set   *Set
	now   int64 // nanoseconds since 1970
	rules map[*Rule]*memory
	facts map[string]any
	// due are the windows whose end decides something, silent the others.
	due, silent deadlines
	// idle is the evaluation of the event before, which the next one uses again.
	idle *evaluation
}

// MaxDepth bounds how many rules in a row may have caused an event, each by an
// event that it published. Beyond it, the rules are Looped.
const MaxDepth = 16

// lateness is how long after its end a window counts as missed: what runs tells of
// it much earlier.
const lateness = time.Minute

// latest is the last time there is for a state, so that the end of a window can be
// told. It is about the year 2261.
const latest = math.MaxInt64 - int64(365*24*time.Hour)

// Decision is a verdict of an ordered rule, with what it remembered.
type Decision struct {
	Verdict
	// Seq and At are of the event, or the tick, that decided. Seq is 0 where another
	// set did ([State.Use]).
	Seq uint64
	At  time.Time
	// ID tells what a timer decided from all else of the rule, on this and every
	// other way through the same events. It is "" for what an event alone decided, of
	// which there is one per rule and event.
	ID string
	// Key is what the window or throttle was told apart by; Window is nil if there
	// is none. In the decisions of [State.Step] that leave it open (Waiting,
	// Suppressed, Full) Window lacks Members and Missing, which [State.Explain] tells.
	Key    string
	Window *WindowInfo
}

// WindowInfo is a window as it was when something was decided about it.
type WindowInfo struct {
	// Began and Ends bound it. Those of a throttle that counts are of its oldest match.
	Began, Ends time.Time
	// Members are the events in it, in the order they came; at most 100, the newest.
	// Of those that met the same clause of a rule, other than in a throttle, there
	// is the newest.
	Members []Member
	// Count is how many events were taken in.
	Count int
	// Missing are the names of the clauses that were not met.
	Missing []string
}

// Member is an event in a window.
type Member struct {
	Clause     string
	Seq        uint64
	At         time.Time
	Source, ID string
}

// NewState returns the state of a set that comes into force at a time.
func NewState(s *Set, at time.Time) *State {
	st := &State{now: min(at.UnixNano(), latest), facts: map[string]any{}}
	st.adopt(s)
	return st
}

// Step judges the event that is stored next, and returns first what ended by its
// time, then what the ordered rules that are for it say of it, in the order they
// are judged in. Of rules that did not match there is no decision, but for those
// that Failed.
func (st *State) Step(e events.Event, seq uint64, at time.Time) []Decision {
	t := st.advance(seq, at)
	t.judge(&e)
	return t.out
}

// Explain says, of every ordered rule, in the order they are judged in, what
// [State.Step] would about the event, also of those that do not match. It changes
// nothing, and takes as long as copying the state does.
func (st *State) Explain(e events.Event, seq uint64, at time.Time) []Decision {
	t := st.clone().advance(seq, at)
	t.out, t.explain = nil, true
	t.judge(&e)
	told := make(map[*Rule]Decision, len(t.out))
	for _, d := range t.out {
		told[d.Rule] = d
	}
	var out []Decision
	for _, r := range st.set.ordered() {
		d, ok := told[r]
		if !ok {
			d = t.decision(r)
			d.Outcome = NotCandidate
		}
		out = append(out, d)
	}
	return out
}

// Tick says that the time has come to at, and returns what ended by then.
func (st *State) Tick(seq uint64, at time.Time) []Decision { return st.advance(seq, at).out }

// Due returns when the next window ends whose end decides something; the zero
// time if none is open. Throttles that take the first, or that count, are not among
// them: they end in silence.
func (st *State) Due() time.Time {
	if len(st.due) == 0 {
		return time.Time{}
	}
	return moment(st.due[0].ends)
}

// Facts returns the facts. The map is the caller's own, its values must not be
// changed.
func (st *State) Facts() map[string]any { return maps.Clone(st.facts) }

// Windows returns the open windows of a rule, by their end, at most limit.
func (st *State) Windows(rule string, limit int) []OpenWindow {
	m := st.rules[st.set.Rule(rule)]
	if m == nil {
		return nil
	}
	all := m.all()
	all = all[:min(len(all), max(0, limit))]
	out := make([]OpenWindow, 0, len(all))
	for _, w := range all {
		out = append(out, OpenWindow{Key: w.key, WindowInfo: *w.info(false)})
	}
	return out
}

// OpenWindow is a window, or a throttle, that is open.
type OpenWindow struct {
	Key string
	WindowInfo
}

// next returns the window that ends next, by now at the latest; nil if none does.
// At one instant those that end in silence are first, so that they are in the way of
// nothing that is decided then.
func (st *State) next(now int64) *window {
	var w *window
	if len(st.due) > 0 && st.due[0].ends <= now {
		w = st.due[0]
	}
	if len(st.silent) > 0 && st.silent[0].ends <= now && (w == nil || st.silent[0].ends <= w.ends) {
		w = st.silent[0]
	}
	return w
}

// clone returns a copy that shares nothing that changes.
func (st *State) clone() *State {
	c := &State{set: st.set, now: st.now, rules: make(map[*Rule]*memory, len(st.rules)), facts: maps.Clone(st.facts)}
	for r, m := range st.rules {
		copied := *m
		copied.windows, copied.throttles = nil, nil
		c.rules[r] = &copied
		for _, w := range m.all() {
			own := *w
			own.owner, own.members = &copied, append([]member(nil), w.members...)
			c.open(&own)
		}
	}
	return c
}

// reorder makes the heaps anew, from the windows that the rules have open.
func (st *State) reorder() {
	st.due, st.silent = st.due[:0], st.silent[:0]
	for _, m := range st.rules {
		for _, w := range m.all() {
			st.deadlines(w).Push(w)
			w.weigh()
		}
	}
	heap.Init(&st.due)
	heap.Init(&st.silent)
}
