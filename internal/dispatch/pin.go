package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Pin says that one content stays in force, on every jet-bus of the bus, whatever is newer.
type Pin struct {
	RuleSet string `json:"rule_set"`
	Bundle  string `json:"bundle"`
	// Revision and From are those of the content.
	Revision string `json:"revision,omitempty"`
	From     string `json:"from,omitempty"`
	// By names who pinned it, At is when, Reason why, for people.
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// Pinned returns the pin, zero if there is none. It needs no more than a viewer's rights.
func Pinned(ctx context.Context, b *bus.Bus) (Pin, error) {
	var p Pin
	m, err := b.Last(ctx, "KV_"+bus.BucketConfig, "$KV."+bus.BucketConfig+"."+bus.KeyPinned)
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return p, nil
	case err != nil:
		return p, fmt.Errorf("see whether content is pinned: %w", err)
	case len(m.Data) == 0: // a deletion
		return p, nil
	}
	if err := json.Unmarshal(m.Data, &p); err != nil {
		return p, fmt.Errorf("decode the pin at sequence %d: %w", m.Seq, err)
	}
	return p, nil
}

// SetPin pins content, in the place of any that is pinned. Its bundle must be in the object store. It needs the role
// admin.
func SetPin(ctx context.Context, b *bus.Bus, p Pin) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("pin content: %w", err)
	}
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: "$KV." + bus.BucketConfig + "." + bus.KeyPinned, Data: data}); err != nil {
		return fmt.Errorf("pin content: %w", err)
	}
	return nil
}

// Unpin removes the pin; there need not be one. It needs the role admin.
func Unpin(ctx context.Context, b *bus.Bus) error {
	kv, err := b.JS.KeyValue(ctx, bus.BucketConfig)
	if err == nil {
		err = kv.Delete(ctx, bus.KeyPinned)
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("remove the pin: %w", err)
	}
	return nil
}
