package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// Headers the server acts on.
const (
	headerMsgID         = "Nats-Msg-Id"
	headerExpectSeq     = "Nats-Expected-Last-Subject-Sequence"
	headerExpectSubject = "Nats-Expected-Last-Subject-Sequence-Subject"
)

// ExpectSubjectSeq makes msg conditional: it is stored only if the last message
// on subject has sequence seq, or, with seq 0, if there is none. The subject
// may be another than the message's own: that is how a job's state fences its
// results. A publish that does not meet it fails with [ErrConflict].
func ExpectSubjectSeq(msg *nats.Msg, subject string, seq uint64) {
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	msg.Header.Set(headerExpectSeq, strconv.FormatUint(seq, 10))
	msg.Header.Set(headerExpectSubject, subject)
}

// pubAck is what the server answers to a stored message.
type pubAck struct {
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Batch     string    `json:"batch"`
	Count     int       `json:"count"`
	Error     *apiError `json:"error"`
}

// Publish stores one message and returns its sequence once the server has
// acknowledged it, which is once it is durable. dup says that a message with
// the same Nats-Msg-Id was stored before, as seq; nothing was stored now.
//
// It waits for ten seconds unless ctx ends earlier, does not retry, and fails
// with [ErrConflict], [ErrFull], [ErrTooLarge], [ErrUnavailable], [ErrDenied]
// or [ErrUnknownOutcome].
func (b *Bus) Publish(ctx context.Context, msg *nats.Msg) (seq uint64, dup bool, err error) {
	ack, err := b.publish(ctx, msg)
	if err != nil {
		return 0, false, fmt.Errorf("publish on %s: %w", msg.Subject, err)
	}
	return ack.Seq, ack.Duplicate, nil
}

// publish sends msg and reads the acknowledgement.
func (b *Bus) publish(ctx context.Context, msg *nats.Msg) (pubAck, error) {
	reply, err := b.request(ctx, msg)
	switch {
	case errors.Is(err, errNoAnswer):
		return pubAck{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case err != nil:
		return pubAck{}, err
	}
	var ack pubAck
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return pubAck{}, fmt.Errorf("%w: read acknowledgement: %w", ErrUnknownOutcome, err)
	}
	if ack.Error != nil {
		return pubAck{}, ack.Error
	}
	if ack.Stream == "" {
		return pubAck{}, fmt.Errorf("%w: answer is no acknowledgement", ErrUnknownOutcome)
	}
	return ack, nil
}

// errNoAnswer says that a request was sent and not answered: its writer does
// not know the outcome, its reader only has to ask again.
var errNoAnswer = errors.New("no answer")

// ready says why nothing can be sent, if so.
func (b *Bus) ready(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if b.Conn.IsClosed() {
		return fmt.Errorf("%w: %w", ErrUnavailable, nats.ErrConnectionClosed)
	}
	return nil
}

// request sends msg and waits for one reply. Any error but errNoAnswer means
// that the server has done nothing.
func (b *Bus) request(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	watched, done := b.denials.watch(limited, msg.Subject)
	defer done()
	reply, err := b.Conn.RequestMsgWithContext(watched, msg)
	if err == nil {
		return reply, nil
	}
	if cause := context.Cause(watched); errors.Is(cause, ErrDenied) {
		return nil, cause
	}
	switch {
	case unreachable(err):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, nats.ErrInvalidMsg), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrBadHeaderMsg):
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
}
