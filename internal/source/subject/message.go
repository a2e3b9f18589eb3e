package subject

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/source"
)

// message is one message, from a subscription or from a stream.
type message struct {
	subject string
	header  nats.Header
	data    []byte
	// id and at are the event's to be: empty and zero for a message of a subscription,
	// which nothing tells from another.
	id string
	at time.Time
}

// fromStream reads a message of a stream. It always gives the same id.
func fromStream(m jetstream.Msg) (message, error) {
	meta, err := m.Metadata()
	if err != nil {
		return message{}, fmt.Errorf("read where the message is stored: %w", err)
	}
	return message{
		subject: m.Subject(), header: m.Headers(), data: m.Data(), at: meta.Timestamp.UTC(),
		id: fmt.Sprintf("%s:%d:%d", meta.Stream, meta.Sequence.Stream, meta.Timestamp.UnixMilli()),
	}, nil
}

// event makes an event of a message.
func (s *subject) event(name string, m message) (events.Event, error) {
	if s.Content == contentCloudEvents {
		return bus.DecodeEvent(m.header, m.data)
	}
	var payload any
	if s.Content == contentJSON {
		if !utf8.Valid(m.data) || !json.Valid(m.data) {
			return events.Event{}, errors.New("the message is not JSON")
		}
		payload = json.RawMessage(m.data)
	}
	e, err := events.New(source.Of(name), s.Type, payload)
	if err != nil {
		return events.Event{}, err
	}
	if s.Content == contentText {
		e.DataEncoded, e.DataBase64 = m.data, !utf8.Valid(m.data)
		e.SetDataContentType("text/plain")
		if e.DataBase64 {
			e.SetDataContentType("application/octet-stream")
		}
	}
	e.SetSubject(m.subject)
	if m.id != "" {
		e.SetID(m.id)
		e.SetTime(m.at)
	}
	return e, nil
}
