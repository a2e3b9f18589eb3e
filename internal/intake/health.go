package intake

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
)

const (
	// maxError is how much of an error is kept, in bytes.
	maxError = 500
	// maxFound is how many events of a look are named.
	maxFound = 20
	// maxTelling bounds what waits to be told. Beyond it, failures that ended are told
	// as if they had not.
	maxTelling = 8
)

// health is how one source fares, and what of that is not written yet. It is safe
// for concurrent use.
type health struct {
	mu    sync.Mutex
	state State
	// dirty is true if state is not what is written, urgent if it should be soon.
	dirty, urgent bool
	// changed has a value when there is something to write.
	changed chan struct{}
	// looking is the look under way that somebody has asked for, nil if there is none.
	looking *Look
}

// newHealth goes on from a state.
func newHealth(s State) *health { return &health{state: s, changed: make(chan struct{}, 1)} }

// touch notes a change; h.mu must be held.
func (h *health) touch(urgent bool) {
	h.dirty, h.urgent = true, h.urgent || urgent
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// set puts the source into a condition; h.mu must be held.
func (h *health) set(c Condition) {
	if h.state.State == c {
		return
	}
	h.state.State, h.state.Since = c, now()
	h.touch(true)
}

// begin notes that the source is being run. What it said of itself before still holds.
func (h *health) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.PausedBy, h.state.Reason = "", ""
	if s := h.state.State; s != OK && s != Failing {
		h.set(Waiting)
	}
	h.touch(true)
}

// rest notes that the source is not run.
func (h *health) rest(c Condition, by, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.PausedBy, h.state.Reason, h.state.Next = by, reason, time.Time{}
	h.set(c)
	h.touch(true)
}

// ok notes that the source does its work. It reports whether that is news.
func (h *health) ok(next time.Time) (recovered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.state
	s.Checked, s.Next = now(), utc(next)
	if recovered = s.Failures > 0; recovered {
		h.tell(telling{Recovered: true, Error: s.Error, Failures: s.Failures, Since: s.FailedSince})
		s.Failures, s.FailedSince = 0, time.Time{}
	}
	h.set(OK)
	h.looked("")
	h.touch(recovered)
	return recovered
}

// failed notes what keeps the source from its work. It reports whether it was well
// before.
func (h *health) failed(err error, next time.Time) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.state
	at := now()
	s.Checked, s.Next, s.Error, s.ErrorAt = at, utc(next), sentence(err), at
	s.Failures++
	if first = s.Failures == 1; first {
		s.FailedSince = at
		h.tell(telling{Error: s.Error, Failures: 1, Since: at})
	}
	h.set(Failing)
	h.looked(s.Error)
	h.touch(first)
	return first
}

// tell has something told; h.mu must be held.
func (h *health) tell(t telling) {
	if n := len(h.state.Telling); n >= maxTelling {
		h.state.Telling = h.state.Telling[:n-1] // the opposite of t
		return
	}
	h.state.Telling = append(h.state.Telling, t)
}

// told notes that the first of what was to be told is an event now.
func (h *health) told() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Telling = h.state.Telling[1:]
	h.touch(true)
}

// event notes an event that the source has brought.
func (h *health) event(e events.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	brought := Event{ID: e.ID(), Type: e.Type(), At: now()}
	h.state.Event = &brought
	h.state.Events++
	if l := h.looking; l != nil {
		if len(l.Found) < maxFound {
			l.Found = append(l.Found, brought)
		} else {
			l.More++
		}
	}
	h.touch(false)
}

// look notes that a look begins that somebody has asked for, unless that is done.
func (h *health) look(asked uint64) (begun bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.state.Look; asked == 0 || l != nil && l.Asked >= asked {
		return false
	}
	h.looking = &Look{Asked: asked, Begun: now()}
	return true
}

// endLook ends a look of which the source has said nothing.
func (h *health) endLook() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looked("")
}

// looked ends a look; h.mu must be held.
func (h *health) looked(fault string) {
	if h.looking == nil {
		return
	}
	h.looking.Done, h.looking.Error = now(), fault
	h.state.Look, h.looking = h.looking, nil
	h.touch(true)
}

// hurried reports whether what is not written should be soon.
func (h *health) hurried() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.urgent
}

// take returns what is to be written, and whether there is something; the next take
// has nothing unless something changes.
func (h *health) take() (State, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dirty := h.dirty
	h.dirty, h.urgent = false, false
	s := h.state
	s.Telling = slices.Clone(s.Telling)
	return s, dirty
}

// again has what was taken written after all.
func (h *health) again() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dirty = true
}

// sentence is what people are told of an error: a line, not too long.
func sentence(err error) string {
	s := strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "\uFFFD")), " ")
	return proc.Printable(proc.Cut(s, maxError))
}

// utc is a time as records have it; zero stays zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}
