package main

import (
	"context"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// keyed is a dialer that logs in with the lab's key.
type keyed struct {
	conn.Dialer
	key string
}

// Dial implements [conn.Dialer].
func (k keyed) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	t.KeyFile = k.key
	return k.Dialer.Dial(ctx, t)
}
