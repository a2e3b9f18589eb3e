package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
)

// Event is a CloudEvent. It is the SDK's type, so that its codecs and other
// CloudEvents libraries work with it unchanged.
type Event = event.Event

// Media types of CloudEvents in JSON: one event, and a batch of events.
const (
	MediaType      = event.ApplicationCloudEventsJSON
	MediaTypeBatch = event.ApplicationCloudEventsBatchJSON
)

// New returns an event with a random id, the present time in UTC, and data as
// its JSON payload. A nil data gives an event without payload; a
// [json.RawMessage] is taken as it is.
func New(source, typ string, data any) (Event, error) {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(uuid.NewString())
	e.SetSource(source)
	e.SetType(typ)
	e.SetTime(time.Now().UTC())
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			return Event{}, fmt.Errorf("encoding the data of event %s: %w", typ, err)
		}
		e.SetDataContentType(event.ApplicationJSON)
		e.DataEncoded = raw
	}
	if err := Check(e); err != nil {
		return Event{}, fmt.Errorf("making event %s: %w", typ, err)
	}
	return e, nil
}

// Check reports what keeps e from being a CloudEvent 1.0 that survives being
// written as JSON: a missing attribute, another specversion, text that is not
// UTF-8, an attribute with control characters (they would reach terminals), or
// data that is declared as JSON and is not. (Data of types such as
// application/problem+json is to be marked as base64: the SDK would write it as
// a string otherwise.)
func Check(e Event) error {
	if err := checkAttributes(e); err != nil {
		return err
	}
	if e.Data() == nil {
		return nil
	}
	switch enc := dataEncoding(e.DataContentType()); {
	case enc != plainText && (!e.DataBase64 || e.DataContentType() != "") && !json.Valid(e.Data()):
		return fmt.Errorf("data is not valid JSON, which datacontenttype %q promises", e.DataContentType())
	case !e.DataBase64 && !utf8.Valid(e.Data()):
		return errors.New("data is neither marked as base64 nor valid UTF-8")
	case enc == wrappedJSON && !e.DataBase64:
		return fmt.Errorf("data of type %q must be marked as base64", e.DataContentType())
	}
	return nil
}

// checkAttributes is the part of [Check] that is not about the data.
func checkAttributes(e Event) error {
	if e.Context == nil {
		return errors.New("event has no attributes")
	}
	if v := e.SpecVersion(); v != event.CloudEventsVersionV1 {
		return fmt.Errorf("specversion is %q, only %q is supported", v, event.CloudEventsVersionV1)
	}
	if err := e.Validate(); err != nil {
		// The SDK puts each fault on a line of its own, in random order.
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
		slices.Sort(lines)
		return errors.New(strings.Join(lines, "; "))
	}
	for _, a := range [...]struct{ name, text string }{
		{"id", e.ID()},
		{"source", e.Source()},
		{"type", e.Type()},
		{"subject", e.Subject()},
		{"datacontenttype", e.DataContentType()},
		{"dataschema", e.DataSchema()},
	} {
		if err := checkText(a.name, a.text); err != nil {
			return err
		}
	}
	for name, v := range e.Extensions() {
		text, _ := v.(string)
		if err := checkText(name, text); err != nil {
			return err
		}
	}
	return nil
}

// checkText reports what keeps text from being an attribute's.
func checkText(name, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("attribute %s is not valid UTF-8", name)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("attribute %s has a control character", name)
	}
	return nil
}

// Depth returns how many rules in a row caused e, as [ExtDepth] says; 0 if none did,
// or if the attribute is no such number.
func Depth(e Event) int {
	n, err := strconv.Atoi(Extension(e, ExtDepth))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// Extension returns the extension attribute called name as text, or "" if the
// event has none.
func Extension(e Event, name string) string {
	v, ok := e.Extensions()[name]
	if !ok {
		return ""
	}
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}
