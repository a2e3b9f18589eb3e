package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	hostile = `<script>alert("x")</script>`
	quoted  = `"><img src=x onerror=alert(1)>`
)

// get asks the page as a browser would, and checks what every answer must have.
func get(t *testing.T, h http.Handler, path string, code int) string {
	t.Helper()
	return ask(t.Context(), t, h, path, code)
}

func ask(ctx context.Context, t *testing.T, h http.Handler, path string, code int) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:4280"+path, nil))
	if w.Code != code {
		t.Errorf("GET %s: %d, want %d\n%s", path, w.Code, code, w.Body)
	}
	if got := w.Header().Get("X-Content-Type-Options"); code != http.StatusNotFound && got != "nosniff" {
		t.Errorf("GET %s: X-Content-Type-Options is %q", path, got)
	}
	for _, tag := range []string{"<script", "<img", `"alert`} {
		if strings.Contains(w.Body.String(), tag) && strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("GET %s: %s came through\n%s", path, tag, w.Body)
		}
	}
	if code != http.StatusOK {
		return w.Body.String()
	}
	for name, want := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
		"Cache-Control":           "no-store",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("GET %s: %s is %q, want %q", path, name, got, want)
		}
	}
	return w.Body.String()
}

func contains(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(page, p) {
			t.Errorf("no %q in\n%s", p, page)
		}
	}
}

func newPage(t *testing.T) (*busserver.Server, *bus.Bus, *queue.Queue, http.Handler) {
	t.Helper()
	s, b := bustest.Start(t)
	q := queue.New(b, nil)
	// It must need no more than a viewer's rights.
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "page")
	h, err := New(viewer, queue.New(viewer, nil), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, b, q, h
}

func TestEmptyBus(t *testing.T) {
	t.Parallel()
	_, _, _, h := newPage(t)
	contains(t, get(t, h, "/", http.StatusOK), "Jobs of the last day", "Events of the last day", "Runners", `class="empty">none`)
}

