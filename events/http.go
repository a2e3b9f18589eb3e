package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// What can be wrong with an event from outside. [Parse] and [FromRequest]
// return errors that wrap one of these, or the error of reading the body.
var (
	// ErrMalformed is a body, a header or an attribute that CloudEvents forbids.
	ErrMalformed = errors.New("malformed event")
	// ErrTooLarge is a body beyond the limit given.
	ErrTooLarge = errors.New("body too large")
	// ErrMediaType is a request that carries no CloudEvent in a known format.
	ErrMediaType = errors.New("unsupported media type")
)

func malformed(err error) error { return fmt.Errorf("%w: %w", ErrMalformed, err) }

// FromRequest reads the events of an HTTP request: one in structured or binary
// mode, any number (also none) in a JSON batch. It reads at most limit bytes of
// body and answers [ErrTooLarge] if there are more; events are all read or none.
// The body is not closed.
func FromRequest(r *http.Request, limit int64) ([]Event, error) {
	if _, err := requestMode(r.Header); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the request body: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return FromBody(r, body)
}

// FromBody is [FromRequest] for a request whose body has been read. The events may
// keep parts of body.
func FromBody(r *http.Request, body []byte) ([]Event, error) {
	mode, err := requestMode(r.Header)
	if err != nil {
		return nil, err
	}
	if mode == modeBatch {
		return parseBatch(body)
	}
	var e Event
	if mode == modeStructured {
		e, err = Parse(body)
	} else {
		e, err = parseBinary(r, body)
	}
	if err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

type mode int

const (
	modeBinary mode = iota
	modeStructured
	modeBatch
)

// requestMode tells the content mode of a request by its headers.
func requestMode(h http.Header) (mode, error) {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return 0, fmt.Errorf("%w: content encoding %q", ErrMediaType, enc)
	}
	contentType := h.Get("Content-Type")
	if contentType == MediaType {
		return modeStructured, nil
	}
	mt, params, err := mime.ParseMediaType(contentType)
	if contentType != "" && err != nil {
		return 0, fmt.Errorf("%w: content type %q: %w", ErrMediaType, contentType, err)
	}
	if strings.HasPrefix(mt, "application/cloudevents") {
		if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
			return 0, fmt.Errorf("%w: charset %q, only utf-8 is supported", ErrMediaType, c)
		}
		switch mt {
		case MediaType:
			return modeStructured, nil
		case MediaTypeBatch:
			return modeBatch, nil
		}
		return 0, fmt.Errorf("%w: %q, only JSON is supported", ErrMediaType, mt)
	}
	if h.Get("Ce-Specversion") != "" {
		return modeBinary, nil
	}
	return 0, fmt.Errorf("%w: content type %q is none of CloudEvents and there is no ce-specversion header",
		ErrMediaType, contentType)
}

// parseBinary reads the attributes from the headers and takes body as the data.
func parseBinary(r *http.Request, body []byte) (Event, error) {
	if v := r.Header.Get("Ce-Specversion"); v != event.CloudEventsVersionV1 {
		return Event{}, malformed(fmt.Errorf("specversion is %q, only %q is supported", v, event.CloudEventsVersionV1))
	}
	msg := r.Clone(r.Context())
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		attr, ok := strings.CutPrefix(lower, "ce-")
		if !ok {
			continue
		}
		if len(values) > 1 {
			return Event{}, malformed(fmt.Errorf("header %s is given twice", lower))
		}
		if !validName(attr) {
			return Event{}, malformed(fmt.Errorf("attribute name %q is not made of lower-case letters and digits", attr))
		}
		text, err := HeaderText(values[0])
		if err != nil {
			return Event{}, malformed(fmt.Errorf("header %s: %w", lower, err))
		}
		msg.Header[name] = []string{text} // which the SDK takes as it is
	}
	msg.Body = io.NopCloser(bytes.NewReader(body))
	e, err := cehttp.NewEventFromHTTPRequest(msg)
	if err != nil {
		return Event{}, malformed(err)
	}
	if len(body) == 0 {
		// An empty payload would be written as "data": followed by nothing.
		e.DataEncoded = nil
	}
	enc := dataEncoding(e.DataContentType())
	e.DataBase64 = enc == wrappedJSON || enc == plainText && !utf8.Valid(body)
	if err := Check(*e); err != nil {
		return Event{}, malformed(err)
	}
	return *e, nil
}

// parseBatch reads a JSON array of events.
func parseBatch(body []byte) ([]Event, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, malformed(fmt.Errorf("reading the batch: %w", err))
	}
	if raw == nil {
		return nil, malformed(errors.New("batch is null, not an array"))
	}
	events := make([]Event, 0, len(raw))
	for i, one := range raw {
		e, err := Parse(one)
		if err != nil {
			return nil, fmt.Errorf("reading event %d of the batch: %w", i+1, err)
		}
		events = append(events, e)
	}
	return events, nil
}
