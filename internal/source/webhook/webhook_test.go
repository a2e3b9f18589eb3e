package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

const (
	secret  = "correct horse battery staple"
	second  = "another secret for rotation"
	signing = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
)

// store is a publisher that keeps what it gets.
type store struct {
	err error // answered instead, if set

	mu   sync.Mutex
	list []events.Event
}

func (s *store) PublishEvent(_ context.Context, e events.Event, _ string) (uint64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, false, s.err
	}
	for i, old := range s.list {
		if old.ID() == e.ID() && old.Source() == e.Source() {
			return uint64(i + 1), true, nil
		}
	}
	s.list = append(s.list, e)
	return uint64(len(s.list)), false, nil
}

// hooks are one of each kind, named after it.
func hooks() []webhook.Hook {
	list := []webhook.Hook{{Name: "signing", Kind: webhook.GitLab, Secrets: [][]byte{[]byte(signing)}}}
	for _, kind := range []webhook.Kind{webhook.GitHub, webhook.Gitea, webhook.Forgejo, webhook.GitLab, webhook.CloudEvents} {
		list = append(list, webhook.Hook{Name: string(kind), Kind: kind, Secrets: [][]byte{[]byte(secret), []byte(second)}})
	}
	return list
}

func handler(t *testing.T, s *store) http.Handler {
	t.Helper()
	h, err := webhook.New(hooks(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// send posts body to a hook and returns the status and the decoded answer.
func send(h http.Handler, hook string, body []byte, headers ...http.Header) (int, any, http.Header) {
	r := httptest.NewRequest(http.MethodPost, "/hooks/"+hook, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, set := range headers {
		for name, values := range set {
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return do(h, r)
}

func do(h http.Handler, r *http.Request) (int, any, http.Header) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		answer = err
	}
	return w.Code, answer, w.Header()
}

func headers(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func sentence(answer any) string {
	object, _ := answer.(map[string]any)
	s, _ := object["error"].(string)
	return s
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := webhook.Hook{Name: "a", Kind: webhook.GitHub, Secrets: [][]byte{[]byte(secret)}}
	for name, tc := range map[string]struct {
		change func(*webhook.Hook)
		want   string
	}{
		"no secret":       {func(h *webhook.Hook) { h.Secrets = nil }, "no secret"},
		"empty secret":    {func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte(secret), {}} }, "is empty"},
		"short secret":    {func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte("123456789012345")} }, "shorter than 16"},
		"three secrets":   {func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte(secret), []byte(secret), []byte(secret)} }, "3 secrets"},
		"no kind":         {func(h *webhook.Hook) { h.Kind = "" }, "kind"},
		"no name":         {func(h *webhook.Hook) { h.Name = "" }, "name must"},
		"path":            {func(h *webhook.Hook) { h.Name = "a/b" }, "name must"},
		"parent":          {func(h *webhook.Hook) { h.Name = ".." }, "name must"},
		"same name":       {func(h *webhook.Hook) { h.Name = "b" }, `two webhooks are called "b"`},
		"bad signing":     {func(h *webhook.Hook) { h.Kind, h.Secrets = webhook.GitLab, [][]byte{[]byte("whsec_!!!!!!!!!!!!")} }, "not base64"},
		"short signing":   {func(h *webhook.Hook) { h.Kind, h.Secrets = webhook.GitLab, [][]byte{[]byte("whsec_MDEyMzQ1Njc4OTA=")} }, "fewer than 16"},
		"nothing is bad":  {func(*webhook.Hook) {}, ""},
		"sixteen is fine": {func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte("1234567890123456")} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := good
			tc.change(&h)
			other := good
			other.Name = "b"
			_, err := webhook.New([]webhook.Hook{other, h}, &store{}, nil)
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("error %v tells the secret", err)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, key := range []string{secret, second} {
		s := &store{}
		h := handler(t, s)
		body := testdata(t, "testdata/github_push.json")
		about := headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "d-1")
		signed := webhook.Sign(webhook.GitHub, []byte(key), body)
		status, answer, _ := send(h, "github", body, about, signed)
		want := map[string]any{
			"id": "d-1", "source": "https://github.com/acme/app", "type": "com.github.push", "seq": 1.0, "duplicate": false,
		}
		if d := cmp.Diff(want, answer); status != http.StatusAccepted || d != "" {
			t.Errorf("status %d: %s", status, d)
		}
		// A redelivery is accepted too, and said to be one.
		want["duplicate"] = true
		status, answer, _ = send(h, "github", body, about, signed)
		if d := cmp.Diff(want, answer); status != http.StatusAccepted || d != "" {
			t.Errorf("status %d: %s", status, d)
		}
		var sent, got any
		if err := errors.Join(json.Unmarshal(body, &sent), s.list[0].DataAs(&got)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(sent, got); d != "" {
			t.Errorf("data is not the payload: %s", d)
		}
		if !bytes.Contains(s.list[0].Data(), []byte("<head> & co")) {
			t.Errorf("data was escaped: %s", s.list[0].Data())
		}
	}
}

