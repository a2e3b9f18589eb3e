package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

const eventHooks = `hooks:
  - {name: cloudevents, kind: cloudevents, secret_files: [cloudevents.secret], per_second: 10000, burst: 10000}
`

// bearer is the token of the endpoint for CloudEvents.
func bearer() string {
	for _, from := range senders() {
		if from.hook == "cloudevents" {
			return "Bearer " + from.secret(0)
		}
	}
	return ""
}

// example is an event of the SDK, and what is to be stored of it.
type example struct {
	event cloudevents.Event
	// attributes are those beside id and specversion; in binary mode all are text.
	attributes map[string]any
	// data is the data; json says that it is JSON.
	data string
	json bool
}

// examples are events with all that an event can have.
func examples(t *testing.T) map[string]example {
	t.Helper()
	make := func(contentType string, data any) cloudevents.Event {
		e := cloudevents.NewEvent()
		e.SetID(uuid.NewString())
		e.SetSource("https://ci.example.com/acme?run=1#top")
		e.SetType("com.example.built")
		if contentType != "" {
			must(t, e.SetData(contentType, data))
		}
		return e
	}
	base := map[string]any{"source": "https://ci.example.com/acme?run=1#top", "type": "com.example.built"}
	with := func(more ...any) map[string]any {
		all := map[string]any{}
		maps.Copy(all, base)
		for i := 0; i < len(more); i += 2 {
			name, _ := more[i].(string)
			all[name] = more[i+1]
		}
		return all
	}
	const inJSON = "application/json"
	full := make(inJSON, map[string]any{"n": 1, "text": "ä\n\u2028", "list": []any{nil, true}})
	full.SetSubject("builds/42")
	full.SetTime(time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.FixedZone("", 3600)))
	full.SetDataSchema("https://schemas.example.com/built.json")
	full.SetExtension("text", "a text, with: \"signs\"")
	full.SetExtension("number", 42)
	full.SetExtension("negative", int32(-7))
	full.SetExtension("yes", true)
	full.SetExtension("address", &url.URL{Scheme: "https", Host: "example.com", Path: "/a/b"})
	full.SetExtension("when", time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	full.SetExtension("bytes", []byte{0, 1, 255})
	full.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	unicode := make(inJSON, "x")
	unicode.SetSubject("Straße/日本語/🚀")
	unicode.SetExtension("place", "Zürich €")
	return map[string]example{
		"everything": {full, with(
			"subject", "builds/42", "time", "2026-03-01T09:00:00.123456789Z", "dataschema", "https://schemas.example.com/built.json",
			"datacontenttype", inJSON, "text", "a text, with: \"signs\"", "number", 42.0, "negative", -7.0, "yes", true,
			"address", "https://example.com/a/b", "when", "2026-03-01T10:00:00Z", "bytes", "AAH/",
			"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		), `{"n":1,"text":"ä\n\u2028","list":[null,true]}`, true},
		"least":   {make("", nil), with(), "", false},
		"unicode": {unicode, with("datacontenttype", inJSON, "subject", "Straße/日本語/🚀", "place", "Zürich €"), `"x"`, true},
		"text":    {make("text/plain", "two\nlines, ünïcödé"), with("datacontenttype", "text/plain"), "two\nlines, ünïcödé", false},
		"xml":     {make("application/xml", []byte("<a/>")), with("datacontenttype", "application/xml"), "<a/>", false},
		"bytes": {
			make("application/octet-stream", []byte{0, 0xff, 0xfe, '"', '\n'}),
			with("datacontenttype", "application/octet-stream"), "\x00\xff\xfe\"\n", false,
		},
		"a number": {make(inJSON, 1.5), with("datacontenttype", inJSON), "1.5", true},
		"null":     {make(inJSON, json.RawMessage("null")), with("datacontenttype", inJSON), "null", true},
	}
}

// checkExample compares a stored event with what was sent.
func checkExample(t *testing.T, e stored, want example, textOnly bool) {
	t.Helper()
	attributes := map[string]any{"specversion": "1.0", "id": want.event.ID()}
	for name, v := range want.attributes {
		if _, ok := v.(string); textOnly && !ok {
			v = fmt.Sprint(v)
		}
		attributes[name] = v
	}
	got := map[string]any{}
	for name, v := range e.Event {
		if name != "data" && name != "data_base64" {
			got[name] = normalFloat(t, v)
		}
	}
	if _, ok := attributes["time"]; !ok {
		delete(got, "time") // the client adds the time of sending
	}
	if d := cmp.Diff(attributes, got); d != "" {
		t.Errorf("the attributes (- sent, + stored):\n%s", d)
	}
	data := e.content(t)
	switch {
	case want.json:
		if d := cmp.Diff(normal(t, json.RawMessage(want.data)), normal(t, json.RawMessage(data))); d != "" {
			t.Errorf("the data (- sent, + stored):\n%s", d)
		}
		return
	case len(e.Event["data"]) > 0:
		data = []byte(e.text("data"))
	}
	if string(data) != want.data {
		t.Errorf("the data is %q, want %q", data, want.data)
	}
}

func normalFloat(t *testing.T, raw json.RawMessage) any {
	t.Helper()
	var v any
	must(t, json.Unmarshal(raw, &v))
	return v
}

// TestCloudEventsClient sends with the client of the CloudEvents SDK, in all modes.
func TestCloudEventsClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventHooks)
	s.start(t)
	address := s.addr.HTTP + "/hooks/cloudevents"
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(address), cehttp.WithHeader("Authorization", bearer()), cehttp.WithClient(*s.client))
	must(t, err)
	send := func(ctx context.Context, e cloudevents.Event) error {
		result := client.Send(ctx, e)
		if told := (*cehttp.Result)(nil); !cloudevents.IsACK(result) || !cloudevents.ResultAs(result, &told) || told.StatusCode != http.StatusAccepted {
			return fmt.Errorf("the client says %w", result)
		}
		return nil
	}
	sent := map[string]map[string]example{"structured": {}, "binary": {}, "batch": {}}
	var batch []cloudevents.Event
	for mode, encode := range map[string]func(context.Context) context.Context{
		"structured": binding.WithForceStructured, "binary": binding.WithForceBinary, "batch": nil,
	} {
		for name, ex := range examples(t) {
			sent[mode][ex.event.ID()] = ex
			if encode == nil {
				batch = append(batch, ex.event)
				continue
			}
			for range 2 { // the second time it is the same
				if err := send(encode(t.Context()), ex.event); err != nil {
					t.Errorf("%s, %s: %v", mode, name, err)
				}
			}
		}
	}
	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), address, batch)
	must(t, err)
	req.Header.Set("Authorization", bearer())
	resp, err := s.client.Do(req)
	must(t, err)
	var answers []storedAt
	if err := json.NewDecoder(resp.Body).Decode(&answers); err != nil || resp.StatusCode != http.StatusAccepted || len(answers) != len(batch) {
		t.Errorf("the batch: %s, %d answers, %v", resp.Status, len(answers), err)
	}
	must(t, resp.Body.Close())
	for i, a := range answers {
		if a.ID != batch[i].ID() || a.Duplicate {
			t.Errorf("answer %d of the batch is %+v, of %s", i, a, batch[i].ID())
		}
	}

	kept := map[string]stored{}
	for _, e := range s.events(t, 0) {
		if _, ok := kept[e.text("id")]; ok {
			t.Errorf("event %s is stored twice", e.text("id"))
		}
		kept[e.text("id")] = e
	}
	for mode, all := range sent {
		for id, ex := range all {
			t.Run(mode+"/"+ex.name(t), func(t *testing.T) {
				if _, ok := kept[id]; !ok {
					t.Fatal("it is not stored")
				}
				checkExample(t, kept[id], ex, mode == "binary")
			})
		}
	}
	// Who has no token, or another.
	for _, token := range []string{"", "Bearer ", "Bearer another token that is long", "Basic dTpw", bearer() + "x"} {
		client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(address), cehttp.WithHeader("Authorization", token), cehttp.WithClient(*s.client))
		must(t, err)
		e := examples(t)["least"].event
		told := (*cehttp.Result)(nil)
		if result := client.Send(t.Context(), e); cloudevents.IsACK(result) || !errors.As(result, &told) || told.StatusCode != http.StatusUnauthorized {
			t.Errorf("with %q the client says %v", token, result)
		}
	}
	if n := len(s.events(t, 0)); n != len(kept) {
		t.Errorf("%d events are stored, %d before", n, len(kept))
	}
}

// name is the name of an example.
func (ex example) name(t *testing.T) string {
	t.Helper()
	for name, other := range examples(t) {
		if cmp.Equal(other.attributes, ex.attributes) && other.data == ex.data {
			return name
		}
	}
	return ex.event.ID()
}
