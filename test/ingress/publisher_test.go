package ingress

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/test/process"
)

// publisher is a program with a publisher's credentials, and any client of NATS.
type publisher struct {
	nc *nats.Conn
	js jetstream.JetStream

	mu     sync.Mutex
	denied []string
}

func newPublisher(t *testing.T, s *site, name string) *publisher {
	t.Helper()
	creds := filepath.Join(s.home, name+".creds")
	out := process.Run(t, process.Environment(s.home), "jet-bus", "user", "add", "--data", s.data, "--role", "publisher", "--out", creds, name)
	if out.Code != 0 {
		t.Fatalf("jet-bus user add: exit code %d: %s", out.Code, out.Stderr)
	}
	p := &publisher{}
	p.nc = s.connect(t, creds, nats.CustomInboxPrefix("_INBOX_publisher_"+name), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if errors.Is(err, nats.ErrPermissionViolation) {
			p.denied = append(p.denied, err.Error())
		}
	}))
	var err error
	p.js, err = jetstream.New(p.nc)
	must(t, err)
	return p
}

// refused waits for the server to say that a subject is not this publisher's.
func (p *publisher) refused(t *testing.T, subject string) {
	t.Helper()
	process.Eventually(t, "the server to refuse "+subject, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, text := range p.denied {
			if strings.Contains(text, fmt.Sprintf("%q", subject)) {
				return true
			}
		}
		return false
	})
}

// TestPublisher stores events over NATS, in both modes of the binding.
func TestPublisher(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventHooks)
	s.start(t)
	p := newPublisher(t, s, "ci")
	const subject = "events.ext.com.example.built"
	id := uuid.NewString()
	head := `{"specversion":"1.0","id":"` + id + `","source":"/ci","type":"com.example.built"`
	for name, tc := range map[string]struct {
		header nats.Header
		body   string
		want   map[string]string // beside id, source, type, specversion
		data   string
	}{
		"structured": {
			nats.Header{"Content-Type": {"application/cloudevents+json"}}, head + `,"tag":"v1","level":3,"data":{"n":1}}`, map[string]string{"tag": "v1", "level": "3"}, `{"n":1}`,
		},
		"structured, no headers": {nil, head + `,"data":{"n":1}}`, nil, `{"n":1}`},
		"binary": {
			nats.Header{
				"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"/ci"}, "ce-type": {"com.example.built"},
				"ce-datacontenttype": {"application/json"}, "ce-tag": {"v1"}, "ce-subject": {"Z%C3%BCrich%20%E2%82%AC"}, "ce-place": {`"two words"`},
			}, `{"n":1}`, map[string]string{"tag": "v1", "subject": "Zürich €", "place": "two words", "datacontenttype": "application/json"}, `{"n":1}`,
		},
		"binary, in capitals": {
			nats.Header{"Ce-Specversion": {"1.0"}, "CE-ID": {id}, "Ce-Source": {"/ci"}, "ce-Type": {"com.example.built"}, "Ce-Datacontenttype": {"text/plain"}},
			"words",
			map[string]string{"datacontenttype": "text/plain"},
			"words",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ack, err := p.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: tc.header, Data: []byte(tc.body)})
			must(t, err)
			e := s.events(t, ack.Sequence)[ack.Sequence]
			want := map[string]string{"id": id, "source": "/ci", "type": "com.example.built", "specversion": "1.0"}
			maps.Copy(want, tc.want)
			for k := range e.Event {
				if got := e.text(k); k != "data" && got != want[k] {
					t.Errorf("attribute %s is %q, want %q", k, got, want[k])
				}
				delete(want, k)
			}
			if len(want) > 0 {
				t.Errorf("these are missing: %v", want)
			}
			if data := e.text("data"); data != tc.data {
				t.Errorf("the data is %s, want %s", data, tc.data)
			}
		})
	}
	// The same message again is not stored again.
	msg := &nats.Msg{Subject: subject, Header: nats.Header{"Nats-Msg-Id": {id}}, Data: []byte(head + "}")}
	first, err := p.js.PublishMsg(t.Context(), msg)
	must(t, err)
	if again, err := p.js.PublishMsg(t.Context(), msg); err != nil || !again.Duplicate || again.Sequence != first.Sequence {
		t.Errorf("sent again: %+v, %v; first %+v", again, err, first)
	}
}

