package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/outbound"
)

var when = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func message() Message {
	return Message{
		ID: "m-1", To: "ops", Subject: "web1 is silent", Text: "since 15m <!channel>", Rule: "silent",
		Event: &Event{ID: "e1", Source: "/s", Type: "com.acme.heartbeat"}, At: when,
	}
}

// secretFile writes a secret as it should be kept.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func hookTo(t *testing.T, addr string, b body) *target {
	t.Helper()
	u, err := url.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	return &target{name: "ops", timeout: 5 * time.Second, webhook: &webhook{
		target: "ops", to: outbound.Address{URL: u}, method: http.MethodPost, headers: http.Header{"X-Env": {"prod"}}, body: b,
	}}
}

// sent makes an attempt with a wire of its own.
func sent(t *testing.T, w *wire, to *target, m Message) error {
	t.Helper()
	defer w.client.Close()
	return to.send(t.Context(), w, m)
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	var head http.Header
	var got string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		head, got = r.Header.Clone(), string(data)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	w := newWire(s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	to := hookTo(t, s.URL+"/x", bodyJSON)
	to.webhook.tokenFile = secretFile(t, "t0ken\n")
	if err := sent(t, w, to, message()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer t0ken", "Idempotency-Key": "m-1", "Content-Type": "application/json", "X-Env": "prod",
	} {
		if head.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, head.Get(name), want)
		}
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(got), &data); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "m-1", "target": "ops", "rule": "silent", "subject": "web1 is silent", "text": "since 15m <!channel>",
		"event": map[string]any{"id": "e1", "source": "/s", "type": "com.acme.heartbeat"}, "at": "2026-03-04T05:06:07Z",
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Error(diff)
	}
	// A certificate from whom nobody trusts is refused, and nothing is sent.
	got = ""
	if err := sent(t, newWire(nil), to, message()); err == nil || !strings.Contains(err.Error(), "certificate") || got != "" {
		t.Errorf("untrusted server: %v, got %q", err, got)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	bare := message()
	bare.Subject = ""
	for _, tt := range []struct {
		b          body
		m          Message
		want, kind string
	}{
		{bodyText, message(), "web1 is silent\n\nsince 15m <!channel>", "text/plain; charset=utf-8"},
		{bodyText, bare, "since 15m <!channel>", "text/plain; charset=utf-8"},
		{bodySlack, message(), `{"text":"web1 is silent\nsince 15m \u0026lt;!channel\u0026gt;"}`, "application/json"},
		{bodySlack, bare, `{"text":"since 15m \u0026lt;!channel\u0026gt;"}`, "application/json"},
	} {
		data, kind, err := tt.b.render(tt.m)
		if err != nil || string(data) != tt.want || kind != tt.kind {
			t.Errorf("%s: %s %s, %v", tt.b, data, kind, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code  int
		retry string
		ok    bool
		final bool
		after time.Duration
	}{
		{code: 200, ok: true},
		{code: 204, ok: true},
		{code: 301},
		{code: 400, final: true},
		{code: 401, final: true},
		{code: 404, final: true},
		{code: 410, final: true, retry: "5"},
		{code: 408},
		{code: 425},
		{code: 429, retry: "7", after: 7 * time.Second},
		{code: 500},
		{code: 503, retry: "120", after: 2 * time.Minute},
		{code: 503, retry: "soon"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.retry)
			w.Header().Set("Location", "https://elsewhere.example.com")
			w.WriteHeader(tt.code)
			_, _ = io.WriteString(w, "you said s3cret")
		}))
		err := sent(t, newWire(nil), hookTo(t, s.URL+"/s3cret?k=s3cret", bodyJSON), message())
		s.Close()
		if (err == nil) != tt.ok {
			t.Errorf("%d: %v", tt.code, err)
		}
		if err == nil {
			continue
		}
		if k := outbound.Known(err); k.Final != tt.final || !tt.final && k.After != tt.after {
			t.Errorf("%d: final %v, after %s", tt.code, k.Final, k.After)
		}
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), s.URL) {
			t.Errorf("%d: %v", tt.code, err)
		}
	}
	if got := outbound.RetryAfter(when.Add(time.Minute).Format(http.TimeFormat), when); got != time.Minute {
		t.Errorf("a date a minute on gives %s", got)
	}
}

// A redirect is not followed: who is elsewhere would get message and token.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var reached bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusPermanentRedirect))
	defer s.Close()
	to := hookTo(t, s.URL, bodyJSON)
	to.webhook.tokenFile = secretFile(t, "t0ken")
	err := sent(t, newWire(nil), to, message())
	if err == nil || reached || outbound.Known(err).Final || !strings.Contains(err.Error(), "308") {
		t.Errorf("reached %v, %v", reached, err)
	}
}

// What goes wrong shows no secret, whatever it is.
func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close) // after its parallel users
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	world := secretFile(t, "s3cret")
	if err := os.Chmod(world, 0o644); err != nil {
		t.Fatal(err)
	}
	hook := func(set func(*webhook)) *target {
		to := hookTo(t, gone.URL, bodyJSON)
		set(to.webhook)
		return to
	}
	for name, tt := range map[string]struct {
		to   *target
		want string
	}{
		"nobody listens": {hookTo(t, gone.URL+"/s3cret", bodyJSON), "refused"},
		"no answer":      {hookTo(t, hanging.URL+"/s3cret", bodyJSON), "no answer within"},
		"no such file":   {hook(func(w *webhook) { w.tokenFile = "/nowhere/file" }), "read secret: stat /nowhere/file"},
		"world":          {hook(func(w *webhook) { w.tokenFile = world }), "can be read by others"},
		"two lines":      {hook(func(w *webhook) { w.tokenFile = secretFile(t, "s3cret\ns3cret2") }), "more than one line"},
		"empty":          {hook(func(w *webhook) { w.tokenFile = secretFile(t, "\n") }), "is empty"},
		"url in file":    {hook(func(w *webhook) { w.to.URL, w.to.File = nil, secretFile(t, gone.URL+"/s3cret") }), "refused"},
		"bad url in file": {
			hook(func(w *webhook) { w.to.URL, w.to.File = nil, secretFile(t, "s3cret://x y") }), "the url is not one such as",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.to.timeout = 300 * time.Millisecond
			err := sent(t, newWire(nil), tt.to, message())
			if err == nil || outbound.Known(err).Final {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
