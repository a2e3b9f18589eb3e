package ingress

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/test/process"
)

// signed is a new delivery of a sender to an endpoint.
func signed(t *testing.T, hook, endpoint string, change func(*request)) request {
	t.Helper()
	for _, from := range senders() {
		if from.hook != hook {
			continue
		}
		r := from.fresh(t)
		r.path = "/hooks/" + endpoint
		if change != nil {
			change(&r)
		}
		from.sign(&r, from.secret(0), time.Now())
		return r
	}
	t.Fatalf("there is no sender %s", hook)
	return request{}
}

// TestAllow is about the addresses that may send, and who says which they are.
func TestAllow(t *testing.T) {
	t.Parallel()
	s := newSite(t, `proxies: [127.0.0.2]
hooks:
  - {name: fenced, kind: github, secret_files: [github.secret], allow: [192.0.2.0/24, 127.0.0.3, "2001:db8::/32"]}
  - {name: open, kind: github, secret_files: [github.secret]}
`)
	s.start(t)
	const taken, refused = http.StatusAccepted, http.StatusForbidden
	for _, tc := range []struct {
		from      string
		forwarded []string // X-Forwarded-For
		want      int
	}{
		{"127.0.0.1", nil, refused},
		{"127.0.0.3", nil, taken},
		{"127.0.0.3", []string{"203.0.113.9"}, taken}, // no proxy: what it says of others means nothing
		{"127.0.0.1", []string{"192.0.2.7"}, refused}, // forged
		{"127.0.0.1", []string{"127.0.0.3"}, refused},
		{"127.0.0.2", nil, refused},
		{"127.0.0.2", []string{"192.0.2.7"}, taken},
		{"127.0.0.2", []string{"2001:db8::7"}, taken},
		{"127.0.0.2", []string{"203.0.113.9"}, refused},
		{"127.0.0.2", []string{"192.0.2.7, 203.0.113.9"}, refused}, // the sender's own word comes first
		{"127.0.0.2", []string{"203.0.113.9, 192.0.2.7"}, taken},
		{"127.0.0.2", []string{"192.0.2.7", "203.0.113.9"}, refused},
		{"127.0.0.2", []string{"192.0.2.7, nobody"}, refused},
		{"127.0.0.2", []string{""}, refused},
	} {
		client := newClient(t, tc.from)
		headers := func(r *request) {
			for _, v := range tc.forwarded {
				r.header.Add("X-Forwarded-For", v)
			}
			// Nobody is asked for these.
			r.header.Set("X-Real-Ip", "192.0.2.8")
			r.header.Set("Forwarded", "for=192.0.2.8")
		}
		before := s.last(t)
		a := s.postBy(t, client, signed(t, "github", "fenced", headers))
		if a.status != tc.want {
			t.Errorf("from %s for %q: answered %d %s, want %d", tc.from, tc.forwarded, a.status, a.text, tc.want)
		}
		if (s.last(t) > before) != (tc.want == taken) {
			t.Errorf("from %s for %q: answered %d, and stored otherwise", tc.from, tc.forwarded, a.status)
		}
		if a := s.postBy(t, client, signed(t, "github", "open", headers)); a.status != taken {
			t.Errorf("from %s, where all may send: answered %d %s", tc.from, a.status, a.text)
		}
	}
}

// TestRate is about senders that send too much.
func TestRate(t *testing.T) {
	t.Parallel()
	s := newSite(t, `hooks:
  - {name: slow, kind: github, secret_files: [github.secret], per_second: 1, burst: 3}
  - {name: other, kind: github, secret_files: [github.secret]}
  - {name: alerts, kind: alertmanager, secret_files: [alertmanager.secret], per_second: 1, burst: 1}
  - {name: events, kind: cloudevents, secret_files: [cloudevents.secret], per_second: 1, burst: 3}
`)
	s.start(t)
	// Strangers use up nothing.
	for range 20 {
		r := signed(t, "github", "slow", nil)
		r.header.Set("X-Hub-Signature-256", "sha256=00")
		if a := s.post(t, r); a.status != http.StatusUnauthorized {
			t.Fatalf("unsigned: answered %d %s", a.status, a.text)
		}
	}
	accepted, refused := 0, 0
	for range 40 { // faster than one in a second, on any machine
		switch a := s.post(t, signed(t, "github", "slow", nil)); a.status {
		case http.StatusAccepted:
			accepted++
		case http.StatusTooManyRequests:
			refused++
			if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 {
				t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
			}
		default:
			t.Fatalf("answered %d %s", a.status, a.text)
		}
	}
	if accepted < 3 || refused == 0 {
		t.Errorf("%d were accepted and %d refused", accepted, refused)
	}
	if n := len(s.events(t, 0)); n != accepted {
		t.Errorf("%d events are stored, %d were accepted", n, accepted)
	}
	if a := s.post(t, signed(t, "github", "other", nil)); a.status != http.StatusAccepted {
		t.Errorf("another endpoint answered %d %s", a.status, a.text)
	}
	process.Eventually(t, "the slow endpoint to take one more", func() bool {
		return s.post(t, signed(t, "github", "slow", nil)).status == http.StatusAccepted
	})
	// More at once than will ever be let in.
	batch := signed(t, "cloudevents", "events", func(r *request) {
		r.header.Set("Content-Type", "application/cloudevents-batch+json")
		r.body = fmt.Appendf(nil, "[%s]", bytes.Join([][]byte{r.body, r.body, r.body, r.body}, []byte(",")))
	})
	if a := s.post(t, batch); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a batch beyond the burst: answered %d %s", a.status, a.text)
	}
}

