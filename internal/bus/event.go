package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
)

const (
	headerContentType = "Content-Type"
	headerCEPrefix    = "ce-"
	headerSpecVersion = "ce-specversion"

	// publishWindow is how long an event is offered again while the bus is
	// away: longer than a cluster takes to find a new leader.
	publishWindow  = 30 * time.Second
	publishAttempt = 5 * time.Second
)

// PubAck says where an event is stored.
type PubAck struct {
	Seq       uint64 // in EVENTS
	Duplicate bool   // an event of the same source and id was stored before, as Seq
}

// PublishEvent stores an event of a class and returns once it is durable. While
// the bus does not answer it tries again, for up to 30 seconds; that is safe,
// an event is told by its source and id. If only the answer to an earlier
// attempt was lost, the acknowledgement says Duplicate.
//
// It fails with [ErrFull], [ErrTooLarge], [ErrDenied], [ErrUnavailable] or
// [ErrUnknownOutcome]; after the last the event may be stored.
func (b *Bus) PublishEvent(ctx context.Context, class string, e event.Event) (PubAck, error) {
	return b.PublishEventAs(ctx, class, e, "")
}

// PublishEventAs is [Bus.PublishEvent] for an event that may come again under another
// id: it is stored before if one of its source and type with the same key was, within
// the two minutes that the server remembers. An empty key means source and id.
func (b *Bus) PublishEventAs(ctx context.Context, class string, e event.Event, same string) (PubAck, error) {
	o, err := newOffer(class, e, same)
	if err != nil {
		return PubAck{}, err
	}
	return b.repeat(ctx, o)
}

// offer is an event on its way to the bus. What its sender is told in the end
// depends on all attempts to store it.
type offer struct {
	msg       *nats.Msg
	event     event.Event
	until     time.Time
	attempts  int
	uncertain bool // an attempt without an answer may have stored it
}

func newOffer(class string, e event.Event, same string) (*offer, error) {
	msg, err := EncodeEvent(EventSubject(class, e.Type()), e)
	if err != nil {
		return nil, fmt.Errorf("publish event: %w", err)
	}
	if same != "" {
		msg.Header.Set(headerMsgID, sameID(e, same))
	}
	return &offer{msg: msg, event: e, until: time.Now().Add(publishWindow)}, nil
}

// failed counts an attempt that ended with err, and reports whether another may
// help.
func (o *offer) failed(err error) bool {
	o.attempts++
	unknown := errors.Is(err, ErrUnknownOutcome)
	o.uncertain = o.uncertain || unknown
	return (unknown || errors.Is(err, ErrUnavailable)) && time.Now().Before(o.until)
}

// outcome is what the sender is told when err was the end of the last attempt.
func (o *offer) outcome(err error) error {
	if o.uncertain && !errors.Is(err, ErrUnknownOutcome) {
		err = fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return fmt.Errorf("publish event %s of %s: %w", o.event.ID(), o.event.Source(), err)
}

// try publishes o once.
func (b *Bus) try(ctx context.Context, o *offer) (ack PubAck, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishAttempt)
	defer cancel()
	got, err := b.publish(ctx, o.msg)
	if err != nil {
		return PubAck{}, o.failed(err), err
	}
	return PubAck{Seq: got.Seq, Duplicate: got.Duplicate}, false, nil
}

// repeat publishes o until it is stored or there is no use in trying again.
func (b *Bus) repeat(ctx context.Context, o *offer) (PubAck, error) {
	for {
		ack, again, err := b.try(ctx, o)
		if err == nil {
			return ack, nil
		}
		if !again || !pause(ctx, o.attempts) {
			return PubAck{}, o.outcome(err)
		}
	}
}

// EncodeEvent makes the message that stores e on subject: structured JSON, with
// a message id made of the event's source and id.
func EncodeEvent(subject string, e event.Event) (*nats.Msg, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	data, err := events.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID(), err)
	}
	if len(data) > MaxEventSize {
		return nil, fmt.Errorf("encode event %s: %w: %d bytes, at most %d", e.ID(), ErrTooLarge, len(data), MaxEventSize)
	}
	// No ce- headers: with one, other readers take the body for plain data.
	h := nats.Header{headerContentType: {event.ApplicationCloudEventsJSON}, headerMsgID: {eventID(subject, e)}}
	return &nats.Msg{Subject: subject, Header: h, Data: data}, nil
}

