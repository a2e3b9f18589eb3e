package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Where the records are; see the package comment.
const (
	stream = "KV_" + bus.BucketSources
	prefix = "$KV." + bus.BucketSources + "."

	keyCursor = "cursor"
	keyState  = "state"
	keyPoll   = "poll"

	everyState = prefix + keyState + ".>"
	everyPoll  = prefix + keyPoll + ".>"
)

func key(what, name string) string { return prefix + what + "." + bus.Token(name) }

// gone reports whether a message in the bucket says that its key is gone.
func gone(m bus.Msg) bool { return len(m.Data) == 0 }

// put replaces a record, whatever was there, and returns its sequence.
func put(ctx context.Context, b *bus.Bus, what, name string, v any) (uint64, error) {
	return store(ctx, b, what, name, v, func(*nats.Msg) {})
}

// putAt replaces the record that has the sequence rev, 0 if there is to be none, and
// returns its own. It fails with [bus.ErrConflict] if there is another.
func putAt(ctx context.Context, b *bus.Bus, what, name string, v any, rev uint64) (uint64, error) {
	return store(ctx, b, what, name, v, func(m *nats.Msg) { bus.ExpectSubjectSeq(m, m.Subject, rev) })
}

func store(ctx context.Context, b *bus.Bus, what, name string, v any, fence func(*nats.Msg)) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("encode the %s of source %s: %w", what, name, err)
	}
	msg := &nats.Msg{Subject: key(what, name), Data: data}
	fence(msg)
	seq, _, err := b.Publish(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("store the %s of source %s: %w", what, name, err)
	}
	return seq, nil
}

// remove takes a record away.
func remove(ctx context.Context, b *bus.Bus, what, name string) error {
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: key(what, name), Header: nats.Header{"KV-Operation": {"DEL"}}}); err != nil {
		return fmt.Errorf("remove the %s of source %s: %w", what, name, err)
	}
	return nil
}

// named returns the name in the subject of a record. Names need no escapes.
func named(what, subject string) string { return strings.TrimPrefix(subject, prefix+what+".") }
