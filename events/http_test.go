package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
)

func request(headers map[string]string, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	return r
}

const one = `{"specversion":"1.0","id":"1","source":"/s","type":"dev.example.x","tag":"v1","data":{"a":1}}`

func TestFromRequest(t *testing.T) {
	t.Parallel()
	binary := map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/s", "Ce-Type": "dev.example.x",
		"Ce-Tag": "v1", "Content-Type": "application/json",
	}
	with := func(k, v string) map[string]string {
		m := map[string]string{k: v}
		for name, value := range binary {
			if name != k {
				m[name] = value
			}
		}
		return m
	}
	for name, tc := range map[string]struct {
		headers map[string]string
		body    string
		want    []string // the data of each event
	}{
		"structured":     {map[string]string{"Content-Type": "application/cloudevents+json; charset=UTF-8"}, one, []string{`{"a":1}`}},
		"batch":          {map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "[" + one + "," + one + "]", []string{`{"a":1}`, `{"a":1}`}},
		"empty batch":    {map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "[]", nil},
		"binary":         {binary, `{"a":1}`, []string{`{"a":1}`}},
		"binary no data": {binary, "", []string{""}},
		"binary text":    {with("Content-Type", "text/plain"), "hé", []string{"hé"}},
		"binary bytes":   {with("Content-Type", "image/png"), "\x00\xff", []string{"\x00\xff"}},
		"binary +json":   {with("Content-Type", "application/problem+json"), `{"a":1}`, []string{`{"a":1}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := events.FromRequest(request(tc.headers, tc.body), 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != len(tc.want) {
				t.Fatalf("%d events, want %d", len(list), len(tc.want))
			}
			for i, e := range list {
				out, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				again, err := events.Parse(out)
				if err != nil {
					t.Fatalf("reading back %s: %v", out, err)
				}
				for _, e := range []events.Event{e, again} {
					if string(e.Data()) != tc.want[i] || e.ID() != "1" || events.Extension(e, "tag") != "v1" {
						t.Errorf("event %d is %v", i, e)
					}
				}
			}
		})
	}
}

func TestFromRequestRefuses(t *testing.T) {
	t.Parallel()
	structured := map[string]string{"Content-Type": "application/cloudevents+json"}
	batch := map[string]string{"Content-Type": "application/cloudevents-batch+json"}
	binary := func(extra ...string) map[string]string {
		m := map[string]string{
			"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/s", "Ce-Type": "dev.example.x",
			"Content-Type": "application/json",
		}
		for i := 0; i < len(extra); i += 2 {
			m[extra[i]] = extra[i+1]
		}
		return m
	}
	for name, tc := range map[string]struct {
		headers map[string]string
		body    string
		want    error
	}{
		"too large":          {structured, one + strings.Repeat(" ", 1000), events.ErrTooLarge},
		"plain JSON":         {map[string]string{"Content-Type": "application/json"}, one, events.ErrMediaType},
		"no content type":    {nil, one, events.ErrMediaType},
		"broken type":        {map[string]string{"Content-Type": ";;"}, one, events.ErrMediaType},
		"xml":                {map[string]string{"Content-Type": "application/cloudevents+xml"}, one, events.ErrMediaType},
		"latin-1":            {map[string]string{"Content-Type": "application/cloudevents+json; charset=latin1"}, one, events.ErrMediaType},
		"compressed":         {map[string]string{"Content-Type": "application/cloudevents+json", "Content-Encoding": "gzip"}, one, events.ErrMediaType},
		"structured garbage": {structured, "{", events.ErrMalformed},
		"batch null":         {batch, "null", events.ErrMalformed},
		"batch garbage":      {batch, "{}", events.ErrMalformed},
		"batch one bad":      {batch, "[" + one + ",{}]", events.ErrMalformed},
		"binary no id":       {binary("Ce-Id", ""), "{}", events.ErrMalformed},
		"binary old version": {binary("Ce-Specversion", "0.3"), "{}", events.ErrMalformed},
		"binary new version": {binary("Ce-Specversion", "2.0"), "{}", events.ErrMalformed},
		"binary bad time":    {binary("Ce-Time", "now"), "{}", events.ErrMalformed},
		"binary bad name":    {binary("Ce-My-Tag", "x"), "{}", events.ErrMalformed},
		"binary not UTF-8":   {binary("Ce-Subject", "\xff"), "{}", events.ErrMalformed},
		"binary broken JSON": {binary(), `{"a":`, events.ErrMalformed},
		// Written into a structured event as it is, this would add an attribute.
		"binary injection": {binary(), `1,"tag":"forged"`, events.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := events.FromRequest(request(tc.headers, tc.body), 1000)
			if !errors.Is(err, tc.want) {
				t.Errorf("events %v, error %v; want %v", list, err, tc.want)
			}
		})
	}
}

func TestFromRequestTwice(t *testing.T) {
	t.Parallel()
	r := request(map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/s", "Ce-Type": "t"}, "")
	r.Header.Add("Ce-Id", "2")
	if _, err := events.FromRequest(r, 1000); !errors.Is(err, events.ErrMalformed) {
		t.Errorf("two ids gave %v", err)
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func TestFromRequestReadError(t *testing.T) {
	t.Parallel()
	r := request(map[string]string{"Content-Type": "application/cloudevents+json"}, "")
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte("{")), brokenReader{io.ErrUnexpectedEOF}))
	if _, err := events.FromRequest(r, 1000); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, events.ErrMalformed) {
		t.Errorf("error %v", err)
	}
}
