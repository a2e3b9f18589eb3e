package releases

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSitesAskOneThingAtATime makes sure of that for one site, and that another one need
// not wait for it.
func TestSitesAskOneThingAtATime(t *testing.T) {
	t.Parallel()
	var busy, most, asked atomic.Int32
	block := make(chan struct{})
	slow := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), busy.Add(1)))
		defer busy.Add(-1)
		asked.Add(1)
		<-block
		fmt.Fprint(w, "[]")
	})
	quick := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") })
	sites := NewSites()
	var wg sync.WaitGroup
	for i := range 5 {
		r := slow
		r.Name, r.Token = fmt.Sprintf("a/%d", i), fmt.Sprint(i%2)
		wg.Go(func() {
			if _, err := sites.Watch().Poll(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(30 * time.Second); asked.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was asked")
		}
	}
	if _, err := sites.Watch().Poll(t.Context(), quick); err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d at once", n)
	}
	close(block)
	wg.Wait()
	if most.Load() != 1 || asked.Load() != 5 {
		t.Errorf("at most %d at once, %d in all", most.Load(), asked.Load())
	}
}

// TestPoll makes sure that a page that did not change is not sent again, that a new
// one is read, and that a caller may take out what it does not need.
func TestPoll(t *testing.T) {
	t.Parallel()
	body := []string{`[{"id": 3, "tag_name": "v3"}]`, `[{"id": 2, "tag_name": "v2"}, {"id": 3, "tag_name": "v3"}]`}
	var statuses []int
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := 0
		if r.URL.Query().Get("page") == "2" {
			page = 1
		} else {
			w.Header().Set("Link", "<"+srv.URL+`/repos/a/b/releases?page=2>; rel="next"`)
		}
		etag := fmt.Sprintf(`"%x"`, body[page])
		w.Header().Set("ETag", etag)
		status := http.StatusOK
		if r.Header.Get("If-None-Match") == etag {
			status = http.StatusNotModified
		}
		statuses = append(statuses, status)
		w.WriteHeader(status)
		if status == http.StatusOK {
			fmt.Fprint(w, body[page])
		}
	}))
	defer srv.Close()
	r := Repository{Provider: GitHub, Base: srv.URL, Name: "a/b"}
	watch := NewSites().Watch()
	look := func(changed bool, want ...string) Listing {
		t.Helper()
		l, err := watch.Poll(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range l.Releases {
			got = append(got, r.Tag+" "+string(r.Raw))
		}
		if !slices.Equal(got, want) || l.Changed != changed || l.More {
			t.Errorf("got %q, changed %v, more %v", got, l.Changed, l.More)
		}
		return l
	}
	const two, three = `v2 {"id": 2, "tag_name": "v2"}`, `v3 {"id": 3, "tag_name": "v3"}`
	look(true, three, two)
	l := look(false, three, two)
	l.Releases[0].Raw = nil
	look(false, "v3 ", two)
	body[0] = `[{"id": 4, "tag_name": "v4"}]`
	body[1] = `[{"id": 3, "tag_name": "v3"}]`
	look(true, `v4 {"id": 4, "tag_name": "v4"}`, three)
	if want := []int{200, 200, 304, 304, 304, 304, 200, 200}; !slices.Equal(statuses, want) {
		t.Errorf("answers %v", statuses)
	}
}

