package bus_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

func newEvent(id string) event.Event {
	e := event.New()
	e.SetID(id)
	e.SetSource("https://example.com/app")
	e.SetType("com.example.changed")
	return e
}

func TestPublishEvent(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	e := newEvent("1\r\nX: y") // hostile: an id is any text
	if err := e.SetData(event.ApplicationJSON, map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	ack, err := b.PublishEvent(ctx, bus.ClassExternal, e)
	if err != nil || ack.Duplicate {
		t.Fatalf("publish: %+v, %v", ack, err)
	}
	e.SetType("com.example.other") // source and id make it the same event
	again, err := b.PublishEvent(ctx, bus.ClassExternal, e)
	if err != nil || !again.Duplicate || again.Seq != ack.Seq {
		t.Errorf("publish again: %+v, %v; want a duplicate of %d", again, err, ack.Seq)
	}
	m, err := b.Get(ctx, bus.StreamEvents, ack.Seq)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "events.ext.com.example.changed" {
		t.Errorf("stored on %s", m.Subject)
	}
	for key := range m.Header {
		if strings.HasPrefix(strings.ToLower(key), "ce-") {
			t.Errorf("structured event has header %s", key)
		}
	}
	got, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID() != e.ID() || got.Type() != "com.example.changed" || string(got.Data()) != `{"n":1}` {
		t.Errorf("read back %v", got)
	}
}

// The events of jet-bus itself have ids that can be foreseen, such as a schedule's.
// Somebody outside who is ahead of one keeps it from nothing.
func TestOwnEventsAreNoDuplicatesOfOthers(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	e := newEvent("nightly:2026-11-24T03:00:00Z")
	seqs := make(map[uint64]bool)
	for _, class := range []string{bus.ClassExternal, bus.ClassOwn} {
		for again := range 2 {
			ack, err := b.PublishEvent(ctx, class, e)
			if err != nil || ack.Duplicate != (again == 1) {
				t.Errorf("%s, time %d: %+v, %v", class, again+1, ack, err)
			}
			seqs[ack.Seq] = true
		}
	}
	if len(seqs) != 2 {
		t.Errorf("stored at %v, want one of each class", seqs)
	}
}

func TestPublishEventRefuses(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 300 << 10}))
	ctx := within(t)
	large := newEvent("large")
	if err := large.SetData(event.TextPlain, strings.Repeat("x", bus.MaxEventSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishEvent(ctx, bus.ClassExternal, large); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("large event: %v, want too large", err)
	}
	if _, err := b.PublishEvent(ctx, bus.ClassExternal, event.New()); err == nil {
		t.Error("an event without an id is stored")
	}
	half := newEvent("half")
	if err := half.SetData(event.TextPlain, strings.Repeat("x", 200<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishEvent(ctx, bus.ClassExternal, half); err != nil {
		t.Fatal(err)
	}
	half.SetID("other half")
	if _, err := b.PublishEvent(ctx, bus.ClassExternal, half); !errors.Is(err, bus.ErrFull) {
		t.Errorf("full stream: %v, want full", err)
	}
	p := bustest.Connect(t, s, busserver.RolePublisher, "p")
	if _, err := p.PublishEvent(ctx, bus.ClassOwn, newEvent("1")); !errors.Is(err, bus.ErrDenied) {
		t.Errorf("publisher of own events: %v, want denied", err)
	}
	if _, err := p.PublishEvent(ctx, bus.ClassExternal, newEvent("1")); err != nil {
		t.Errorf("publisher of external events: %v", err)
	}
}

// TestPublishEventThroughRestart publishes while the server is away: the call
// returns only when the event is stored, and stores it once.
func TestPublishEventThroughRestart(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := within(t)
	o := s.Options()
	o.Listen = s.Addr().String()
	s.Shutdown()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := b.PublishEvent(ctx, bus.ClassExternal, newEvent("1")); err != nil {
			t.Errorf("publish through a restart: %v", err)
		}
	})
	time.Sleep(100 * time.Millisecond) // not needed to pass: makes it meet the gap
	again, err := busserver.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Shutdown)
	wg.Wait()
	if ack, err := b.PublishEvent(ctx, bus.ClassExternal, newEvent("1")); err != nil || !ack.Duplicate || ack.Seq != 1 {
		t.Errorf("publish again: %+v, %v; want a duplicate of 1", ack, err)
	}
}

