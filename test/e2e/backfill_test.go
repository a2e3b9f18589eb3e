package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBackfill has a host send deliveries while jet-bus is away, and looks whether
// jet-bus asks for them, once, when it is back.
func TestBackfill(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	g := newHookLog(t)
	write(t, filepath.Join(s.data, "token"), "ghp_example\n")
	write(t, filepath.Join(s.data, "hooks.yml"), fmt.Sprintf(`hooks:
  - name: app
    kind: github
    secret_files: [github.secret]
    backfill: {repository: acme/app, hook: 7, token_file: token, base_url: %q}
`, g.api.URL))
	s.startBus(t)
	g.to(s.addr.HTTP + "/hooks/app")
	g.deliver(t, "there", push("refs/heads/one"))
	s.bus.Kill(t)
	g.deliver(t, "away-1", push("refs/heads/two"))
	g.deliver(t, "away-2", push("refs/heads/three"))
	s.startBus(t)
	g.to(s.addr.HTTP + "/hooks/app")
	for range 2 { // the second time there is nothing to ask for
		if out := s.jet(t, "sources", "poll", "backfill-app", "--wait"); out.Code != 0 {
			t.Fatalf("jet sources poll: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
		}
	}
	if got := strings.Join(g.askedFor(), " "); got != "away-1 away-2" {
		t.Errorf("asked for %q", got)
	}
	var ids []string
	for _, line := range list[struct {
		Event struct{ ID, Type string }
	}](t, s, "events") {
		if line.Event.Type == "com.github.push" {
			ids = append(ids, line.Event.ID)
		}
	}
	if got := strings.Join(ids, " "); got != "there away-1 away-2" {
		t.Errorf("the events are %q", got)
	}
	var state struct{ State, Error string }
	for _, one := range list[struct{ Name, State, Error string }](t, s, "sources") {
		if one.Name == "backfill-app" {
			state.State, state.Error = one.State, one.Error
		}
	}
	if state.State != "ok" || state.Error != "" {
		t.Errorf("it fares %+v", state)
	}
}

func push(ref string) []byte {
	return fmt.Appendf(nil, `{"ref":%q,"repository":{"full_name":"acme/app","url":"https://api.example.com/repos/acme/app"},"sender":{"login":"dev"}}`, ref)
}

// hookLog stands in for GitHub: it posts deliveries, tries each once, and has the part of
// its REST API that is about them, as its documentation has it.
type hookLog struct {
	api *httptest.Server

	mu      sync.Mutex
	url     string
	entries []hookEntry // oldest first
	bodies  map[string][]byte
	asked   []string
}

// hookEntry is an item of "List deliveries for a repository webhook".
type hookEntry struct {
	ID             int64     `json:"id"`
	GUID           string    `json:"guid"`
	DeliveredAt    time.Time `json:"delivered_at"`
	Redelivery     bool      `json:"redelivery"`
	Duration       float64   `json:"duration"`
	Status         string    `json:"status"`
	StatusCode     int       `json:"status_code"`
	Event          string    `json:"event"`
	Action         *string   `json:"action"`
	InstallationID *int64    `json:"installation_id"`
	RepositoryID   *int64    `json:"repository_id"`
	ThrottledAt    *string   `json:"throttled_at"`
}

func newHookLog(t *testing.T) *hookLog {
	t.Helper()
	g := &hookLog{bodies: make(map[string][]byte)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/acme/app/hooks/7/deliveries", func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		page := []hookEntry{}
		for i := range g.entries {
			page = append(page, g.entries[len(g.entries)-1-i])
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	mux.HandleFunc("POST /repos/acme/app/hooks/7/deliveries/{id}/attempts", func(w http.ResponseWriter, r *http.Request) {
		guid := g.guid(r.PathValue("id"))
		if guid == "" {
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
			return
		}
		g.attempt(t, guid, true)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("{}"))
	})
	g.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ghp_example" || r.Header.Get("Accept") != "application/vnd.github+json" || r.UserAgent() == "" {
			t.Errorf("%s %s with the headers %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(g.api.Close)
	return g
}

// to says where deliveries go from now on.
func (g *hookLog) to(url string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.url = url
}

// deliver makes a delivery, once.
func (g *hookLog) deliver(t *testing.T, guid string, body []byte) {
	t.Helper()
	g.mu.Lock()
	g.bodies[guid] = body
	g.mu.Unlock()
	g.attempt(t, guid, false)
}

func (g *hookLog) guid(id string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.entries {
		if fmt.Sprint(e.ID) == id {
			g.asked = append(g.asked, e.GUID)
			return e.GUID
		}
	}
	return ""
}

func (g *hookLog) askedFor() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

// attempt posts a delivery and notes what came of it.
func (g *hookLog) attempt(t *testing.T, guid string, again bool) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	body := g.bodies[guid]
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/044aadd"}, "X-Github-Event": {"push"},
		"X-Github-Delivery": {guid}, "X-Github-Hook-Id": {"7"}, "X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}
	e := hookEntry{ID: int64(1000 + len(g.entries)), GUID: guid, DeliveredAt: time.Now().UTC(), Redelivery: again, Event: "push", Status: "failed to connect"}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		e.StatusCode, e.Status = resp.StatusCode, resp.Status
	}
	g.entries = append(g.entries, e)
}