// TestPollWithoutHome makes sure that a list is there although it cannot be kept.
func TestPollWithoutHome(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", file)
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"x"`)
		fmt.Fprint(w, `[{"id": 1, "tag_name": "v1"}]`)
	})
	r.ETags = true
	l, err := NewSites().Watch().Poll(t.Context(), r)
	if err != nil || len(l.Releases) != 1 || l.Warning == nil || !strings.Contains(l.Warning.Error(), "keeping the answer for cache_etags") {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestStoredAnswersAreRenewed makes sure that an answer that stays true is kept for
// longer than it lives, without being written at each look.
func TestStoredAnswersAreRenewed(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		var store etagStore
		p := &page{ETag: "x", Body: []byte("text")}
		if err := store.put("at", "", p); err != nil {
			t.Fatal(err)
		}
		writes := 0
		name, _ := etagFile()
		known := page{ETag: "x", Stored: p.Stored} // a watch has no body
		for range 20 * 24 {
			time.Sleep(time.Hour)
			before, _ := os.ReadFile(name)
			if err := store.renew("at", "", &known); err != nil {
				t.Fatal(err)
			}
			if after, _ := os.ReadFile(name); string(before) != string(after) {
				writes++
			}
		}
		if got := store.get("at", ""); string(got.Body) != "text" || writes != 20 {
			t.Errorf("%+v, written %d times", got, writes)
		}
		time.Sleep(8 * 24 * time.Hour)
		if got := store.get("at", ""); got.ETag != "" {
			t.Errorf("%+v is kept for ever", got)
		}
	})
}

// TestBudget makes sure of when a site may be asked.
func TestBudget(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	headers := func(kind, limit, left, reset string) http.Header {
		h := http.Header{}
		h.Set(kind+"Limit", limit)
		h.Set(kind+"Remaining", left)
		h.Set(kind+"Reset", reset)
		return h
	}
	hour := fmt.Sprint(now.Add(time.Hour).Unix())
	for name, tt := range map[string]struct {
		h http.Header
		// wait is before each of three requests in a row.
		wait [3]time.Duration
	}{
		"none":     {http.Header{}, [3]time.Duration{}},
		"plenty":   {headers("X-RateLimit-", "60", "50", hour), [3]time.Duration{}},
		"little":   {headers("X-RateLimit-", "60", "10", hour), [3]time.Duration{0, 6 * time.Minute, 6 * time.Minute}},
		"gitlab":   {headers("RateLimit-", "500", "60", hour), [3]time.Duration{0, time.Minute, time.Minute}},
		"seconds":  {headers("RateLimit-", "500", "60", "3600"), [3]time.Duration{0, time.Minute, time.Minute}},
		"last":     {headers("X-RateLimit-", "60", "1", hour), [3]time.Duration{0, time.Hour, 0}},
		"nothing":  {headers("X-RateLimit-", "60", "0", hour), [3]time.Duration{time.Hour, 0, 0}},
		"over":     {headers("X-RateLimit-", "60", "0", "946684799"), [3]time.Duration{}},
		"nonsense": {headers("X-RateLimit-", "60", "-1", "soon"), [3]time.Duration{}},
	} {
		var b budget
		b.note(tt.h, now)
		at := now
		for i, want := range tt.wait {
			ready := b.ready(at)
			if got := ready.Sub(at); got.Round(time.Second) != want {
				t.Errorf("%s: request %d waits %s, want %s", name, i, got, want)
			}
			b.spend(ready)
			at = ready
		}
	}
}

// TestLaterRatherThanLong makes sure that a watch does not sleep away hours in the
// midst of a look, nor ask when it must not.
func TestLaterRatherThanLong(t *testing.T) {
	t.Parallel()
	asked := 0
	reset := time.Now().Add(time.Hour)
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("X-RateLimit-Limit", "60")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
		fmt.Fprint(w, "[]")
	})
	sites := NewSites()
	watch := sites.Watch()
	sites.client.Wait = func(context.Context, time.Duration) error { t.Error("it sleeps"); return nil }
	if _, err := watch.Poll(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if at := sites.Ready(r); at.Unix() != reset.Unix() {
		t.Errorf("ready at %s", at)
	}
	if _, err := watch.Poll(t.Context(), r); !errors.Is(err, ErrLater) || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	other := r
	other.Token = "t" // has a budget of its own
	if _, err := watch.Poll(t.Context(), other); err != nil {
		t.Error(err)
	}
}
