package events

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// Almost every event is plain: its attributes are printable ASCII without escapes,
// and its data, if it has any, is application/json. Such an event is read and
// written here in one pass; whatever else there is goes through the SDK, which
// passes over an event several times and takes five times as long.

// Marshal writes what [json.Marshal] writes of e.
func Marshal(e Event) ([]byte, error) {
	if data, ok := marshalPlain(e); ok {
		return data, nil
	}
	return json.Marshal(e)
}

// Unmarshal reads what [json.Unmarshal] reads, but for white space around the
// data. The event may keep parts of data. It is not checked.
func Unmarshal(data []byte) (Event, error) {
	if e, ok := unmarshalPlain(data); ok {
		return e, nil
	}
	var e Event
	err := json.Unmarshal(data, &e)
	return e, err
}

// marshalPlain writes e if it is plain.
func marshalPlain(e Event) ([]byte, bool) {
	c, ok := e.Context.(*event.EventContextV1)
	if !ok || e.DataBase64 || c.DataSchema != nil || e.DataEncoded != nil && !tidyJSON(e.DataEncoded) {
		return nil, false
	}
	w := writer{buf: make([]byte, 0, 256+len(e.DataEncoded)), plain: true}
	w.text(`{"specversion":"1.0","id":"`, c.ID)
	w.text(`,"source":"`, c.Source.String())
	w.text(`,"type":"`, c.Type)
	if c.Subject != nil {
		w.text(`,"subject":"`, *c.Subject)
	}
	if c.DataContentType != nil {
		w.text(`,"datacontenttype":"`, *c.DataContentType)
		w.plain = w.plain && *c.DataContentType == event.ApplicationJSON
	}
	if c.Time != nil {
		w.text(`,"time":"`, c.Time.String())
	}
	if e.DataEncoded != nil {
		w.buf = append(append(w.buf, `,"data":`...), e.DataEncoded...)
	}
	names := make([]string, 0, 8)
	for name := range c.Extensions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v, ok := c.Extensions[name].(string)
		w.plain = w.plain && ok && validName(name)
		w.text(`,"`+name+`":"`, v)
	}
	return append(w.buf, '}'), w.plain
}

// writer writes plain members.
type writer struct {
	buf   []byte
	plain bool // so far
}

// text writes a member: before goes up to the quote that opens its value.
func (w *writer) text(before, value string) {
	for i := range len(value) {
		w.plain = w.plain && plainByte(value[i])
	}
	w.buf = append(append(append(w.buf, before...), value...), '"')
}

// unmarshalPlain reads an event that is plain.
func unmarshalPlain(data []byte) (Event, bool) {
	s := scanner{data: data}
	c := &event.EventContextV1{}
	e := Event{Context: c}
	version := false
	ok := s.members(func(name, value []byte) bool {
		if string(name) == "data" {
			if e.DataEncoded != nil {
				return false
			}
			e.DataEncoded = value
			return true
		}
		text, ok := plainString(value)
		if !ok {
			return false
		}
		if string(name) == "specversion" {
			ok = !version && text == event.CloudEventsVersionV1
			version = true
			return ok
		}
		return setPlain(c, name, text)
	})
	return e, ok && version && c.ID != "" && c.Source != (types.URIRef{}) && c.Type != ""
}

// setPlain sets an attribute that is not set yet, and reports false if it is or
// cannot be.
func setPlain(c *event.EventContextV1, name []byte, text string) bool {
	switch string(name) {
	case "id":
		old := c.ID
		c.ID = text
		return old == ""
	case "type":
		old := c.Type
		c.Type = text
		return old == ""
	case "source":
		source := types.ParseURIRef(text)
		if source == nil || c.Source != (types.URIRef{}) {
			return false
		}
		c.Source = *source
	case "subject":
		old := c.Subject
		c.Subject = &text
		return old == nil
	case "datacontenttype":
		old := c.DataContentType
		c.DataContentType = &text
		return old == nil && text == event.ApplicationJSON
	case "time":
		at, err := types.ParseTimestamp(text)
		if err != nil || c.Time != nil {
			return false
		}
		c.Time = at
	case "dataschema":
		return false
	default:
		if _, twice := c.Extensions[string(name)]; twice || !validName(string(name)) {
			return false
		}
		return c.SetExtension(string(name), text) == nil
	}
	return true
}

// plainString returns the text of a JSON string, if it is plain and more than space.
func plainString(value []byte) (string, bool) {
	if len(value) < 3 || value[0] != '"' {
		return "", false
	}
	value = value[1 : len(value)-1]
	for _, c := range value {
		if !plainByte(c) {
			return "", false
		}
	}
	text := string(value)
	return text, strings.TrimSpace(text) != ""
}

// plainByte reports whether a byte stands for itself in JSON, also where HTML is
// escaped, and is printable ASCII.
func plainByte(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}