func sha1Header(body []byte) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write(body)
	return "sha1=" + hex.EncodeToString(mac.Sum(nil))
}

func TestUnauthenticated(t *testing.T) {
	t.Parallel()
	body := testdata(t, "testdata/github_push.json")
	other := []byte("not the secret of this hook")
	valid := webhook.Sign(webhook.GitHub, []byte(secret), body).Get("X-Hub-Signature-256")
	for name, tc := range map[string]struct {
		hook    string
		headers http.Header
	}{
		"github nothing":       {"github", nil},
		"github empty header":  {"github", headers("X-Hub-Signature-256", "")},
		"github empty digest":  {"github", headers("X-Hub-Signature-256", "sha256=")},
		"github no prefix":     {"github", headers("X-Hub-Signature-256", strings.TrimPrefix(valid, "sha256="))},
		"github sha1 only":     {"github", headers("X-Hub-Signature", sha1Header(body))},
		"github sha1 value":    {"github", headers("X-Hub-Signature-256", sha1Header(body))},
		"github old header":    {"github", headers("X-Hub-Signature", valid)},
		"github other secret":  {"github", webhook.Sign(webhook.GitHub, other, body)},
		"github other body":    {"github", webhook.Sign(webhook.GitHub, []byte(secret), []byte("{}"))},
		"github cut off":       {"github", headers("X-Hub-Signature-256", valid[:len(valid)-2])},
		"github not hex":       {"github", headers("X-Hub-Signature-256", "sha256="+strings.Repeat("zz", 32))},
		"github gitea's":       {"github", webhook.Sign(webhook.Gitea, []byte(secret), body)},
		"github empty key":     {"github", webhook.Sign(webhook.GitHub, nil, body)},
		"gitea nothing":        {"gitea", nil},
		"gitea github's":       {"gitea", headers("X-Hub-Signature-256", valid)},
		"gitea other secret":   {"gitea", webhook.Sign(webhook.Gitea, other, body)},
		"gitea empty":          {"gitea", headers("X-Gitea-Signature", "")},
		"forgejo nothing":      {"forgejo", nil},
		"forgejo other secret": {"forgejo", webhook.Sign(webhook.Forgejo, other, body)},
		"gitlab nothing":       {"gitlab", nil},
		"gitlab other token":   {"gitlab", headers("X-Gitlab-Token", secret+"x")},
		"gitlab part of token": {"gitlab", headers("X-Gitlab-Token", secret[:20])},
		"signing nothing":      {"signing", nil},
		"signing in clear":     {"signing", headers("X-Gitlab-Token", signing)},
		"signing other body":   {"signing", webhook.Sign(webhook.GitLab, []byte(signing), []byte("{}"))},
		"signing other key":    {"signing", webhook.Sign(webhook.GitLab, []byte("whsec_"+strings.Repeat("AAAA", 8)), body)},
		"signing no time":      {"signing", headers("Webhook-Id", "1", "Webhook-Signature", "v1,AAAA")},
		"cloudevents nothing":  {"cloudevents", nil},
		"cloudevents basic":    {"cloudevents", headers("Authorization", "Basic "+secret)},
		"cloudevents other":    {"cloudevents", headers("Authorization", "Bearer "+string(other))},
		"cloudevents empty":    {"cloudevents", headers("Authorization", "Bearer ")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			about := headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "1", "X-Gitea-Event", "push", "X-Gitea-Delivery", "1")
			status, answer, _ := send(handler(t, s), tc.hook, body, about, tc.headers)
			if status != http.StatusUnauthorized || sentence(answer) == "" {
				t.Errorf("status %d, answer %v", status, answer)
			}
			if len(s.list) != 0 {
				t.Errorf("published %v", s.list)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	push := testdata(t, "testdata/github_push.json")
	about := headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "1")
	bearer := headers("Authorization", "Bearer "+secret)
	event := func(typ string) []byte {
		return fmt.Appendf(nil, `{"specversion":"1.0","id":"1","source":"/s","type":%q}`, typ)
	}
	structured := headers("Content-Type", events.MediaType)
	batch := headers("Content-Type", events.MediaTypeBatch)
	big := fmt.Appendf(nil, `{"ref":"x","repository":{"url":"https://example.com"},"commits":%q}`, strings.Repeat("x", webhook.MaxEvent))
	for name, tc := range map[string]struct {
		hook    string
		body    []byte
		headers http.Header
		want    int
		why     string
	}{
		"unknown hook":        {"nobody", push, about, 404, "no webhook"},
		"form":                {"github", []byte("payload=%7B%7D"), headers("Content-Type", "application/x-www-form-urlencoded"), 415, "application/json"},
		"no content type":     {"github", push, headers("Content-Type", ""), 415, "application/json"},
		"compressed":          {"github", push, headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "1", "Content-Encoding", "gzip"), 415, "compressed"},
		"deep":                {"github", []byte(`{"quoted":"\"[{","ref":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "}"), about, 400, "within each other"},
		"deep event":          {"cloudevents", deepEvent(500), structured, 400, "within each other"},
		"malformed":           {"github", []byte(`{"ref":`), about, 400, "not valid JSON"},
		"two values":          {"github", []byte(`{} {}`), about, 400, "not valid JSON"},
		"empty":               {"github", nil, about, 400, "not valid JSON"},
		"not an object":       {"github", []byte(`[]`), about, 400, "not a JSON object"},
		"null":                {"github", []byte(`null`), about, 400, "not a JSON object"},
		"not UTF-8":           {"github", []byte("{\"ref\":\"\xff\"}"), about, 400, "UTF-8"},
		"no event":            {"github", push, headers("X-GitHub-Delivery", "1"), 400, "X-GitHub-Event"},
		"event with dots":     {"github", push, headers("X-GitHub-Delivery", "1", "X-GitHub-Event", "a.b"), 400, "X-GitHub-Event"},
		"no delivery":         {"github", push, headers("X-GitHub-Event", "push"), 400, "X-GitHub-Delivery"},
		"large event":         {"github", big, about, 413, "the bus takes 262144"},
		"large body":          {"github", make([]byte, 4<<20+1), about, 413, "4 MiB"},
		"gitlab no kind":      {"gitlab", []byte(`{"object_kind":"A.B"}`), nil, 400, "object_kind"},
		"plain JSON":          {"cloudevents", event("a"), bearer, 415, "unsupported media type"},
		"event malformed":     {"cloudevents", []byte("{}"), structured, 400, "malformed"},
		"own type":            {"cloudevents", event(events.TypeJobFailed), structured, 403, "reserved"},
		"own type in a batch": {"cloudevents", fmt.Appendf(nil, "[%s,%s]", event("a"), event("dev.jet-bus.x")), batch, 403, "reserved"},
		"batch too long":      {"cloudevents", fmt.Appendf(nil, "[%s%s]", event("a"), strings.Repeat(","+string(event("a")), 200)), batch, 413, "200 events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			kind := webhook.Kind(tc.hook)
			status, answer, _ := send(handler(t, s), tc.hook, tc.body, webhook.Sign(kind, []byte(secret), tc.body), tc.headers)
			if status != tc.want || !strings.Contains(sentence(answer), tc.why) {
				t.Errorf("status %d, answer %v; want %d, %q", status, answer, tc.want, tc.why)
			}
			if len(s.list) != 0 {
				t.Errorf("published %v", s.list)
			}
		})
	}
}

// deepEvent is an event whose data is so many lists within each other.
func deepEvent(depth int) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"1","source":"/s","type":"a","data":%s%s}`, strings.Repeat("[", depth), strings.Repeat("]", depth))
}

// What is in a text is not nested, and what is just deep enough is taken.
func TestDeep(t *testing.T) {
	t.Parallel()
	text := fmt.Appendf(nil, `{"ref":"\\\"%s","repository":{"url":"https://example.com"}}`, strings.Repeat("[", 1000))
	for name, tc := range map[string]struct {
		hook    string
		body    []byte
		headers http.Header
	}{
		"github":      {"github", text, headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "1")},
		"cloudevents": {"cloudevents", deepEvent(499), headers("Content-Type", events.MediaType)},
	} {
		s := &store{}
		status, answer, _ := send(handler(t, s), tc.hook, tc.body, webhook.Sign(webhook.Kind(tc.hook), []byte(secret), tc.body), tc.headers)
		if status != http.StatusAccepted || len(s.list) != 1 {
			t.Errorf("%s: status %d, answer %v", name, status, answer)
		}
	}
}

// unsized hides the length of a body, as a chunked request does.
type unsized struct{ io.Reader }

func TestLargeBodyWithoutLength(t *testing.T) {
	t.Parallel()
	s := &store{}
	r := httptest.NewRequest(http.MethodPost, "/hooks/github", unsized{bytes.NewReader(make([]byte, 4<<20+1))})
	r.Header.Set("Content-Type", "application/json")
	if status, answer, _ := do(handler(t, s), r); status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, answer %v", status, answer)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	h := handler(t, &store{})
	for _, tc := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/hooks/github", 405},
		{http.MethodPut, "/hooks/github", 405},
		{http.MethodGet, "/hooks/nobody", 404},
		{http.MethodPost, "/hooks/", 404},
		{http.MethodPost, "/hooks/github/x", 404},
		{http.MethodPost, "/", 404},
	} {
		status, answer, header := do(h, httptest.NewRequest(tc.method, tc.path, strings.NewReader("{}")))
		if status != tc.want || sentence(answer) == "" {
			t.Errorf("%s %s: status %d, answer %v", tc.method, tc.path, status, answer)
		}
		if allow := header.Get("Allow"); (allow == "POST") != (tc.want == 405) {
			t.Errorf("%s %s: Allow %q", tc.method, tc.path, allow)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	s := &store{}
	body := testdata(t, "testdata/github_ping.json")
	status, answer, _ := send(handler(t, s), "github", body, headers("X-GitHub-Event", "ping", "X-GitHub-Delivery", "1"),
		webhook.Sign(webhook.GitHub, []byte(secret), body))
	if status != http.StatusOK || len(s.list) != 0 {
		t.Errorf("status %d, answer %v, published %v", status, answer, s.list)
	}
}

type temporaryError bool

func (temporaryError) Error() string     { return "seven of nine disks are full" }
func (t temporaryError) Temporary() bool { return bool(t) }

func TestPublisherFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		want  int
		retry string
	}{
		"unavailable": {fmt.Errorf("seven of nine disks are full: %w", webhook.ErrUnavailable), 503, "5"},
		"temporary":   {fmt.Errorf("publishing: %w", temporaryError(true)), 503, "5"},
		"permanent":   {temporaryError(false), 500, ""},
		"other":       {errors.New("seven of nine disks are full"), 500, ""},
		"too large":   {fmt.Errorf("seven of nine disks are full: %w", events.ErrTooLarge), 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h, err := webhook.New(hooks(), &store{err: tc.err}, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			body := testdata(t, "testdata/github_push.json")
			status, answer, header := send(h, "github", body, headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "1"),
				webhook.Sign(webhook.GitHub, []byte(secret), body))
			if status != tc.want || header.Get("Retry-After") != tc.retry || sentence(answer) == "" {
				t.Errorf("status %d, Retry-After %q, answer %v", status, header.Get("Retry-After"), answer)
			}
			if strings.Contains(sentence(answer), "disks") {
				t.Errorf("answer %v tells what is inside", answer)
			}
			if !strings.Contains(log.String(), "disks") || strings.Contains(log.String(), secret) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestCloudEvents(t *testing.T) {
	t.Parallel()
	one := func(id string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/s","type":"dev.example.x","data":{"a":1}}`, id)
	}
	bearer := webhook.Sign(webhook.CloudEvents, []byte(second), nil)
	answer := func(id string, seq float64) any {
		return map[string]any{"id": id, "source": "/s", "type": "dev.example.x", "seq": seq, "duplicate": false}
	}
	for name, tc := range map[string]struct {
		headers http.Header
		body    string
		status  int
		want    any
	}{
		"structured": {headers("Content-Type", events.MediaType), one("1"), 202, answer("1", 1)},
		"binary": {
			headers("Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "dev.example.x"),
			`{"a":1}`, 202, answer("1", 1),
		},
		"batch":       {headers("Content-Type", events.MediaTypeBatch), "[" + one("1") + "," + one("2") + "]", 202, []any{answer("1", 1), answer("2", 2)}},
		"batch of 1":  {headers("Content-Type", events.MediaTypeBatch), "[" + one("1") + "]", 202, []any{answer("1", 1)}},
		"empty batch": {headers("Content-Type", events.MediaTypeBatch), "[]", 200, map[string]any{"ignored": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			status, got, _ := send(handler(t, s), "cloudevents", []byte(tc.body), bearer, tc.headers)
			if d := cmp.Diff(tc.want, got); status != tc.status || d != "" {
				t.Errorf("status %d: %s", status, d)
			}
			for _, e := range s.list {
				if string(e.Data()) != `{"a":1}` {
					t.Errorf("published %v", e)
				}
			}
		})
	}
}

func TestSigningWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := testdata(t, "testdata/gitlab_release.json")
		h := handler(t, &store{})
		signed := webhook.Sign(webhook.GitLab, []byte(signing), body)
		expect := func(want int) {
			t.Helper()
			if status, answer, _ := send(h, "signing", body, signed); status != want {
				t.Errorf("status %d, want %d, answer %v", status, want, answer)
			}
		}
		expect(202)
		time.Sleep(5 * time.Minute)
		expect(202)
		time.Sleep(time.Second)
		expect(401)
		signed = webhook.Sign(webhook.GitLab, []byte(signing), body)
		expect(202)
		// Among several signatures any valid one counts.
		signed.Set("Webhook-Signature", "v1a,AAAA v1,AAAA v1,! "+signed.Get("Webhook-Signature"))
		expect(202)
		signed.Set("Webhook-Id", "another")
		expect(401)
	})
}

func TestSigningClockAhead(t *testing.T) {
	t.Parallel()
	body := testdata(t, "testdata/gitlab_release.json")
	var ahead http.Header
	synctest.Test(t, func(*testing.T) {
		time.Sleep(6 * time.Minute)
		ahead = webhook.Sign(webhook.GitLab, []byte(signing), body)
	})
	// Each bubble begins at the same time.
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, &store{})
		if status, answer, _ := send(h, "signing", body, ahead); status != 401 || !strings.Contains(sentence(answer), "clock") {
			t.Errorf("status %d, answer %v", status, answer)
		}
		time.Sleep(time.Minute)
		if status, answer, _ := send(h, "signing", body, ahead); status != 202 {
			t.Errorf("status %d, answer %v", status, answer)
		}
	})
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := testdata(t, "testdata/github_push.json")
		h := handler(t, &store{})
		about := headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "1")
		signed := webhook.Sign(webhook.GitHub, []byte(secret), body)
		until := func(limit int) int {
			for i := range limit {
				status, answer, header := send(h, "github", body, about, signed)
				if status == http.StatusTooManyRequests {
					if header.Get("Retry-After") == "" || sentence(answer) == "" {
						t.Errorf("answer %v with headers %v", answer, header)
					}
					return i
				}
			}
			return limit
		}
		// Forged requests take nothing of the sender's share.
		for range 300 {
			if status, _, _ := send(h, "github", body, about); status != http.StatusUnauthorized {
				t.Fatalf("status %d", status)
			}
		}
		if n := until(1000); n != 200 {
			t.Errorf("%d requests at once, want 200", n)
		}
		// Another hook has its own share.
		if status, _, _ := send(h, "gitlab", testdata(t, "testdata/gitlab_release.json"),
			webhook.Sign(webhook.GitLab, []byte(secret), nil)); status != http.StatusAccepted {
			t.Errorf("status %d on another hook", status)
		}
		time.Sleep(time.Second)
		if n := until(1000); n != 50 {
			t.Errorf("%d requests a second later, want 50", n)
		}
		time.Sleep(time.Hour)
		if n := until(1000); n != 200 {
			t.Errorf("%d requests an hour later, want 200", n)
		}
	})
}
