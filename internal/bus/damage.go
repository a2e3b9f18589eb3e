package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// damageSubject is where a jet-bus says that its store is damaged. It is in
// [BucketRunners] since that is in memory: it takes writes when the disk does not,
// and what was said is gone with the server that the damage stopped. No runner may
// write there, as no name is a token with a slash.
const damageSubject = "$KV." + BucketRunners + "./damage"

// TellDamage says what is wrong with the store. It is to be said again before
// [RunnerTTL] is over, for as long as it is so.
func (b *Bus) TellDamage(ctx context.Context, what string) error {
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: damageSubject, Header: nats.Header{}, Data: []byte(what)}); err != nil {
		return fmt.Errorf("tell that the store is damaged: %w", err)
	}
	return nil
}

// Damage returns what the jet-bus of this bus has said is wrong with its store, for
// which it has stopped to judge events and to make jobs; empty if it said nothing.
func (b *Bus) Damage(ctx context.Context) (string, error) {
	m, err := b.Last(ctx, "KV_"+BucketRunners, damageSubject)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("see whether the store is damaged: %w", err)
	}
	return string(m.Data), nil // none, once nobody says so any more
}
