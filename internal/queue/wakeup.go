package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// priority is the token that subjects of wake-ups end in. It is always the same:
	// who goes first is decided before a wake-up is sent.
	priority = 5
	// maxCarried is how large a record may be that a wake-up brings along: a message
	// on JOBS may have 4 KiB.
	maxCarried = 3 << 10
)

// wakeup is the message on the JOBS stream.
type wakeup struct {
	ID string `json:"id"`
	// Rev is the revision of the pending job that the wake-up is for; for any
	// other it is void.
	Rev uint64 `json:"rev"`
	// Nonce tells this wake-up from others for the same revision.
	Nonce uint64 `json:"nonce"`
	// Job is the record as stored at Rev, so that the runner need not read it; nil
	// if it is large.
	Job json.RawMessage `json:"job,omitempty"`
	// Lock is the revision at which the one lock that the job needs is free, as far as
	// the scheduler knows; zero if it does not, or if there are several.
	Lock uint64 `json:"lock,omitempty"`
}

// wake hands a job out to the runners of a queue.
func (q *Queue) wake(ctx context.Context, queue string, w wakeup) error {
	w.Nonce = rand.Uint64() //nolint:gosec // it has to be new, not secret
	data, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("wake job %s: %w", w.ID, err)
	}
	msg := &nats.Msg{Subject: bus.JobSubject(queue, priority), Header: nats.Header{}, Data: data}
	if _, _, err := q.bus.Publish(ctx, msg); err != nil {
		return fmt.Errorf("wake job %s: %w", w.ID, err)
	}
	return nil
}
