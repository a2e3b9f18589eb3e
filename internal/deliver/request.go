package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/outbound"
)

const (
	// maxBatch and maxBatchBytes bound a batch.
	maxBatch, maxBatchBytes = 100, 1 << 20
	contentType             = "Content-Type"
)

// send makes one attempt to deliver events: one, but for a batch. The error is as that
// of [outbound.Client.Send].
func (s *subscription) send(ctx context.Context, c *outbound.Client, list []events.Event) (code int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %s", s.timeout))
	defer cancel()
	r := outbound.Request{
		Method: http.MethodPost, To: s.to, Header: s.headers.Clone(), TokenFile: s.tokenFile, Config: File,
	}
	if r.Body, err = s.mode.encode(r.Header, list); err != nil {
		return 0, outbound.Final(fmt.Errorf("make the request: %w", err))
	}
	r.Header.Set(headerID, messageID(s.name, list))
	if s.signingFile != "" {
		keys, err := readKeys(s.signingFile)
		if err != nil {
			return 0, err
		}
		sign(r.Header, keys, time.Now(), r.Body)
	}
	return c.Send(ctx, r)
}

// messageID is the same whenever the same events are sent to the same subscription.
func messageID(subscription string, list []events.Event) string {
	h := sha256.New()
	add := func(s string) { _, _ = fmt.Fprintf(h, "%d:%s", len(s), s) }
	add(subscription)
	for _, e := range list {
		add(e.Source())
		add(e.ID())
	}
	return "msg_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// encode makes the body, and sets what headers say of it.
func (m mode) encode(h http.Header, list []events.Event) ([]byte, error) {
	if m == batch {
		h.Set(contentType, events.MediaTypeBatch)
		return encodeBatch(list)
	}
	if len(list) != 1 {
		return nil, errors.New("not one event")
	}
	if m == binary {
		return encodeBinary(h, list[0])
	}
	h.Set(contentType, events.MediaType)
	return events.Marshal(list[0])
}

func encodeBatch(list []events.Event) ([]byte, error) {
	body := []byte{'['}
	for i, e := range list {
		data, err := events.Marshal(e)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, data...)
	}
	return append(body, ']'), nil
}

// encodeBinary sets the attributes as headers. The SDK's own writer leaves their values
// as they are; by the specification, what is not printable ASCII is percent-encoded.
func encodeBinary(h http.Header, e events.Event) ([]byte, error) {
	set := func(name, value string) {
		if value != "" {
			h.Set("ce-"+name, percentEncode(value))
		}
	}
	set("specversion", e.SpecVersion())
	set("id", e.ID())
	set("source", e.Source())
	set("type", e.Type())
	set("subject", e.Subject())
	set("dataschema", e.DataSchema())
	if t := e.Time(); !t.IsZero() {
		set("time", types.FormatTime(t))
	}
	for name, v := range e.Extensions() {
		text, err := types.Format(v)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		set(name, text)
	}
	if ct := e.DataContentType(); strings.ContainsFunc(ct, unicode.IsControl) {
		return nil, errors.New("its datacontenttype has a control character, which no header can have")
	} else if ct != "" {
		h.Set(contentType, ct)
	} else if len(e.Data()) > 0 {
		h.Set(contentType, "application/json") // what data without a type is
	}
	return e.Data(), nil
}

// percentEncode encodes a header value as the HTTP binding of CloudEvents wants it:
// spaces, double quotes, percent signs, and all that is not printable ASCII.
func percentEncode(s string) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '"' && c != '%' {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}
