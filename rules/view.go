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

	raw     *events.Event // nil when Ext and Data are made
	hasData bool
	dataErr error
}

// attributes are the names that may follow "event.".
const attributes = "id, source, type, subject, time, dataschema, datacontenttype, ext, data"

func newView(e events.Event) *view {
	return &view{
		ID:              e.ID(),
		Source:          e.Source(),
		Type:            e.Type(),
		Subject:         e.Subject(),
		Time:            e.Time().UTC(),
		DataSchema:      e.DataSchema(),
		DataContentType: e.DataContentType(),
		raw:             &e,
	}
}

// open makes what takes work: most events are judged by less.
func (v *view) open() {
	if v.raw == nil {
		return
	}
	e := v.raw
	v.raw = nil
	extensions := e.Extensions()
	v.Ext = make(map[string]any, len(extensions))
	for name, x := range extensions {
		v.Ext[name] = extension(x)
	}
	v.Data, v.hasData, v.dataErr = payload(e)
}

// attribute returns the attribute called name and whether the event has it.
func (v *view) attribute(name string) (any, bool, error) {
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
		v.open()
		return v.Ext, true, nil
	case "data":
		v.open()
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

func payload(e *events.Event) (data any, ok bool, err error) {
	raw := e.Data()
	if len(raw) == 0 {
		return nil, false, nil
	}
	if !isJSON(e.DataContentType()) {
		return string(raw), true, nil
	}
	data, err = decodeJSON(raw)
	return data, true, err
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