// eventID is what makes two events the same: source and id. A hash, because
// both may hold what a header must not. Those of what only jet-bus may store are apart:
// many can be foreseen, and an event from outside with the source and id of one would
// have the server take that for a duplicate.
func eventID(subject string, e event.Event) string {
	sum := sha256.Sum256([]byte(e.Source() + "\x00" + e.ID()))
	id := hex.EncodeToString(sum[:16])
	if strings.HasPrefix(subject, prefixEvents) && !strings.HasPrefix(subject, prefixEvents+ClassExternal+".") {
		id = "own-" + id
	}
	return id
}

// sameID is what makes two events the same that have ids of their own.
func sameID(e event.Event, same string) string {
	sum := sha256.Sum256([]byte(e.Source() + "\x00" + e.Type() + "\x00" + same))
	return "same-" + hex.EncodeToString(sum[:16])
}

// DecodeEvent reads an event in either mode of the CloudEvents binding for NATS:
// structured, where the body is the event as JSON, or binary, where the headers
// ce-* hold its attributes and the body is its data. A message without the header
// ce-specversion is structured whatever its content type: that is how events were
// sent before NATS had headers, and what a plain client sends. The event is valid
// when there is no error.
func DecodeEvent(h nats.Header, data []byte) (event.Event, error) {
	var e event.Event
	var err error
	contentType := headerValue(h, headerContentType)
	media := contentType
	if media != event.ApplicationCloudEventsJSON {
		if media, _, err = mime.ParseMediaType(contentType); err != nil {
			media = strings.ToLower(contentType)
		}
	}
	switch {
	case media == event.ApplicationCloudEventsJSON, media == "application/cloudevents":
		if e, err = events.Unmarshal(data); err != nil {
			return event.Event{}, fmt.Errorf("decode structured event: %w", err)
		}
	case strings.HasPrefix(media, "application/cloudevents"):
		return event.Event{}, fmt.Errorf("decode event: content type %s is not supported", media)
	case headerValue(h, headerSpecVersion) == "":
		if e, err = events.Parse(data); err != nil {
			return event.Event{}, fmt.Errorf("decode structured event, as there is no header %s: %w", headerSpecVersion, err)
		}
	default:
		if e, err = decodeBinary(h, contentType, data); err == nil {
			err = events.Check(e) // ours are structured; this one is from outside
		}
		if err != nil {
			return event.Event{}, fmt.Errorf("decode binary event: %w", err)
		}
	}
	if err := e.Validate(); err != nil {
		return event.Event{}, fmt.Errorf("decode event: %w", err)
	}
	return e, nil
}

// decodeBinary reads an event from its headers.
func decodeBinary(h nats.Header, contentType string, data []byte) (event.Event, error) {
	attrs := make(map[string]string)
	for key, values := range h {
		name, ok := strings.CutPrefix(strings.ToLower(key), headerCEPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		v, err := events.HeaderText(values[0])
		if err != nil {
			return event.Event{}, fmt.Errorf("header %s: %w", key, err)
		}
		if _, twice := attrs[name]; twice {
			return event.Event{}, fmt.Errorf("attribute %s is given twice", name)
		}
		attrs[name] = v
	}
	if v := attrs["specversion"]; v != event.CloudEventsVersionV1 {
		return event.Event{}, fmt.Errorf("specversion is %q, want %s", v, event.CloudEventsVersionV1)
	}
	delete(attrs, "specversion")
	e := event.New()
	for name, v := range attrs {
		if err := setAttribute(&e, name, v); err != nil {
			return event.Event{}, fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	if _, given := attrs["datacontenttype"]; !given && contentType != "" {
		if err := e.Context.SetDataContentType(contentType); err != nil {
			return event.Event{}, fmt.Errorf("content type: %w", err)
		}
	}
	if len(data) > 0 {
		e.DataEncoded = data
		e.DataBase64 = !utf8.Valid(data)
	}
	return e, nil
}

func setAttribute(e *event.Event, name, v string) error {
	switch name {
	case "id":
		return e.Context.SetID(v)
	case "source":
		return e.Context.SetSource(v)
	case "type":
		return e.Context.SetType(v)
	case "subject":
		return e.Context.SetSubject(v)
	case "dataschema":
		return e.Context.SetDataSchema(v)
	case "datacontenttype":
		return e.Context.SetDataContentType(v)
	case "time":
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return err
		}
		return e.Context.SetTime(t)
	}
	return e.Context.SetExtension(name, v)
}

// headerValue finds a header whatever the case its sender wrote it in.
func headerValue(h nats.Header, name string) string {
	if v := h.Get(name); v != "" {
		return v
	}
	for key, values := range h {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
