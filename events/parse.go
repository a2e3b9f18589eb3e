package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
)

// maxName is the length limit of an extension attribute's name. CloudEvents
// recommends 20; senders in the field go beyond that.
const maxName = 64

// Parse reads exactly one event in structured JSON and checks it. Attributes
// that CloudEvents does not define are extensions. The caller bounds the size
// of data. Errors wrap [ErrMalformed].
func Parse(data []byte) (Event, error) {
	e, err := parse(data)
	if err != nil {
		return Event{}, malformed(err)
	}
	return e, nil
}

func parse(data []byte) (Event, error) {
	if e, ok := unmarshalPlain(data); ok && utf8.Valid(e.DataEncoded) {
		return e, checkAttributes(e) // its data has just been found to be JSON
	}
	members, err := readMembers(data)
	if err != nil {
		return Event{}, err
	}
	// The SDK takes data of any +json type for a string, CloudEvents takes it for
	// JSON: keep such data away from the SDK.
	var contentType string
	_ = json.Unmarshal(members["datacontenttype"], &contentType) // the SDK reports a fault here
	payload, wrapped := members["data"]
	wrapped = wrapped && dataEncoding(contentType) == wrappedJSON
	if wrapped {
		delete(members, "data")
		if data, err = json.Marshal(members); err != nil {
			return Event{}, fmt.Errorf("encoding the attributes: %w", err)
		}
	}
	if _, base64 := members["data_base64"]; base64 {
		// The SDK takes a space before this text for a part of it.
		if data, err = json.Marshal(members); err != nil {
			return Event{}, fmt.Errorf("encoding the event: %w", err)
		}
	}
	var e Event
	if err := json.Unmarshal(data, &e); err != nil {
		return Event{}, err
	}
	if wrapped {
		e.DataEncoded, e.DataBase64 = payload, true
	}
	if schema := members["dataschema"]; len(schema) > 0 && schema[0] == '"' && e.DataSchema() == "" {
		return Event{}, fmt.Errorf("attribute dataschema is %.40s, which is no URI", schema) // the SDK would drop it
	}
	if err := Check(e); err != nil {
		return Event{}, err
	}
	return e, nil
}

// readMembers reads the members of an event's JSON object. It refuses what the
// SDK's reader would silently skip, merge or round: text after the event,
// members given twice, names that are not lower-case letters and digits (an
// empty name ends its reading), and numbers that are not 32-bit integers.
func readMembers(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("event is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("event is not a JSON object")
	}
	members := make(map[string]json.RawMessage)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("reading the event: %w", err)
		}
		name, _ := t.(string)
		if !validName(name) && name != "data_base64" {
			return nil, fmt.Errorf("attribute name %q is not made of lower-case letters and digits", name)
		}
		if _, ok := members[name]; ok {
			return nil, fmt.Errorf("attribute %s is given twice", name)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading attribute %s: %w", name, err)
		}
		if name != "data" && !validNumber(value) {
			return nil, fmt.Errorf("attribute %s is a number, but not a 32-bit integer", name)
		}
		if name != "data" && (value[0] == '{' || value[0] == '[') {
			return nil, fmt.Errorf("attribute %s must be text, a number, true or false", name)
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the event")
	}
	// The SDK's reader would tell of these in terms of its own insides.
	for _, name := range []string{"specversion", "id", "source", "type"} {
		value, ok := members[name]
		if !ok {
			return nil, fmt.Errorf("attribute %s is missing", name)
		}
		if value[0] != '"' {
			return nil, fmt.Errorf("attribute %s must be text, not %.40s", name, value)
		}
	}
	for _, name := range []string{"subject", "time", "datacontenttype", "dataschema"} {
		if value, ok := members[name]; ok && value[0] != '"' && value[0] != 'n' {
			return nil, fmt.Errorf("attribute %s must be text, not %.40s", name, value)
		}
	}
	_, plain := members["data"]
	if _, base64 := members["data_base64"]; plain && base64 {
		return nil, errors.New("event has both data and data_base64")
	}
	return members, nil
}

// validName reports whether name can be that of a CloudEvents attribute.
func validName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// validNumber is true for what is no number, and for CloudEvents' Integer.
func validNumber(value json.RawMessage) bool {
	if len(value) == 0 || (value[0] != '-' && (value[0] < '0' || value[0] > '9')) {
		return true
	}
	_, err := strconv.ParseInt(string(value), 10, 32)
	return err == nil
}

// encoding is how the SDK writes data of some datacontenttype into JSON.
type encoding int

const (
	plainJSON   encoding = iota // JSON, written as it is
	wrappedJSON                 // JSON, but written as a string or as base64
	plainText                   // anything else: text, or base64
)

// dataEncoding tells how data of a datacontenttype is handled. CloudEvents
// takes an absent one as application/json.
func dataEncoding(contentType string) encoding {
	if contentType == "" || contentType == event.ApplicationJSON {
		return plainJSON
	}
	mt, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return plainText
	case mt == event.ApplicationJSON, mt == event.TextJSON, mt == MediaType, mt == MediaTypeBatch:
		return plainJSON
	case strings.HasSuffix(mt, "+json"):
		return wrappedJSON
	default:
		return plainText
	}
}
