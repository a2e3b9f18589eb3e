package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Send sends one message to be stored and does not wait for the answer: the server
// takes the messages of one connection in the order in which they were sent. The
// function it returns waits, and gives what [Bus.Publish] gives; it must be called,
// once. ctx is for both.
func (b *Bus) Send(ctx context.Context, msg *nats.Msg) (wait func() (seq uint64, dup bool, err error)) {
	ack, err := b.send(ctx, msg)
	return func() (uint64, bool, error) {
		if err == nil {
			var a pubAck
			if a, err = ack(); err == nil {
				return a.Seq, a.Duplicate, nil
			}
		}
		return 0, false, fmt.Errorf("publish on %s: %w", msg.Subject, err)
	}
}

func (b *Bus) send(ctx context.Context, msg *nats.Msg) (func() (pubAck, error), error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, apiTimeout)
	watched, done := b.denials.watch(limited, msg.Subject)
	// Sent again by itself, it would come after what was sent later.
	future, err := b.JS.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0), jetstream.WithStallWait(apiTimeout))
	if err != nil {
		done()
		cancel()
		return nil, unsentError(err)
	}
	return func() (pubAck, error) {
		defer cancel()
		defer done()
		select {
		case a := <-future.Ok():
			return pubAck{Stream: a.Stream, Seq: a.Sequence, Duplicate: a.Duplicate}, nil
		case err := <-future.Err():
			return pubAck{}, answerError(err)
		case <-watched.Done():
			if cause := context.Cause(watched); errors.Is(cause, ErrDenied) {
				return pubAck{}, cause
			}
			return pubAck{}, fmt.Errorf("%w: %w: %w", ErrUnknownOutcome, errNoAnswer, context.Cause(watched))
		}
	}, nil
}

// unsentError says in our terms why a message was not sent.
func unsentError(err error) error {
	switch {
	case unreachable(err), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, jetstream.ErrTooManyStalledMsgs):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, nats.ErrInvalidMsg), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrBadHeaderMsg):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// answerError says in our terms what the client library made of an answer.
func answerError(err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return &apiError{Code: api.Code, ErrCode: int(api.ErrorCode), Description: api.Description}
	}
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("%w: %w", ErrUnavailable, nats.ErrNoResponders)
	default: // no answer in time, none before the connection broke, or an unreadable one
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
}
