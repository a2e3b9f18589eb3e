package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Condition says in a word how a source fares.
type Condition string

// The conditions.
const (
	// OK means that it does its work.
	OK Condition = "ok"
	// Failing means that its last attempt failed.
	Failing Condition = "failing"
	// Waiting means that it was started and has yet to say how it fares.
	Waiting Condition = "waiting"
	// Paused means that somebody has stopped it.
	Paused Condition = "paused"
	// Off means that its content says so.
	Off Condition = "off"
)

// State is how a source, or a webhook, fares, for people. All times are in UTC.
type State struct {
	// Name is the source's name, or what [HookName] makes of that of a webhook; Kind is
	// its key in sources.yml, or the kind of the webhook.
	Name string `json:"name"`
	Kind string `json:"kind"`
	// By is the jet-bus that runs it, empty if the bus has only one.
	By string `json:"by,omitempty"`
	// State is how it fares, Since when that began.
	State Condition `json:"state"`
	Since time.Time `json:"since"`
	// PausedBy and Reason say who paused it, and why; they are empty if nobody has.
	PausedBy string `json:"paused_by,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Checked is when it last looked for events, Next when it will; zero if that is
	// not known.
	Checked time.Time `json:"checked,omitzero"`
	Next    time.Time `json:"next,omitzero"`
	// Event is the last that it brought, nil if there was none yet; Events counts
	// them since the source is listed. After a crash some may be missing.
	Event  *Event `json:"event,omitempty"`
	Events uint64 `json:"events"`
	// Error is what went wrong last, at ErrorAt, also if it works again; empty if
	// nothing ever did.
	Error   string    `json:"error,omitempty"`
	ErrorAt time.Time `json:"error_at,omitzero"`
	// Failures counts the attempts that failed since it was well, the first of them
	// at FailedSince.
	Failures    uint64    `json:"failures"`
	FailedSince time.Time `json:"failed_since,omitzero"`
	// Look is the last look that somebody has asked for, nil if there was none.
	Look *Look `json:"look,omitempty"`

	// Telling is what happened to it and is yet to become an event, in that order.
	Telling []telling `json:"telling,omitempty"`
}

// Event says which event a source has brought.
type Event struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	At   time.Time `json:"at"`
}

// Look is a look at the world that somebody has asked a source for.
type Look struct {
	// Asked is the sequence of the asking, see [Ask]; of several, the last.
	Asked uint64 `json:"asked"`
	// Begun and Done are when.
	Begun time.Time `json:"begun"`
	Done  time.Time `json:"done"`
	// Found are the events that it brought, More counts those beyond twenty.
	Found []Event `json:"found,omitempty"`
	More  int     `json:"more,omitempty"`
	// Error is what went wrong, empty if nothing did.
	Error string `json:"error,omitempty"`
}

// telling is the beginning or the end of failures, yet to be told.
type telling struct {
	Recovered bool      `json:"recovered,omitempty"`
	Error     string    `json:"error"`
	Failures  uint64    `json:"failures"`
	Since     time.Time `json:"since"`
}

// ErrUnknown means that there is no source of a name.
var ErrUnknown = errors.New("no such source")

// States returns how all sources and webhooks fare, by name. Of a webhook that several
// jet-bus serve there is one for each. It needs no more than a viewer's rights.
func States(ctx context.Context, b *bus.Bus) ([]State, error) {
	var all []State
	for m, err := range b.Tail(ctx, stream, everyState, bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list the sources: %w", err)
		}
		if gone(m) {
			continue
		}
		s, err := decodeState(m)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y State) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.By, y.By)) })
	return all, nil
}

// Get returns how one fares. It fails with [ErrUnknown] if there is no such.
func Get(ctx context.Context, b *bus.Bus, name string) (State, error) {
	s, _, err := last(ctx, b, name)
	return s, err
}

// last is Get, with the sequence of what is there, also if that is only that there is
// none any more; 0 if nothing is.
func last(ctx context.Context, b *bus.Bus, name string) (s State, rev uint64, err error) {
	m, err := b.Last(ctx, stream, key(keyState, name))
	switch {
	case errors.Is(err, bus.ErrNotFound), err == nil && gone(m):
		return State{}, m.Seq, fmt.Errorf("%s: %w", name, ErrUnknown)
	case err != nil:
		return State{}, 0, fmt.Errorf("see how source %s fares: %w", name, err)
	}
	s, err = decodeState(m)
	return s, m.Seq, err
}

func decodeState(m bus.Msg) (State, error) {
	var s State
	if err := json.Unmarshal(m.Data, &s); err != nil {
		return s, fmt.Errorf("decode %s at sequence %d: %w", m.Subject, m.Seq, err)
	}
	return s, nil
}

// same reports whether two states have nothing new to tell each other.
func same(a, b State) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
