package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/jet-bus/jet-bus/events"
)

// view is an event as expressions see it. Its fields are typed so that the
// expressions can be checked at load; they read them by [view.attribute] alone,
// which makes what is not there yet. It is for one goroutine.
type view struct {
	ID              string         `expr:"id"`
	Source          string         `expr:"source"`
	Type            string         `expr:"type"`
	Subject         string         `expr:"subject"`
	Time            time.Time      `expr:"time"`
	DataSchema      string         `expr:"dataschema"`
	DataContentType string         `expr:"datacontenttype"`
	Ext             map[string]any `expr:"ext"`
	Data            any            `expr:"data"`

	raw *events.Event // nil for one that has all there is
	own events.Event  // what raw points to
	// named, extended and scanned tell what was made of raw; pages hold the data
	// until someone wants the whole of it.
	named, extended, scanned bool
	pages                    pages
	hasData                  bool
	dataErr                  error
}

// attributes are the names that may follow "event.".
const attributes = "id, source, type, subject, time, dataschema, datacontenttype, ext, data"

func newView(e events.Event) *view { return new(view).of(e) }

// of makes v the event; it keeps the room that was made for data.
func (v *view) of(e events.Event) *view {
	*v = view{own: e, pages: v.pages.again()}
	v.raw = &v.own
	return v
}

// settled returns a copy that has all there is, and stays as it is.
func (v *view) settled() *view {
	v.open()
	c := *v
	c.raw, c.own, c.pages = nil, events.Event{}, nil
	return &c
}

// open makes all there is; most events are judged by less.
func (v *view) open() {
	v.name()
	v.extend()
	v.whole()
}

// name makes the attributes that are not the extensions and the data.
func (v *view) name() {
	if v.raw == nil || v.named {
		return
	}
	e := v.raw
	v.named = true
	v.ID, v.Source, v.Type, v.Subject = e.ID(), e.Source(), e.Type(), e.Subject()
	v.Time, v.DataSchema, v.DataContentType = e.Time().UTC(), e.DataSchema(), e.DataContentType()
}

func (v *view) extend() {
	if v.raw == nil || v.extended {
		return
	}
	v.extended = true
	extensions := v.raw.Extensions()
	v.Ext = make(map[string]any, len(extensions))
	for name, x := range extensions {
		v.Ext[name] = extension(x)
	}
}

// scan reads the data, and makes values of it only where it is not the JSON that
// events mostly have.
func (v *view) scan() {
	if v.raw == nil || v.scanned {
		return
	}
	v.scanned = true
	raw := v.raw.Data()
	v.hasData = len(raw) > 0
	switch {
	case !v.hasData:
	case !isJSON(v.raw.DataContentType()):
		v.Data = string(raw)
	case !v.pages.read(raw):
		v.Data, v.dataErr = decodeJSON(raw)
	}
}

// whole makes the data as one value.
func (v *view) whole() {
	v.scan()
	if len(v.pages) > 0 {
		v.Data = v.pages.value(0)
	}
}

// attribute returns the attribute called name and whether the event has it.
func (v *view) attribute(name string) (any, bool, error) {
	if name != "data" && name != "ext" {
		v.name()
	}
	switch name {
	case "id":
		return v.ID, v.ID != "", nil
	case "source":
		return v.Source, v.Source != "", nil
	case "type":
		return v.Type, v.Type != "", nil
	case "subject":
		return v.Subject, v.Subject != "", nil
	case "time":
		return v.Time, !v.Time.IsZero(), nil
	case "dataschema":
		return v.DataSchema, v.DataSchema != "", nil
	case "datacontenttype":
		return v.DataContentType, v.DataContentType != "", nil
	case "ext":
		v.extend()
		return v.Ext, true, nil
	case "data":
		v.whole()
		return v.Data, v.hasData, v.dataErr
	default:
		return nil, false, nil
	}
}

// extension turns an extension value into one that expressions can compare:
// integers, booleans and text.
func extension(x any) any {
	switch x := x.(type) {
	case string, bool:
		return x
	case int32:
		return int64(x)
	}
	s, err := types.Format(x)
	if err != nil {
		return fmt.Sprint(x)
	}
	return s
}

// decodeJSON reads one JSON value, with numbers as [number64] has them.
func decodeJSON(raw []byte) (any, error) {
	if v, ok := plainJSON(raw); ok {
		return v, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, errors.New("event.data is not valid JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("event.data is more than one JSON value")
	}
	return numbers(v), nil
}

// isJSON tells whether a content type is JSON; none at all means JSON.
func isJSON(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// numbers replaces the numbers in a JSON value, in place where it can: int64
// when integral, so that they compare as written, else float64.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number64(string(v))
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// number64 is a number of JSON as expressions see it.
func number64(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s // beyond float64; only its text is exact
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}
