package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// The states of a subscription.
const (
	StateOK      = "ok"
	StateFailing = "failing"
)

const (
	kind        = "subscription"
	prefixState = "delivery."
	bucket      = "KV_" + bus.BucketSources
	prefixKV    = "$KV." + bus.BucketSources + "."
)

// State says how a subscription fares, as it is kept on the bus.
type State struct {
	Name string `json:"name"`
	// Kind is "subscription", By the jet-bus that wrote this.
	Kind string `json:"kind"`
	By   string `json:"by,omitempty"`
	// State is [StateOK] or [StateFailing]; Since is when it became so.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Sink is where events go, as far as that may be shown.
	Sink string `json:"sink"`
	// Event is what was delivered last, nil if nothing was; Events counts what was
	// delivered since Counted.
	Event   *Delivered `json:"event,omitempty"`
	Events  uint64     `json:"events"`
	Counted time.Time  `json:"counted"`
	// Error says what went wrong last, and when; both stay when it works again.
	// Failures counts the attempts that failed since something was delivered.
	Error    string    `json:"error,omitempty"`
	ErrorAt  time.Time `json:"error_at,omitzero"`
	Failures int       `json:"failures,omitempty"`
	// GivenUp counts the events that were given up since Counted.
	GivenUp uint64 `json:"given_up,omitempty"`
	// Next is when the next attempt is made of what failed.
	Next time.Time `json:"next,omitzero"`
	// Clear is the sequence up to which nothing waits, ClearAt when that was so.
	Clear   uint64    `json:"clear,omitempty"`
	ClearAt time.Time `json:"clear_at,omitzero"`
}

// Delivered says which event was delivered, and when.
type Delivered struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	At   time.Time `json:"at"`
}

// Status is a State, with what waits.
type Status struct {
	State
	// Pending is how many events wait, those included that are being sent; at most, since
	// a condition may not hold for them.
	Pending uint64 `json:"pending"`
}

// List tells how all subscriptions fare, by name. It needs no more than a viewer's
// rights.
func List(ctx context.Context, b *bus.Bus) ([]Status, error) {
	var out []Status
	for m, err := range b.Tail(ctx, bucket, prefixKV+prefixState+"*", bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("see how subscriptions fare: %w", err)
		}
		if len(m.Data) == 0 {
			continue // taken away
		}
		var s Status
		if err := json.Unmarshal(m.Data, &s.State); err != nil {
			return nil, fmt.Errorf("decode how a subscription fares: %w", err)
		}
		cons, err := b.JS.Consumer(ctx, bus.StreamEvents, consumerOf(s.Name))
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
		case err != nil:
			return nil, fmt.Errorf("see what waits for subscription %s: %w", s.Name, err)
		default:
			info := cons.CachedInfo()
			s.Pending = info.NumPending + uint64(max(info.NumAckPending, 0))
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// subject is where the state of a subscription is kept.
func subject(name string) string { return prefixKV + prefixState + bus.Token(name) }

// load reads what was kept of a subscription; there may be nothing.
func load(ctx context.Context, b *bus.Bus, name string) (s State, err error) {
	m, err := b.Last(ctx, bucket, subject(name))
	if errors.Is(err, bus.ErrNotFound) || err == nil && len(m.Data) == 0 {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	if err := json.Unmarshal(m.Data, &s); err != nil {
		return State{}, fmt.Errorf("decode how subscription %s fares: %w", name, err)
	}
	return s, nil
}

func store(ctx context.Context, b *bus.Bus, s State) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode how subscription %s fares: %w", s.Name, err)
	}
	_, _, err = b.Publish(ctx, &nats.Msg{Subject: subject(s.Name), Data: data})
	return err
}

func forget(ctx context.Context, b *bus.Bus, name string) error {
	kv, err := b.JS.KeyValue(ctx, bus.BucketSources)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bus.BucketSources, err)
	}
	if err := kv.Purge(ctx, prefixState+bus.Token(name)); err != nil {
		return fmt.Errorf("forget subscription %s: %w", name, err)
	}
	return nil
}
