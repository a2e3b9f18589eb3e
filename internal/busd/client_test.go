package busd

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// publisherClient is a NATS client that knows nothing of jet-bus but its credentials.
func publisherClient(t *testing.T, p *Process) *nats.Conn {
	t.Helper()
	creds, err := p.server.Keys().Issue(busserver.RolePublisher, "ci", 0)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ci.creds")
	if err := os.WriteFile(file, creds, 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(p.Addr.Bus, nats.UserCredentials(file), nats.CustomInboxPrefix("_INBOX_publisher_ci"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// Any NATS client publishes CloudEvents, in both modes, and is told where they are
// stored. What is none is stored too, since the bus does not read what it takes; no
// rule judges it, and the log says so.
func TestAnyClientPublishes(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := options(t)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil)) // read after all has stopped
	p, stop := run(t, o)
	js, err := jetstream.New(publisherClient(t, p))
	if err != nil {
		t.Fatal(err)
	}
	headers := func(kv ...string) nats.Header {
		h := nats.Header{}
		for i := 0; i < len(kv); i += 2 {
			h[kv[i]] = []string{kv[i+1]} // as it was written: NATS keeps the case
		}
		return h
	}
	event := func(id, typ, more string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/ci","type":"` + typ + `"` + more + `}`
	}
	const mine = "com.example.mine"
	cases := []struct {
		name, id string // no id: it is not judged
		header   nats.Header
		data     string
		why      string
	}{
		{"structured", "s1", headers("Content-Type", "application/cloudevents+json; charset=UTF-8"), event("s1", mine, `,"data":{"a":1}`), ""},
		{"structured, in lower case", "s2", headers("content-type", "application/cloudevents+json"), event("s2", mine, ""), ""},
		{"structured, without headers", "s3", nil, event("s3", mine, ""), ""},
		{"binary", "b1", headers("ce-specversion", "1.0", "ce-id", "b1", "ce-source", "/ci", "ce-type", mine,
			"content-type", "application/json"), `{"a":1}`, ""},
		{"binary, in any case, percent-encoded", "b 2€", headers("CE-SPECVERSION", "1.0", "Ce-Id", "b%202%E2%82%AC", "cE-source", "/ci",
			"Ce-Type", "com%2eexample.mine", "CE-DataContentType", "text/plain"), "hello", ""},
		{"no event", "", nil, "hello", "not a JSON object"},
		{"no id", "", nil, `{"specversion":"1.0","source":"/ci","type":"com.example.mine"}`, "attribute id is missing"},
		{"bad escape", "", headers("ce-specversion", "1.0", "ce-id", "%FF", "ce-source", "/ci", "ce-type", mine), "", "percent-encoded"},
		{"other version", "", headers("ce-specversion", "0.3", "ce-id", "x", "ce-source", "/ci", "ce-type", mine), "", "specversion is"},
		{
			"not its data", "", headers("ce-specversion", "1.0", "ce-id", "x", "ce-source", "/ci", "ce-type", mine, "Content-Type", "application/json"),
			"{", "not valid JSON",
		},
		{"our own type", "", nil, event("own", "dev.jet-bus.job.failed.v1", ""), "its type is for jet-bus itself"},
	}
	var want []string
	for i, tt := range cases {
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "events.ext." + mine, Header: tt.header, Data: []byte(tt.data)})
		if err != nil || ack.Sequence == 0 || ack.Stream != bus.StreamEvents {
			t.Fatalf("%s: %+v, %v", tt.name, ack, err)
		}
		if tt.id != "" {
			want = append(want, tt.id)
		}
		if i == len(cases)-1 {
			allJudged(t, p, ack.Sequence)
		}
	}
	list, err := p.Queue.List(t.Context(), queue.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range list {
		got[r.Event.ID] = true
	}
	for _, id := range want {
		if !got[id] {
			t.Errorf("event %q made no job", id)
		}
	}
	if len(list) != len(want) {
		t.Errorf("%d jobs, want %d: %v", len(list), len(want), got)
	}
	stop()
	text := log.String()
	for _, tt := range cases {
		if tt.why != "" && !strings.Contains(text, tt.why) {
			t.Errorf("%s: the log does not say %q", tt.name, tt.why)
		}
	}
	if n := strings.Count(text, "event cannot be read, no rule judges it"); n != 5 || !strings.Contains(text, "subject=events.ext."+mine) {
		t.Errorf("the log tells of %d events that cannot be read, want 5", n)
	}
	if diff := cmp.Diff(1, strings.Count(text, "event is not judged, its type is for jet-bus itself")); diff != "" {
		t.Error(diff)
	}
}

// A publisher may publish events and do nothing else.
func TestPublisherMayNoMore(t *testing.T) {
	t.Parallel()
	p, _ := run(t, options(t))
	conn := publisherClient(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // what is not permitted is not answered
	defer cancel()
	for _, subject := range []string{"events.own.dev.jet-bus.job.failed.v1", "events.rule.com.example.mine", "run.x.s"} {
		if _, err := conn.RequestWithContext(ctx, subject, []byte("x")); err == nil {
			t.Errorf("%s took it", subject)
		}
	}
}

// allJudged waits until every event up to seq was judged.
func allJudged(t *testing.T, p *Process, seq uint64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		done, err := dispatch.Judged(t.Context(), p.Bus)
		if err != nil {
			t.Fatal(err)
		}
		if done >= seq {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("judged up to %d, waiting for %d", done, seq)
		}
	}
}
