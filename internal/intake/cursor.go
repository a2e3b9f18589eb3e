package intake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/source"
)

// maxCursor is how much JSON a source may save, in bytes.
const maxCursor = 512 << 10

// cursorDoc is the record of a cursor.
type cursorDoc struct {
	// Kind is the kind of the source that saved it: what another kind means by the same
	// words is something else.
	Kind string `json:"kind"`
	// Write tells one write from all others.
	Write  string          `json:"write"`
	At     time.Time       `json:"at"`
	Cursor json.RawMessage `json:"cursor"`
}

// cursor is what a source remembers. It belongs to one goroutine.
type cursor struct {
	bus        *bus.Bus
	name, kind string

	rev  uint64          // the sequence that the next write replaces
	data json.RawMessage // nil if nothing was saved
}

// open reads what is on the bus.
func (c *cursor) open(ctx context.Context) error {
	doc, rev, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.rev, c.data = rev, nil
	if doc.Kind == c.kind {
		c.data = doc.Cursor
	}
	return nil
}

func (c *cursor) read(ctx context.Context) (doc cursorDoc, rev uint64, err error) {
	m, err := c.bus.Last(ctx, stream, key(keyCursor, c.name))
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return doc, 0, nil
	case err != nil:
		return doc, 0, fmt.Errorf("read what source %s remembers: %w", c.name, err)
	case gone(m):
		return doc, m.Seq, nil
	}
	if err := json.Unmarshal(m.Data, &doc); err != nil {
		return doc, m.Seq, fmt.Errorf("decode %s at sequence %d: %w", m.Subject, m.Seq, err)
	}
	return doc, m.Seq, nil
}

func (c *cursor) load(v any) (bool, error) {
	if c.data == nil {
		return false, nil
	}
	if err := json.Unmarshal(c.data, v); err != nil {
		return false, fmt.Errorf("decode what source %s remembers: %w", c.name, err)
	}
	return true, nil
}

// save replaces what was read, or was saved last. While the bus is away it tries
// again, until ctx ends.
func (c *cursor) save(ctx context.Context, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode what source %s remembers: %w", c.name, err)
	}
	if len(data) > maxCursor {
		return fmt.Errorf("source %s has %d bytes to remember, and may have %d", c.name, len(data), maxCursor)
	}
	doc := cursorDoc{Kind: c.kind, Write: rand.Text(), At: now(), Cursor: data}
	msg, err := c.message(doc, c.rev)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		rev, err := c.write(ctx, msg, doc.Write)
		switch {
		case err == nil:
			c.rev, c.data = rev, data
			return nil
		case errors.Is(err, source.ErrLost), errors.Is(err, bus.ErrTooLarge), errors.Is(err, bus.ErrDenied):
			return fmt.Errorf("save what source %s remembers: %w", c.name, err)
		}
		if !pause.For(ctx, patience(attempt)) {
			return fmt.Errorf("save what source %s remembers: %w", c.name, context.Cause(ctx))
		}
	}
}

// message makes the one that puts a record in the place of the one at rev.
func (c *cursor) message(doc cursorDoc, rev uint64) (*nats.Msg, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode what source %s remembers: %w", c.name, err)
	}
	msg := &nats.Msg{Subject: key(keyCursor, c.name), Data: data}
	bus.ExpectSubjectSeq(msg, msg.Subject, rev)
	return msg, nil
}

// write stores a record once. Where the bus says that somebody else has written, that
// may have been an attempt of ours whose answer was lost.
func (c *cursor) write(ctx context.Context, msg *nats.Msg, id string) (uint64, error) {
	rev, _, err := c.bus.Publish(ctx, msg)
	if !errors.Is(err, bus.ErrConflict) {
		return rev, err
	}
	doc, rev, err := c.read(ctx)
	switch {
	case err != nil:
		return 0, err
	case doc.Write != id:
		return 0, source.ErrLost
	}
	return rev, nil
}

// patience is the pause after so many attempts to reach the bus that failed.
func patience(attempts int) time.Duration {
	return pause.Grown(200*time.Millisecond, 5*time.Second, attempts)
}
