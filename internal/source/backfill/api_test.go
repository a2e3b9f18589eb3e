package backfill

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const theToken = "ghp_secretsecret"

// github behaves as the documentation of its API says, for one hook of a repository and
// one of an organization. It keeps time by package time.
type github struct {
	mu         sync.Mutex
	deliveries []delivery // oldest first
	next       int64
	// answers are what the receiver says to a delivery that is made again, by guid;
	// others are answered with 202.
	answers map[string]int
	asked   []string // guids that were asked for, and when
	pages   int      // lists of deliveries that were given
	hooks   []string // addresses that the repository's hooks send to; ids from 1
	status  map[string]int
	limit   func(r *http.Request) http.Header
	scopes  bool // the token may list hooks
	perPage int
}

func newGitHub() *github {
	return &github{next: 1 << 60, answers: map[string]int{}, status: map[string]int{}, scopes: true, perPage: perPage}
}

// made notes an attempt.
func (g *github) made(guid string, status int, event string, at time.Time, again bool) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next += 7
	g.deliveries = append(g.deliveries, delivery{ID: g.next, GUID: guid, DeliveredAt: at.UTC(), Redelivery: again, StatusCode: status, Event: event})
	return g.next
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	fail := func(code int, message string) {
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"message":%q,"documentation_url":"https://docs.github.com/rest"}`, message)
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+theToken:
		fail(http.StatusUnauthorized, "Bad credentials: "+r.Header.Get("Authorization"))
		return
	case r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("User-Agent") == "" || r.Header.Get("X-GitHub-Api-Version") == "":
		fail(http.StatusForbidden, "Request forbidden by administrative rules.")
		return
	}
	if g.limit != nil {
		if h := g.limit(r); h != nil {
			maps.Copy(w.Header(), h)
			fail(http.StatusForbidden, "API rate limit exceeded")
			return
		}
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/repos/acme/app/hooks")
	if !ok {
		path, ok = strings.CutPrefix(r.URL.Path, "/orgs/acme/hooks")
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case !ok, !g.scopes:
		fail(http.StatusNotFound, "Not Found")
	case r.Method == http.MethodGet && path == "":
		g.listHooks(w)
	case parts[0] != "42":
		fail(http.StatusNotFound, "Not Found")
	case r.Method == http.MethodGet && len(parts) == 2 && parts[1] == "deliveries":
		g.list(w, r)
	case r.Method == http.MethodPost && len(parts) == 4 && parts[3] == "attempts":
		if code := g.attempt(parts[2]); code != http.StatusAccepted {
			fail(code, "it cannot be made")
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("{}"))
	default:
		fail(http.StatusNotFound, "Not Found")
	}
}

func (g *github) listHooks(w http.ResponseWriter) {
	var list []map[string]any
	for i, address := range g.hooks {
		id := i + 1
		if strings.HasSuffix(address, "/hooks/app") {
			id = 42
		}
		list = append(list, map[string]any{"id": id, "name": "web", "config": map[string]any{"url": address, "content_type": "json"}})
	}
	_ = json.NewEncoder(w).Encode(list)
}

// list gives a page, the newest first; a cursor names the first delivery of a page.
func (g *github) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pages++
	all := slices.Clone(g.deliveries)
	slices.Reverse(all)
	if c := strings.TrimPrefix(r.URL.Query().Get("cursor"), "v1_"); c != "" {
		i := slices.IndexFunc(all, func(d delivery) bool { return strconv.FormatInt(d.ID, 10) == c })
		all = all[max(i, 0):]
	}
	if len(all) > g.perPage {
		u := *r.URL
		u.Scheme, u.Host = "http", r.Host
		q := u.Query()
		q.Set("cursor", "v1_"+strconv.FormatInt(all[g.perPage].ID, 10))
		u.RawQuery = q.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<http://%s/x?cursor=a>; rel="prev", <%s>; rel="next"`, r.Host, u.String()))
		all = all[:g.perPage]
	}
	var list []map[string]any
	for _, d := range all {
		status := "OK"
		if !d.ok() {
			status = fmt.Sprintf("Invalid HTTP Response: %d", d.StatusCode)
		}
		list = append(list, map[string]any{
			"id": d.ID, "guid": d.GUID, "delivered_at": d.DeliveredAt.Format(time.RFC3339), "redelivery": d.Redelivery, "duration": 0.27,
			"status": status, "status_code": d.StatusCode, "event": d.Event, "action": nil, "installation_id": nil, "repository_id": 456,
			"url": "", "throttled_at": nil,
		})
	}
	if list == nil {
		list = []map[string]any{}
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (g *github) attempt(id string) int {
	g.mu.Lock()
	i := slices.IndexFunc(g.deliveries, func(d delivery) bool { return strconv.FormatInt(d.ID, 10) == id })
	if i < 0 {
		g.mu.Unlock()
		return http.StatusNotFound
	}
	d := g.deliveries[i]
	code, refused := g.status[d.GUID]
	g.asked = append(g.asked, d.GUID)
	answer, ok := g.answers[d.GUID]
	g.mu.Unlock()
	if refused {
		return code
	}
	if !ok {
		answer = http.StatusAccepted
	}
	g.made(d.GUID, answer, d.Event, time.Now(), true)
	return http.StatusAccepted
}

// read returns how many lists were given, and count how many deliveries were asked for.
func (g *github) read() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pages
}

func (g *github) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

// requests returns what was asked for so far, and forgets it.
func (g *github) requests() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := strings.Join(g.asked, " ")
	g.asked = nil
	return s
}

// direct makes requests of a handler without a network, which synctest cannot wait for.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	r.Host = r.URL.Host
	d.h.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// tokenFile writes the token.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
