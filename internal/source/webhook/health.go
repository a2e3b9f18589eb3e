package webhook

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// Health is how a hook fares, counted since Since: since the hook was made, or the
// process was started.
type Health struct {
	Name  string    `json:"name"`
	Kind  Kind      `json:"kind"`
	Since time.Time `json:"since"`
	// Accepted events were stored now, Duplicate ones before.
	Accepted  uint64 `json:"accepted"`
	Duplicate uint64 `json:"duplicate"`
	// Ignored deliveries were authentic and meant nothing, such as pings.
	Ignored uint64 `json:"ignored"`
	// Refused requests were answered with an error.
	Refused uint64 `json:"refused"`
	// Event is the last one that was accepted, Refusal the last refusal; nil if there was
	// none.
	Event   *LastEvent   `json:"event,omitempty"`
	Refusal *LastRefusal `json:"refusal,omitempty"`
}

// LastEvent is an event that was accepted.
type LastEvent struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	At   time.Time `json:"at"`
}

// LastRefusal is why a request was not accepted: the sentence its sender was told.
type LastRefusal struct {
	Status int       `json:"status"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Health returns how the hooks in service fare, sorted by name.
func (h *Handler) Health() []Health {
	var all []Health
	for _, e := range h.live.Load().endpoints {
		all = append(all, e.record.health(e.name, e.kind))
	}
	slices.SortFunc(all, func(a, b Health) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// record counts what becomes of the requests of a hook.
type record struct {
	failures quiet

	mu     sync.Mutex
	counts Health
}

func newRecord() *record { return &record{counts: Health{Since: time.Now()}} }

func (r *record) health(name string, kind Kind) Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.counts
	h.Name, h.Kind = name, kind
	return h
}

func (r *record) accepted(e events.Event, duplicate bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if duplicate {
		r.counts.Duplicate++
		return
	}
	r.counts.Accepted++
	r.counts.Event = &LastEvent{ID: e.ID(), Type: e.Type(), At: time.Now()}
}

func (r *record) ignored() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Ignored++
}

func (r *record) refused(err refusalError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Refused++
	r.counts.Refusal = &LastRefusal{Status: err.status, Reason: err.why, At: time.Now()}
}

const (
	// Refusals are logged this often: on average each second, and at once.
	logPerSecond, logBurst = 1, 10
)

// quiet keeps a flood out of the log. The zero value is ready.
type quiet struct {
	mu     sync.Mutex
	bucket *bucket
	missed int
}

// say reports whether one more line may be logged, and how many were not since the
// last that was.
func (q *quiet) say() (ok bool, missed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bucket == nil {
		q.bucket = newBucket(logPerSecond, logBurst)
	}
	if !q.bucket.take(1) {
		q.missed++
		return false, 0
	}
	missed, q.missed = q.missed, 0
	return true, missed
}

// asRefusal is the refusal in err; what has none is our own fault.
func asRefusal(err error) refusalError {
	if why, ok := errors.AsType[refusalError](err); ok {
		return why
	}
	return refusalError{http.StatusInternalServerError, "the request could not be handled"}
}
