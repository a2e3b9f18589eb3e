package events_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
)

func TestNew(t *testing.T) {
	t.Parallel()
	e, err := events.New("/sensors/7", "dev.example.temperature", map[string]any{"celsius": 21})
	if err != nil {
		t.Fatal(err)
	}
	if e.ID() == "" || e.Source() != "/sensors/7" || e.Type() != "dev.example.temperature" {
		t.Errorf("attributes: %v", e)
	}
	if e.Time().Location() != time.UTC || time.Since(e.Time()) > time.Minute {
		t.Errorf("time %v is not the present in UTC", e.Time())
	}
	if got := string(e.Data()); got != `{"celsius":21}` || e.DataContentType() != "application/json" {
		t.Errorf("data %s of type %s", got, e.DataContentType())
	}
	other, err := events.New("/sensors/7", "dev.example.temperature", nil)
	if err != nil {
		t.Fatal(err)
	}
	if other.ID() == e.ID() {
		t.Error("two events have one id")
	}
	if other.Data() != nil || other.DataContentType() != "" {
		t.Errorf("nil data gave %q of type %q", other.Data(), other.DataContentType())
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		source, typ string
		data        any
		want        string
	}{
		"no source":       {"", "dev.example.x", nil, "source"},
		"no type":         {"/s", "", nil, "type"},
		"type not UTF-8":  {"/s", "a\xff", nil, "UTF-8"},
		"data not JSON":   {"/s", "dev.example.x", math.NaN(), "encoding the data"},
		"raw data broken": {"/s", "dev.example.x", json.RawMessage(`{"a"`), "encoding the data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := events.New(tc.source, tc.typ, tc.data)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one about %q", err, tc.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	e, err := events.Parse([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.example.x","subject":"a",
		"time":"2026-01-02T03:04:05Z","tag":"v1","level":7,"urgent":true,"gone":null,"data":{"a":[1,2]}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{e.ID(), e.Source(), e.Type(), e.Subject(), e.Time(), string(e.Data())}
	want := []any{"1", "/s", "dev.example.x", "a", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), `{"a":[1,2]}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, want := range map[string]string{"tag": "v1", "level": "7", "urgent": "true", "gone": "", "missing": ""} {
		if got := events.Extension(e, name); got != want {
			t.Errorf("extension %s is %q, want %q", name, got, want)
		}
	}
}

func TestParseData(t *testing.T) {
	t.Parallel()
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for name, tc := range map[string]struct{ in, want string }{
		"none":            {head + `}`, ""},
		"json by default": {head + `,"data":[1]}`, "[1]"},
		"type after data": {head + `,"data":{"a":1},"datacontenttype":"application/json; charset=utf-8"}`, `{"a":1}`},
		"text":            {head + `,"datacontenttype":"text/plain","data":"hé\n"}`, "hé\n"},
		"base64":          {head + `,"datacontenttype":"image/png","data_base64":"AP8="}`, "\x00\xff"},
		"json suffix":     {head + `,"data":{"a":1},"datacontenttype":"application/problem+json"}`, `{"a":1}`},
		"untyped base64":  {head + `,"data_base64":"AP8="}`, "\x00\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := events.Parse([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(e.Data()); got != tc.want {
				t.Errorf("data %q, want %q", got, tc.want)
			}
			out, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			again, err := events.Parse(out)
			if err != nil {
				t.Fatalf("reading %s: %v", out, err)
			}
			if got := string(again.Data()); got != tc.want {
				t.Errorf("data %q after a round trip, want %q", got, tc.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for name, tc := range map[string]struct{ in, want string }{
		"empty":            {"", "not a JSON object"},
		"array":            {"[]", "not a JSON object"},
		"cut off":          {head, "reading the event"},
		"two events":       {head + "}" + head + "}", "text after"},
		"no specversion":   {`{"id":"1","source":"/s","type":"t"}`, "specversion"},
		"old specversion":  {`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, "0.3"},
		"no id":            {`{"specversion":"1.0","source":"/s","type":"t"}`, "id is missing"},
		"no source":        {`{"specversion":"1.0","id":"1","type":"t"}`, "source is missing"},
		"no type":          {`{"specversion":"1.0","id":"1","source":"/s"}`, "type is missing"},
		"bad time":         {head + `,"time":"yesterday"}`, "time"},
		"bad schema":       {head + `,"dataschema":"%%"}`, "no URI"},
		"id twice":         {head + `,"id":"2"}`, "given twice"},
		"upper case":       {head + `,"Tag":"2"}`, "lower-case"},
		"underscore":       {head + `,"my_tag":"2"}`, "lower-case"},
		"empty name":       {head + `,"":"2","data":1}`, "lower-case"},
		"fraction":         {head + `,"level":1.5}`, "32-bit"},
		"large number":     {head + `,"level":4294967296}`, "32-bit"},
		"object extension": {head + `,"level":{"a":1}}`, "level must be text, a number"},
		"control":          {head + `,"tag":"\u001b[2J"}`, "control character"},
		"control, of data": {head + `,"datacontenttype":"text/plain; a=\"\u001b\"","data":"x"}`, "datacontenttype has a control character"},
		"data not UTF-8":   {head + `,"data":"` + "\xff" + `"}`, "UTF-8"},
		"both data":        {head + `,"data":1,"data_base64":"AA=="}`, "both"},
		"bad base64":       {head + `,"data_base64":"%"}`, "base64"},
		"not UTF-8":        {head + `,"subject":"` + "\xff" + `"}`, "UTF-8"},
		"text not string":  {head + `,"datacontenttype":"text/plain","data":{"a":1}}`, "string"},
		"id is a number":   {`{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, "id must be text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := events.Parse([]byte(tc.in))
			if !errors.Is(err, events.ErrMalformed) {
				t.Fatalf("error %v does not wrap ErrMalformed", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q is not about %q", err, tc.want)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, err := events.New("/"+rapid.StringMatching(`[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}`).Draw(t, "source"),
			rapid.StringMatching(`[a-z]{1,8}(\.[a-z]{1,8}){0,4}`).Draw(t, "type"),
			rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "data"))
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return !unicode.IsControl(r) }))
		if s := text.Draw(t, "subject"); strings.TrimSpace(s) != "" {
			e.SetSubject(s)
		}
		e.SetExtension("tag", text.Draw(t, "tag"))
		e.SetExtension("level", rapid.Int32().Draw(t, "level"))
		if err := events.Check(e); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.Parse(out)
		if err != nil {
			t.Fatalf("reading %s: %v", out, err)
		}
		if d := cmp.Diff(attributes(e), attributes(got)); d != "" {
			t.Fatal(d)
		}
	})
}

// attributes returns all that an event says, in comparable form.
func attributes(e events.Event) map[string]string {
	all := map[string]string{
		"id": e.ID(), "source": e.Source(), "type": e.Type(), "subject": e.Subject(),
		"time": e.Time().UTC().Format(time.RFC3339Nano), "datacontenttype": e.DataContentType(), "data": string(e.Data()),
	}
	for name := range e.Extensions() {
		all["ext "+name] = events.Extension(e, name)
	}
	return all
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1},"tag":"v1"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a/b+json","data":[]}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"x"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AP8=","time":"2026-01-02T03:04:05.5+02:00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := events.Parse(data)
		if err != nil {
			return
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("writing what was read from %q: %v", data, err)
		}
		again, err := events.Parse(out)
		if err != nil {
			t.Fatalf("reading back %q: %v", out, err)
		}
		if d := cmp.Diff(attributes(e), attributes(again)); d != "" {
			t.Fatal(d)
		}
	})
}

// White space means nothing in JSON, wherever it stands.
func TestParseBase64AfterSpace(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"specversion":"1.0","id":"1","source":"/p","type":"com.x","data_base64": "AAEC"}`,
		`{"specversion": "1.0", "id": "1", "source": "/p", "type": "com.x", "data_base64" :  "AAEC" , "datacontenttype": "image/png"}`,
		"{\"datacontenttype\":\"image/png\",\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/p\",\"type\":\"com.x\",\"data_base64\":\n\"AAEC\"}",
	} {
		e, err := events.Parse([]byte(text))
		if err != nil || string(e.Data()) != "\x00\x01\x02" {
			t.Errorf("%s: %v, data %q", text, err, e.Data())
		}
	}
}
