package busd

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

// recordDurability leaves on the bus what an accepted event survives: no client
// could tell otherwise.
func (p *Process) recordDurability(ctx context.Context) error {
	value := "power"
	if p.o.Sync == busserver.Process {
		value = "process"
	}
	kv, err := p.Bus.JS.KeyValue(ctx, bus.BucketConfig)
	if err != nil {
		return fmt.Errorf("record the durability: %w", err)
	}
	old, err := kv.Get(ctx, bus.KeyDurability)
	switch {
	case err == nil && string(old.Value()) == value:
		return nil
	case err != nil && !errors.Is(err, jetstream.ErrKeyNotFound):
		return fmt.Errorf("record the durability: %w", err)
	}
	if _, err := kv.PutString(ctx, bus.KeyDurability, value); err != nil {
		return fmt.Errorf("record the durability: %w", err)
	}
	return nil
}