func TestHostileNamesAreText(t *testing.T) {
	t.Parallel()
	_, b, q, h := newPage(t)
	ctx := t.Context()
	e, err := events.New("/q?a=%22%3E%3Cimg%20src=x%3E", "com.example."+hostile, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.SetID(hostile)
	if _, err := b.PublishEvent(ctx, bus.ClassExternal, e); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: "events.ext.unreadable", Data: []byte(hostile)}); err != nil {
		t.Fatal(err)
	}
	if err := q.Open(ctx, nil, queue.DefaultTiming); err != nil {
		t.Fatal(err)
	}
	rec, _, err := q.Submit(ctx, queue.Job{
		ID: queue.NewID(), Rule: quoted, Playbook: hostile, Reason: hostile, Hosts: []string{quoted},
		Event: &queue.EventRef{ID: hostile, Type: quoted, Source: hostile},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := events.New("/jobs/x", events.TypeTaskFinished, events.TaskFinished{
		Job: rec.ID, Attempt: 1, Seq: 1, Play: hostile, Task: quoted, Module: "shell", Host: hostile, Status: quoted, Message: hostile,
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := bus.EncodeEvent(bus.ResultSubject(rec.ID), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(ctx, msg); err != nil {
		t.Fatal(err)
	}

	const escaped = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;"
	page := get(t, h, "/", http.StatusOK)
	contains(t, page, escaped, "com.example."+escaped, `<a href="/jobs/`+rec.ID+`">`+rec.ID[:12], "<td>2<td><td><td")
	for _, id := range []string{rec.ID, rec.ID[:6]} {
		page = get(t, h, "/jobs/"+id, http.StatusOK)
		contains(t, page, "pending", "<td>1.1<td>"+escaped, "&#34;&gt;&lt;img src=x onerror=alert(1)&gt;", "<td>"+escaped)
	}
}

// A record that cannot be read hides none of the others.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	_, b, q, h := newPage(t)
	good, bad := queue.NewID(), queue.NewID()
	if _, _, err := q.Submit(t.Context(), queue.Job{ID: good, Rule: "deploy"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.StateSubject(bad), Data: []byte("<b>")}); err != nil {
		t.Fatal(err)
	}
	contains(t, get(t, h, "/", http.StatusOK), good[:12], bus.StateSubject(bad)+" at sequence 2: the job&#39;s record cannot be read")
	contains(t, get(t, h, "/jobs/"+good, http.StatusOK), "deploy")
	contains(t, get(t, h, "/jobs/"+bad, http.StatusNotFound), "at sequence 2: the job's record cannot be read")
}

// The ticks of the clock of rules are not in the way of the events.
func TestTicksAreLeftOut(t *testing.T) {
	t.Parallel()
	_, b, _, h := newPage(t)
	for class, typ := range map[string]string{bus.ClassOwn: events.TypeClockTicked, bus.ClassExternal: "com.example.seen"} {
		e, err := events.New("/test", typ, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.PublishEvent(t.Context(), class, e); err != nil {
			t.Fatal(err)
		}
	}
	page := get(t, h, "/", http.StatusOK)
	contains(t, page, "com.example.seen")
	if strings.Contains(page, events.TypeClockTicked) {
		t.Error("a tick is shown")
	}
}

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	_, b, _, h := newPage(t)
	for i := range 3 * shown {
		e, err := events.New("/test", "com.example.tick", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.PublishEvent(t.Context(), bus.ClassExternal, e); err != nil {
			t.Fatal(i, err)
		}
	}
	page := get(t, h, "/", http.StatusOK)
	if n := strings.Count(page, "com.example.tick"); n != shown {
		t.Errorf("%d events shown, want the last %d", n, shown)
	}
	last, first := strings.Index(page, "<tr><td>150<"), strings.Index(page, "<tr><td>101<")
	if last < 0 || first < last || strings.Contains(page, "<tr><td>100<") {
		t.Errorf("events 150 to 101 expected in that order\n%s", page)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s, _, q, h := newPage(t)
	for _, id := range []string{"aa", "ab"} {
		if _, _, err := q.Submit(t.Context(), queue.Job{ID: id + queue.NewID()[2:]}); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, get(t, h, "/jobs/a", http.StatusNotFound), "more than one job begins with that")
	contains(t, get(t, h, "/jobs/ffff", http.StatusNotFound), "no such job")
	contains(t, get(t, h, "/jobs/"+strings.Repeat("%2e", 32), http.StatusNotFound), "no such job")
	get(t, h, "/jobs/", http.StatusNotFound)
	get(t, h, "/other", http.StatusNotFound)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://[::1]:4280/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %d", w.Code)
	}

	// A bus that is away is no reason to say that a job does not exist, nor to
	// tell the reader about the inside.
	s.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for _, path := range []string{"/", "/jobs/aa"} {
		if got := ask(ctx, t, h, path, http.StatusServiceUnavailable); got != "the bus cannot be read at the moment\n" {
			t.Errorf("GET %s without a bus: %s", path, got)
		}
	}
}

// TestOtherHosts refuses requests by another name: that of a site whose address
// was made to point here.
func TestOtherHosts(t *testing.T) {
	t.Parallel()
	_, _, _, h := newPage(t)
	for host, want := range map[string]int{
		"localhost": http.StatusOK, "localhost:4280": http.StatusOK, "127.0.0.1:4280": http.StatusOK, "[::1]:4280": http.StatusOK,
		"evil.example": http.StatusForbidden, "evil.example:4280": http.StatusForbidden, "192.0.2.1": http.StatusForbidden,
		"localhost.evil.example": http.StatusForbidden, "": http.StatusForbidden,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// TestWhatJobsWaitFor shows why a job does not run, and who runs one by hand.
func TestWhatJobsWaitFor(t *testing.T) {
	t.Parallel()
	_, _, q, h := newPage(t)
	waits, _, err := q.Submit(t.Context(), queue.Job{ID: queue.NewID(), Rule: "deploy", Approval: &queue.Approval{}})
	if err != nil {
		t.Fatal(err)
	}
	hand, _, err := q.Submit(t.Context(), queue.Job{
		ID: queue.NewID(), StartedBy: "alice@<desk>", RetryOf: waits.ID, Needs: map[string]string{"site": hostile},
	})
	if err != nil {
		t.Fatal(err)
	}
	const label = "a runner: none that is alive has the label site=&lt;script&gt;"
	contains(t, get(t, h, "/", http.StatusOK), "unapproved, waits for an approval<td>deploy<td>", "pending, waits for "+label, "<td>by alice@&lt;desk&gt;<td>")
	contains(t, get(t, h, "/jobs/"+waits.ID, http.StatusOK), "<p>It waits for an approval</p>", "<th>rule<td>deploy")
	contains(t, get(t, h, "/jobs/"+hand.ID, http.StatusOK), "<p>It waits for "+label, "<th>run by<td>alice@&lt;desk&gt;",
		`once more what job <a href="/jobs/`+waits.ID+`">`+waits.ID[:12]+"</a> was")
	if _, err := q.Approve(t.Context(), waits.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	contains(t, get(t, h, "/jobs/"+waits.ID, http.StatusOK), "pending", "<th>approved by<td>bob")
}
