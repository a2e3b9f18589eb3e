package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/outbound"
)

// headerID carries the message's id, so that a target can tell a repetition.
const headerID = "Idempotency-Key"

// body says what is sent.
type body string

const (
	bodyJSON  body = "json"
	bodySlack body = "slack"
	bodyText  body = "text"
)

type webhook struct {
	target    string
	to        outbound.Address
	tokenFile string
	method    string
	headers   http.Header
	body      body
}

// payload is what is sent as JSON.
type payload struct {
	ID      string    `json:"id"`
	Target  string    `json:"target"`
	Rule    string    `json:"rule"`
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"`
	Event   *Event    `json:"event,omitempty"`
	At      time.Time `json:"at"`
}

// render gives the body and its type.
func (b body) render(m Message) (data []byte, contentType string, err error) {
	text := strings.TrimPrefix(m.Subject+"\n\n"+m.Text, "\n\n")
	switch b {
	case bodyText:
		return []byte(text), "text/plain; charset=utf-8", nil
	case bodySlack:
		if m.Subject != "" {
			text = m.Subject + "\n" + m.Text
		}
		// What comes from events must not address people or make links.
		text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
		data, err = json.Marshal(map[string]string{"text": text})
	default:
		data, err = json.Marshal(payload{m.ID, m.To, m.Rule, m.Subject, m.Text, m.Event, m.At})
	}
	return data, "application/json", err
}

func (w *webhook) send(ctx context.Context, via *wire, m Message) error {
	data, contentType, err := w.body.render(m)
	if err != nil {
		return outbound.Final(fmt.Errorf("make the request: %w", err))
	}
	header := w.headers.Clone()
	header.Set("Content-Type", contentType)
	header.Set(headerID, m.ID)
	_, err = via.client.Send(ctx, outbound.Request{
		Method: w.method, To: w.to, Header: header, Body: data, TokenFile: w.tokenFile, Config: File,
	})
	return err
}
