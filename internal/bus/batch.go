package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// The headers of an atomic batch: every message carries the batch's id and its
// own place from 1 on, the last one also asks to commit.
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

const (
	maxBatch      = 1000 // messages; the server's limit
	batchAttempts = 5
)

// PublishBatch stores all of msgs, which must belong to one stream, or none,
// and returns the sequence of the last; they are stored one after the other
// with nothing in between. Each may carry its own expectation. Nobody can read
// a part of the batch before all of it is stored.
//
// It fails with [ErrConflict] if any expectation is not met, [ErrDuplicate] if
// any message id is known already, [ErrFull], [ErrTooLarge] (also for more than
// a thousand messages), [ErrUnavailable] or [ErrDenied]: nothing was stored.
// After [ErrUnknownOutcome] all of it was stored or nothing: read back. (Of events, a
// power cut before the answer may leave a part, see busserver.Server.StageInMemory.)
func (b *Bus) PublishBatch(ctx context.Context, msgs []*nats.Msg) (lastSeq uint64, err error) {
	switch {
	case len(msgs) == 0:
		return 0, errors.New("publish batch: it is empty")
	case len(msgs) > maxBatch:
		return 0, fmt.Errorf("publish batch of %d messages: %w: at most %d", len(msgs), ErrTooLarge, maxBatch)
	case len(msgs) == 1:
		seq, dup, err := b.Publish(ctx, msgs[0])
		if err == nil && dup {
			return 0, fmt.Errorf("publish on %s: %w", msgs[0].Subject, ErrDuplicate)
		}
		return seq, err
	}
	for attempt := 1; ; attempt++ {
		seq, err := b.tryBatch(ctx, msgs)
		if err == nil {
			return seq, nil
		}
		// Too many batches are open, or one was cut in two by a reconnect: the
		// server then says that nothing was stored, so trying again is safe.
		var api *apiError
		again := errors.As(err, &api) && errors.Is(api, ErrUnavailable) && attempt < batchAttempts
		if !again || !pause(ctx, attempt) {
			return 0, fmt.Errorf("publish batch of %d messages on %s: %w", len(msgs), msgs[0].Subject, err)
		}
	}
}

// tryBatch sends the batch once, under an id of its own.
func (b *Bus) tryBatch(ctx context.Context, msgs []*nats.Msg) (uint64, error) {
	id := rand.Text()
	ids := []string{id}
	staged := make([]*nats.Msg, len(msgs))
	for i, m := range msgs {
		h := make(nats.Header, len(m.Header)+3)
		maps.Copy(h, m.Header)
		h[headerBatchID] = ids
		h[headerBatchSeq] = []string{strconv.Itoa(i + 1)}
		staged[i] = &nats.Msg{Subject: m.Subject, Header: h, Data: m.Data}
	}
	last := len(staged) - 1
	staged[last].Header.Set(headerBatchCommit, "1")
	for _, m := range staged[:last] {
		if err := b.Conn.PublishMsg(m); err != nil {
			return 0, fmt.Errorf("%w: %w", notStored(err), err)
		}
	}
	ack, err := b.publish(ctx, staged[last])
	if err != nil {
		return 0, err
	}
	if ack.Batch != id || ack.Count != len(msgs) {
		return 0, fmt.Errorf("%w: acknowledged %d of %d messages", ErrUnknownOutcome, ack.Count, len(msgs))
	}
	return ack.Seq, nil
}

// notStored names the outcome of a batch whose commit was never sent.
func notStored(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return ErrTooLarge
	}
	return ErrUnavailable
}

// pause waits before another attempt: 50 ms, doubled each time up to a second,
// with jitter. It returns false if ctx ended.
func pause(ctx context.Context, attempt int) bool {
	d := min(50*time.Millisecond<<min(attempt-1, 10), time.Second)
	t := time.NewTimer(d/2 + mathrand.N(d)) //nolint:gosec // jitter is no secret
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