// TestRepositories is about endpoints that take events of some repositories only.
func TestRepositories(t *testing.T) {
	t.Parallel()
	s := newSite(t, `hooks:
  - {name: acme, kind: github, secret_files: [github.secret], repositories: ["acme/*"]}
  - {name: tools, kind: gitlab, secret_files: [gitlab.secret], repositories: ["acme/**"]}
  - {name: flat, kind: gitlab, secret_files: [gitlab.secret], repositories: ["acme/*"]}
`)
	s.start(t)
	rename := func(to string) func(*request) {
		return func(r *request) {
			r.body = bytes.ReplaceAll(r.body, []byte(`"full_name": "acme/app"`), []byte(`"full_name": "`+to+`"`))
		}
	}
	payload := func(file, event string) func(*request) {
		return func(r *request) {
			text, err := os.ReadFile(filepath.Join("testdata", "github", file+".json"))
			must(t, err)
			r.body = text
			r.header.Set("X-GitHub-Event", event)
		}
	}
	const taken, refused, ignored = http.StatusAccepted, http.StatusForbidden, http.StatusOK
	for _, tc := range []struct {
		name     string
		from, to string
		change   func(*request)
		want     int
	}{
		{"one of them", "github", "acme", nil, taken},
		{"in capitals", "github", "acme", rename("Acme/App"), taken},
		{"another's", "github", "acme", rename("other/app"), refused},
		{"one that begins so", "github", "acme", rename("acme-evil/app"), refused},
		{"one below", "github", "acme", rename("other/acme/app"), refused},
		{"none", "github", "acme", rename(""), refused},
		{"of the organisation", "github", "acme", payload("membership", "membership"), refused},
		{"ping", "github", "acme", payload("ping", "ping"), ignored},
		{"group and subgroup", "gitlab", "tools", nil, taken},
		{"group only", "gitlab", "flat", nil, refused},
	} {
		before := s.last(t)
		a := s.post(t, signed(t, tc.from, tc.to, tc.change))
		if a.status != tc.want || (s.last(t) > before) != (tc.want == taken) {
			t.Errorf("%s: answered %d %s, want %d; stored %v", tc.name, a.status, a.text, tc.want, s.last(t) > before)
		}
	}
}

// TestLargeEvent is about what the bus does not take, though the endpoint would.
func TestLargeEvent(t *testing.T) {
	t.Parallel()
	s := newSite(t, `hooks:
  - {name: github, kind: github, secret_files: [github.secret]}
  - {name: events, kind: cloudevents, secret_files: [cloudevents.secret]}
  - {name: alerts, kind: alertmanager, secret_files: [alertmanager.secret]}
`)
	s.start(t)
	fill := func(size int) func(*request) {
		return func(r *request) {
			r.body = bytes.Replace(r.body, []byte("{"), []byte(`{"filling":"`+strings.Repeat("x", size)+`",`), 1)
		}
	}
	for _, to := range []struct{ from, hook string }{{"github", "github"}, {"cloudevents", "events"}} {
		if a := s.post(t, signed(t, to.from, to.hook, fill(100<<10))); a.status != http.StatusAccepted {
			t.Errorf("%s of 100 KiB: answered %d %.200s", to.from, a.status, a.text)
		}
		before := s.last(t)
		if a := s.post(t, signed(t, to.from, to.hook, fill(300<<10))); a.status != http.StatusRequestEntityTooLarge || s.last(t) > before {
			t.Errorf("%s of 300 KiB: answered %d %.200s", to.from, a.status, a.text)
		}
		// It is refused unread, and who goes on sending may have the connection cut before the answer.
		large := signed(t, to.from, to.hook, fill(5<<20))
		large.header.Set("Expect", "100-continue")
		if a := s.post(t, large); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s of 5 MiB: answered %d %.200s", to.from, a.status, a.text)
		}
	}
}
