package outbound_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/internal/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// What an answer means, and that nothing secret is in what is said of it.
func TestSend(t *testing.T) {
	t.Parallel()
	var reached bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
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
		{code: 308},
		{code: 400, final: true},
		{code: 401, final: true},
		{code: 410, final: true, retry: "5"},
		{code: 408},
		{code: 425},
		{code: 429, retry: "7", after: 7 * time.Second},
		{code: 500},
		{code: 503, retry: "120", after: 2 * time.Minute},
		{code: 503, retry: "soon"},
	} {
		var head http.Header
		var body []byte
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			head = r.Header.Clone()
			body, _ = io.ReadAll(r.Body)
			w.Header().Set("Retry-After", tt.retry)
			w.Header().Set("Location", other.URL)
			w.WriteHeader(tt.code)
			_, _ = io.WriteString(w, "you said s3cret")
		}))
		c := outbound.NewClient(nil, 1)
		code, err := c.Send(t.Context(), outbound.Request{
			Method: http.MethodPost, To: outbound.Address{File: secretFile(t, s.URL+"/s3cret?k=s3cret\n"), Secret: true},
			Header: http.Header{"X-Env": {"prod"}}, Body: []byte("hello"), TokenFile: secretFile(t, "s3cret"), Config: "x.yml",
		})
		c.Close()
		s.Close()
		if code != tt.code || (err == nil) != tt.ok || string(body) != "hello" || head.Get("Authorization") != "Bearer s3cret" || head.Get("X-Env") != "prod" {
			t.Errorf("%d: %d, %v, header %v, body %q", tt.code, code, err, head, body)
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
	if reached {
		t.Error("a redirect was followed")
	}
}

// Who has no answer is told why, in the words of whoever ended the attempt.
func TestSendEnds(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
	}))
	defer s.Close()
	u, err := url.Parse(s.URL + "/s3cret")
	if err != nil {
		t.Fatal(err)
	}
	c := outbound.NewClient(nil, 1)
	defer c.Close()
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	code, err := c.Send(ctx, outbound.Request{Method: http.MethodPost, To: outbound.Address{URL: u}, Header: http.Header{}})
	if code != 0 || !errors.Is(err, enough) || err.Error() != "reach "+s.URL+": enough" {
		t.Errorf("%d, %v", code, err)
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, want string
		secret    bool
	}{
		{"https://h.example.com/x#frag", "", true},
		{"http://h.example.com/x", "", false},
		{"http://h.example.com/s3cret", "sent in the clear", true},
		{"http://localhost:1/x", "", true},
		{"http://[::1]:1/x", "", true},
		{"http://127.0.0.1.example.com/s3cret", "sent in the clear", true},
		{"https://u:s3cret@h.example.com", "user or password", false},
		{"s3cret", "not one such as", false},
		{"https:///s3cret", "not one such as", false},
		{"ftp://h.example.com/s3cret", "not one such as", false},
		{"https://h.example.com:s3cret/", "not one such as", false},
	} {
		u, err := outbound.ParseURL(tt.url, tt.secret)
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %v, want %q", tt.url, err, tt.want)
		}
		if err == nil && u.Fragment != "" {
			t.Errorf("%s keeps its fragment", tt.url)
		}
	}
}

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"X-Env", "prod", ""},
		{"authorization", "s3cret", "Authorization is a secret"},
		{"content-type", "a", "Content-Type is set by jet-bus itself"},
		{"x-own", "a", "X-Own is set by jet-bus itself"},
		{"", "a", "is no name"},
		{"a b", "a", "is no name"},
		{"X-A", "a\r\nX-B: b", "is no name"},
		{"X-A", "ü", "is no name"},
	} {
		err := outbound.CheckHeader(tt.name, tt.value, "X-Own")
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := outbound.RetryAfter(v, now); got != want {
			t.Errorf("%q: %s, want %s", v, got, want)
		}
	}
}