// TestPublisherMayNot is about all that a publisher's credentials are not good for.
func TestPublisherMayNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventHooks)
	s.start(t)
	p := newPublisher(t, s, "ci")
	last := s.last(t)
	body := []byte(`{"specversion":"1.0","id":"1","source":"/ci","type":"dev.jet-bus.job.failed.v1"}`)
	for _, subject := range []string{
		"events.own.dev.jet-bus.job.failed.v1", "events.com.example.x", "jobs.default.5", "run.job1.s", "run.job1.t", "lock.host.web1",
		"cancel.job1", "notify.ops", "seen.x", "decision.rule", "live.events.ext.x", "$KV.config.rules", "$KV.control.rule", "$KV.sources.cursor.x",
		"$O.bundles.x", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.CREATE.MINE",
		"$JS.API.CONSUMER.CREATE.EVENTS", "$JS.API.STREAM.MSG.GET.EVENTS", "$JS.API.DIRECT.GET.EVENTS", "$JS.API.STREAM.NAMES", "$JS.ACK.EVENTS.x",
		"$SYS.REQ.SERVER.PING", "_INBOX_publisher_other.x", "_INBOX_bus_x.y",
	} {
		must(t, p.nc.PublishMsg(&nats.Msg{Subject: subject, Data: body}))
		must(t, p.nc.Flush())
		p.refused(t, subject)
	}
	for _, subject := range []string{
		">", "events.>", "live.>", "run.>", "cancel.>", "_INBOX.>", "_INBOX_publisher_other.>", "_INBOX_publisher_*.>", "$JS.EVENT.>", "$SYS.>", "$KV.>",
	} {
		sub, err := p.nc.SubscribeSync(subject)
		must(t, err)
		must(t, p.nc.Flush())
		p.refused(t, subject)
		_ = sub.Unsubscribe() // the server has never known of it
	}
	// Nothing of the library's that reads works.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := p.js.Stream(ctx, "EVENTS"); err == nil {
		t.Error("a publisher can look at the stream")
	}
	if now := s.last(t); now != last {
		t.Errorf("%d events more are stored", now-last)
	}
}

// TestPublisherForges has a rule on events of jet-bus' own, which a publisher makes up: the rule does not
// believe them, and believes what comes after.
func TestPublisherForges(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventHooks)
	s.write(t, filepath.Join(s.content, "rules", "react.yml"), `rules:
  - name: react
    on: [dev.jet-bus.job.failed.v1, com.example.real]
    run: {playbook: playbooks/none.yml, limit: web1}
`)
	s.write(t, filepath.Join(s.content, "playbooks", "none.yml"), "- name: None\n  groups: [web]\n  tasks:\n    - !echo {msg: none}\n")
	s.start(t)
	p := newPublisher(t, s, "ci")
	for _, subject := range []string{"events.ext.dev.jet-bus.job.failed.v1", "events.ext.com.example.x"} {
		_, err := p.js.Publish(t.Context(), subject, []byte(`{"specversion":"1.0","id":"`+uuid.NewString()+`","source":"/jobs/1","type":"dev.jet-bus.job.failed.v1","data":{}}`))
		must(t, err)
	}
	for _, garbage := range []string{"no event", "", "{}", `{"specversion":"1.0"}`} {
		_, err := p.js.Publish(t.Context(), "events.ext.com.example.real", []byte(garbage))
		must(t, err)
	}
	real := uuid.NewString()
	_, err := p.js.Publish(t.Context(), "events.ext.com.example.real", []byte(`{"specversion":"1.0","id":"`+real+`","source":"/ci","type":"com.example.real"}`))
	must(t, err)
	var jobs string
	process.Eventually(t, "the job of the real event", func() bool {
		jobs = strings.TrimSpace(s.jet(t, "jobs", "--json"))
		return strings.Contains(jobs, real)
	})
	if n := strings.Count(jobs, "\n") + 1; n != 1 {
		t.Errorf("%d jobs were made:\n%s", n, jobs)
	}
}
