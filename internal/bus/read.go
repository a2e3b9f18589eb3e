package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Msg is a stored message. Header holds what its publisher set; what the server
// knows about it is in the fields.
type Msg struct {
	Subject string
	Header  nats.Header
	Data    []byte
	Seq     uint64
	Time    time.Time
}

// Last returns the last message of a stream on subject, as its leader knows it:
// never an older one. It fails with [ErrNotFound] if there is none.
func (b *Bus) Last(ctx context.Context, stream, subject string) (Msg, error) {
	m, err := b.read(ctx, stream, map[string]any{"last_by_subj": subject})
	if err != nil {
		return Msg{}, fmt.Errorf("read last message on %s: %w", subject, err)
	}
	return m, nil
}

// Get returns one message of a stream by its sequence, asking the leader. It
// fails with [ErrNotFound] if it never was, or is gone.
func (b *Bus) Get(ctx context.Context, stream string, seq uint64) (Msg, error) {
	m, err := b.read(ctx, stream, map[string]any{"seq": seq})
	if err != nil {
		return Msg{}, fmt.Errorf("read message %d of %s: %w", seq, stream, err)
	}
	return m, nil
}

// read asks the leader of a stream for one message.
func (b *Bus) read(ctx context.Context, stream string, query map[string]any) (Msg, error) {
	var resp struct {
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := b.ask(ctx, "$JS.API.STREAM.MSG.GET."+stream, query, &resp); err != nil {
		return Msg{}, err
	}
	if resp.Message == nil {
		return Msg{}, fmt.Errorf("%w: answer holds no message", ErrUnavailable)
	}
	m := Msg{
		Subject: resp.Message.Subject,
		Data:    resp.Message.Data,
		Seq:     resp.Message.Seq,
		Time:    resp.Message.Time,
	}
	if len(resp.Message.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(resp.Message.Header)
		if err != nil {
			return Msg{}, fmt.Errorf("decode headers of message %d: %w", m.Seq, err)
		}
		m.Header = h
	}
	return m, nil
}

// ask sends a request to the JetStream API and reads its answer into resp.
func (b *Bus) ask(ctx context.Context, subject string, query, resp any) error {
	body, err := json.Marshal(query)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	reply, err := b.request(ctx, &nats.Msg{Subject: subject, Data: body})
	switch {
	case errors.Is(err, errNoAnswer):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case err != nil:
		return err
	}
	return answer(reply, resp)
}

// answer reads what the API answered into resp, or as the error that it is.
func answer(reply *nats.Msg, resp any) error {
	var fault struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &fault); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if fault.Error != nil {
		return fault.Error
	}
	if err := json.Unmarshal(reply.Data, resp); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
