package jobevent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// cursor is how far a stream has been told of. None on the bus is one that is idle at
// the beginning.
type cursor struct {
	// Next is the first sequence that is not told of.
	Next uint64 `json:"next"`
	// Idle is true if nothing was wanted then: what follows is not told of, until
	// something is.
	Idle bool `json:"idle,omitempty"`
}

func (d *feed) subject() string { return "$KV." + bus.BucketSources + "." + d.key }

// load reads the cursor. A stream that ends before it has lost something; what it has
// from its end on is told of then.
func (d *feed) load(ctx context.Context) error {
	d.cursor, d.rev = cursor{Idle: true}, 0
	m, err := d.f.bus.Last(ctx, "KV_"+bus.BucketSources, d.subject())
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	d.rev = m.Seq
	if len(m.Data) == 0 { // somebody removed it
		return nil
	}
	var c cursor
	if err := json.Unmarshal(m.Data, &c); err != nil {
		return fmt.Errorf("decode %s: %w", d.key, err)
	}
	d.cursor = c
	end, err := endOf(ctx, d.f.bus, d.stream)
	if err != nil {
		return err
	}
	if d.cursor.Next > end+1 {
		d.f.log.Warn("jobs are behind where they were when they were told of; events begin at their end",
			slog.String("stream", d.stream), slog.Uint64("was", d.cursor.Next), slog.Uint64("last", end))
		d.cursor.Next = end + 1
	}
	return nil
}

// store writes the cursor, unless somebody else did.
func (d *feed) store(ctx context.Context, c cursor) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store %s: %w", d.key, err)
	}
	msg := &nats.Msg{Subject: d.subject(), Header: nats.Header{}, Data: data}
	bus.ExpectSubjectSeq(msg, msg.Subject, d.rev)
	rev, _, err := d.f.bus.Publish(ctx, msg)
	if err != nil {
		return fmt.Errorf("store %s: %w", d.key, err)
	}
	d.cursor, d.rev = c, rev
	return nil
}

// keep stores how far we are, if that has changed. Only that somebody else did is an
// error: what is not stored is told again, under the same ids.
func (d *feed) keep(ctx context.Context) error {
	if d.next == d.cursor.Next {
		return nil
	}
	err := d.store(ctx, cursor{Next: d.next})
	switch {
	case errors.Is(err, bus.ErrConflict), errors.Is(err, bus.ErrUnknownOutcome):
		return err // what is on the bus has to be read
	case err != nil:
		d.f.log.Debug("how far jobs are told of is not stored", slog.Any("err", err))
	}
	return nil
}

// keepLast stores how far we are at the end.
func (d *feed) keepLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := d.keep(ctx); err != nil {
		d.f.log.Debug("how far jobs are told of is not stored", slog.Any("err", err))
	}
}