func TestDecodeEvent(t *testing.T) {
	t.Parallel()
	const attrs = `"specversion":"1.0","id":"1","source":"s","type":"t"`
	binary := func(more ...string) nats.Header {
		h := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"s"}, "ce-type": {"t"}}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = []string{more[i+1]}
		}
		return h
	}
	tests := []struct {
		name string
		h    nats.Header
		data string
		want string // the event as JSON
		err  string
	}{
		{
			name: "structured",
			h:    nats.Header{"Content-Type": {"application/cloudevents+json; charset=UTF-8"}},
			data: `{` + attrs + `,"data":{"a":1}}`,
			want: `{` + attrs + `,"data":{"a":1}}`,
		},
		{
			name: "structured, header in lower case",
			h:    nats.Header{"content-type": {"application/cloudevents+json"}},
			data: `{` + attrs + `}`,
			want: `{` + attrs + `}`,
		},
		{
			name: "binary",
			h: binary("Content-Type", "application/json", "Ce-Subject", "a%20b%E2%82%AC",
				"ce-time", "2026-01-02T03:04:05.6Z", "ce-traceparent", "00-1"),
			data: `{"a":1}`,
			want: `{` + attrs + `,"subject":"a b€","datacontenttype":"application/json",` +
				`"time":"2026-01-02T03:04:05.6Z","traceparent":"00-1","data":{"a":1}}`,
		},
		{
			name: "binary bytes",
			h:    binary("Content-Type", "application/octet-stream"),
			data: "\xff\x00",
			want: `{` + attrs + `,"datacontenttype":"application/octet-stream","data_base64":"/wA="}`,
		},
		{
			name: "binary, the type of the data as an attribute",
			h:    binary("ce-datacontenttype", "text/plain", "Content-Type", "application/octet-stream"),
			data: "x",
			want: `{` + attrs + `,"datacontenttype":"text/plain","data":"x"}`,
		},
		{name: "no headers", data: `{` + attrs + `,"data":{"a":1}}`, want: `{` + attrs + `,"data":{"a":1}}`},
		{
			name: "no headers but a general type", h: nats.Header{"Content-Type": {"application/json"}},
			data: `{` + attrs + `,"data":{"a":1}}`, want: `{` + attrs + `,"data":{"a":1}}`,
		},
		{name: "no event", h: nil, data: "x", err: "specversion"},
		{name: "no attributes", h: nil, data: `{"a":1}`, err: "attribute specversion is missing"},
		{name: "data is not what it says", h: binary("Content-Type", "application/json"), data: `{"a":`, err: "not valid JSON"},
		{name: "control character", h: binary("ce-subject", "%1b[2J"), err: "control character"},
		{name: "old version", h: nats.Header{"ce-specversion": {"0.3"}}, err: "specversion"},
		{name: "bytes in an attribute", h: binary("ce-subject", "%FF"), err: "percent"},
		{name: "bad time", h: binary("ce-time", "yesterday"), err: "time"},
		{name: "twice", h: binary("CE-id", "2"), err: "twice"},
		{name: "bad extension", h: binary("ce-a_b", "2"), err: "a_b"},
		{name: "batch", h: nats.Header{"Content-Type": {"application/cloudevents-batch+json"}}, data: "[]", err: "not supported"},
		{name: "not JSON", h: nats.Header{"Content-Type": {"application/cloudevents+json"}}, data: "{", err: "structured"},
		{
			name: "without id", h: nats.Header{"Content-Type": {"application/cloudevents+json"}},
			data: `{"specversion":"1.0","source":"s","type":"t"}`, err: "id",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := bus.DecodeEvent(tt.h, []byte(tt.data))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			raw, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal([]byte(tt.want), &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventSurvivesEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := event.New()
		text := rapid.StringN(1, 20, -1)
		e.SetID(text.Draw(t, "id"))
		e.SetSource("/" + rapid.StringMatching(`[a-z/.]{0,9}`).Draw(t, "source"))
		e.SetType(text.Draw(t, "type"))
		e.SetSubject(text.Draw(t, "subject"))
		e.SetExtension("correlationid", text.Draw(t, "extension"))
		if err := e.SetData(event.ApplicationJSON, map[string]string{"k": text.Draw(t, "data")}); err != nil {
			t.Fatal(err)
		}
		if e.Validate() != nil {
			t.Skip("not a valid event")
		}
		m, err := bus.EncodeEvent(bus.EventSubject(bus.ClassExternal, e.Type()), e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e.String(), got.String()); diff != "" {
			t.Fatalf("event differs (-want +got):\n%s", diff)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add("application/cloudevents+json", "1.0", "1", []byte(`{"specversion":"1.0","id":"1","source":"s","type":"t"}`))
	f.Add("application/json", "1.0", "%41", []byte(`{}`))
	f.Add("", "", "%", []byte(nil))
	f.Fuzz(func(t *testing.T, contentType, version, id string, data []byte) {
		h := nats.Header{
			"Content-Type": {contentType}, "ce-specversion": {version},
			"ce-id": {id}, "ce-source": {"s"}, "ce-type": {"t"},
		}
		e, err := bus.DecodeEvent(h, data)
		if err != nil {
			return
		}
		if err := e.Validate(); err != nil {
			t.Errorf("decoded an event that is not valid: %v", err)
		}
	})
}
