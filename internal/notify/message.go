package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	// maxSubject is in characters, maxText in bytes: more is cut off.
	maxSubject = 200
	maxText    = 16 << 10
	// maxID bounds what else a message says, each, in bytes.
	maxID = 512
)

// Message is what people are to be told.
type Message struct {
	// ID is the same whenever the same thing is to be told: printable ASCII without
	// spaces, at most 512 bytes. Targets get it to recognise a repetition.
	ID string `json:"id"`
	// To names the target.
	To string `json:"to"`
	// Subject is a line of text, empty if there is none; Text may have several.
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
	// Rule is the rule that says it, and Event what it was about, nil if the rule
	// fired without an event.
	Rule  string `json:"rule"`
	Event *Event `json:"event,omitempty"`
	// Correlation is the id that all events of the chain share; Depth counts the
	// rules in a row that led here. Both are for the event of a message given up.
	Correlation string `json:"correlation,omitempty"`
	Depth       int    `json:"depth,omitempty"`
	// At is when the rule fired.
	At time.Time `json:"at"`
}

// Event says which event a message is about.
type Event struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Type    string `json:"type"`
	Subject string `json:"subject,omitempty"`
}

// Store stores a message and returns once it is durable. A message that was stored
// within the last two minutes, and was told by its ID, is not stored again. It
// fails as [bus.Bus.Publish] does; a message that is stored twice is sent twice.
func Store(ctx context.Context, b *bus.Bus, m Message) error {
	msg, err := encode(m)
	if err != nil {
		return err
	}
	if _, _, err := b.Publish(ctx, msg); err != nil {
		return fmt.Errorf("store notification %s: %w", m.ID, err)
	}
	return nil
}

// Send is [Store] that does not wait: the function it returns does, as that of
// [bus.Bus.Send], and must be called once.
func Send(ctx context.Context, b *bus.Bus, m Message) (wait func() error) {
	msg, err := encode(m)
	if err != nil {
		return func() error { return err }
	}
	stored := b.Send(ctx, msg)
	return func() error {
		if _, _, err := stored(); err != nil {
			return fmt.Errorf("store notification %s: %w", m.ID, err)
		}
		return nil
	}
}

// encode makes the message that is stored.
func encode(m Message) (*nats.Msg, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("store notification: %w", err)
	}
	m.Subject, m.Text, m.At = line(m.Subject), plain(m.Text), m.At.UTC()
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode notification %s: %w", m.ID, err)
	}
	return &nats.Msg{
		Subject: bus.NotifySubject(m.To), Data: data,
		Header: nats.Header{jetstream.MsgIDHeader: {bus.Token(m.ID)}},
	}, nil
}

func decode(data []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("decode notification: %w", err)
	}
	return m, m.check()
}

func (m Message) check() error {
	switch {
	case m.ID == "", strings.ContainsFunc(m.ID, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("its id %q is not printable ASCII without spaces", m.ID)
	case strictyaml.CheckName("target", m.To) != nil:
		return fmt.Errorf("%q is no name of a target", m.To)
	}
	for _, s := range []string{m.ID, m.Rule, m.Correlation} {
		if len(s) > maxID {
			return errors.New("its id, rule or correlation is too long")
		}
	}
	return nil
}

// line makes one line of text, not too long.
func line(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if utf8.RuneCountInString(s) > maxSubject {
		s = string([]rune(s)[:maxSubject-1]) + "…"
	}
	return s
}

// plain makes text of lines, without other control characters, not too long.
func plain(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "\n[cut off]"
}
