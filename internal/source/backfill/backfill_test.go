package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
)

// entry is for the hook of the tests.
func entry(file string) Entry {
	return Entry{Hook: "app", Repository: "acme/app", HookID: 42, TokenFile: file, BaseURL: "http://127.0.0.1"}
}

// start runs a source in a bubble until the function it returns is called.
func start(t *testing.T, e Entry, o Options, f *sourcetest.Feed) (stop func()) {
	t.Helper()
	all, err := New([]Entry{e}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- all["backfill-app"].Run(ctx, f) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func last(f *sourcetest.Feed) sourcetest.Health {
	all := f.Health()
	return all[len(all)-1]
}

func TestMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := newGitHub(), &sourcetest.Feed{}
		now := time.Now()
		ago := func(d time.Duration) time.Time { return now.Add(-d) }
		g.made("too-old", 503, "push", ago(80*time.Hour), false)
		g.made("oldest", 503, "push", ago(70*time.Hour), false)
		g.made("healed", 0, "push", ago(30*time.Hour), false)
		g.made("fine", 202, "push", ago(20*time.Hour), false)
		g.made("healed", 202, "push", ago(10*time.Hour), true)
		g.made("ping", 503, "ping", ago(9*time.Hour), false)
		g.made("twice", 500, "release", ago(7*time.Hour), false)
		g.made("twice", 500, "release", ago(6*time.Hour), true)
		g.made("fine", 500, "push", ago(5*time.Hour), true) // somebody had it made again, in vain
		g.perPage = 3
		stop := start(t, entry(tokenFile(t, theToken)), Options{Transport: direct{g}}, f)
		defer func() { stop() }()
		time.Sleep(calm - time.Second)
		synctest.Wait()
		if g.read() != 0 {
			t.Error("it did not wait for a calm minute")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := g.requests(); got != "oldest twice" {
			t.Errorf("asked for %q", got)
		}
		if n := g.read(); n != 3 {
			t.Errorf("%d pages were read", n)
		}
		if h := last(f); h.Err != nil || time.Until(h.Next) <= 58*time.Minute || time.Until(h.Next) > time.Hour {
			t.Errorf("%+v, in %s", h, time.Until(h.Next))
		}
		// From here on only what is new is read, and an outage begins.
		g.made("new", 503, "push", time.Now(), false)
		pages := g.read()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := g.requests(); got != "new" {
			t.Errorf("asked for %q", got)
		}
		if n := g.read() - pages; n > 2 {
			t.Errorf("%d pages were read for what is new", n)
		}
		// A new life goes on there.
		stop()
		g.made("away", 503, "push", time.Now(), false)
		stop = start(t, entry(tokenFile(t, theToken)), Options{Transport: direct{g}}, f)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := g.requests(); got != "away" {
			t.Errorf("asked for %q", got)
		}
		// Somebody asks for a look.
		g.made("urgent", 503, "push", time.Now(), false)
		f.Ask()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := g.requests(); got != "urgent" {
			t.Errorf("asked for %q", got)
		}
		// About another hook nothing is known.
		stop()
		other := entry(tokenFile(t, theToken))
		other.Repository, other.Organization = "", "acme"
		g.made("elsewhere", 503, "push", time.Now(), false)
		pages = g.read()
		stop = start(t, other, Options{Transport: direct{g}}, f)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := g.requests(); got != "elsewhere" { // all others have arrived by now; the oldest is too old
			t.Errorf("asked for %q", got)
		}
		if n := g.read() - pages; n < 4 {
			t.Errorf("%d pages were read, of which there are more", n)
		}
		for _, h := range f.Health() {
			if h.Err != nil {
				t.Error(h.Err)
			}
		}
		if n := len(f.Stored()); n != 0 {
			t.Errorf("%d events", n)
		}
	})
}

// A delivery that never arrives is asked for three times, each time later, and then told.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := newGitHub(), &sourcetest.Feed{}
		g.made("bad", 500, "push", time.Now(), false)
		g.answers["bad"] = 500
		g.made("gone", 500, "push", time.Now(), false)
		g.status["gone"] = 404
		g.made("spam", 500, "push", time.Now(), false)
		g.status["spam"] = 422
		e := entry(tokenFile(t, theToken))
		e.Every = 5 * time.Minute
		stop := start(t, e, Options{Transport: direct{g}}, f)
		defer stop()
		begin := time.Now()
		counts := map[string][]time.Duration{}
		failed := 0
		for range 24 * 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			for guid := range strings.FieldsSeq(g.requests()) {
				counts[guid] = append(counts[guid], time.Since(begin))
			}
		}
		var told []string
		for _, h := range f.Health() {
			if h.Err != nil {
				failed++
				told = append(told, h.Err.Error())
			}
		}
		if len(counts["gone"]) != 1 || len(counts["bad"]) != 3 || len(counts["spam"]) != 3 {
			t.Errorf("asked for %v", counts)
		}
		if at := counts["bad"]; len(at) == 3 && (at[1]-at[0] < 10*time.Minute || at[2]-at[1] < time.Hour) {
			t.Errorf("asked for at %s", at)
		}
		if failed != 2 || !strings.Contains(told[0], "delivery gone did not arrive") || !strings.Contains(told[1], "2 deliveries did not arrive") {
			t.Errorf("told %q", told)
		}
		if h := last(f); h.Err != nil {
			t.Errorf("in the end: %v", h.Err)
		}
		var st state
		if err := json.Unmarshal(f.Cursor(), &st); err != nil || len(st.Open) > 3 {
			t.Errorf("%v %+v", err, st)
		}
	})
}

// After a long outage, what is asked for is bounded, and goes on a little later.
func TestMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := newGitHub(), &sourcetest.Feed{}
		const missedOnes = maxOpen + 250
		for i := range missedOnes {
			g.made(fmt.Sprintf("d%05d", i), 503, "push", time.Now().Add(time.Duration(i-missedOnes)*time.Second), false)
		}
		stop := start(t, entry(tokenFile(t, theToken)), Options{Transport: direct{g}}, f)
		defer stop()
		var all []string
		for hour := range 12 {
			time.Sleep(time.Hour)
			synctest.Wait()
			got := strings.Fields(g.requests())
			if len(got) > 500 {
				t.Errorf("%d requests in an hour", len(got))
			}
			if all = append(all, got...); len(all) >= missedOnes {
				t.Logf("all after %d hours", hour+1)
				break
			}
			if size := len(f.Cursor()); size > 512<<10 {
				t.Fatalf("the state has %d bytes", size)
			}
		}
		if len(all) != missedOnes {
			t.Fatalf("%d of %d were asked for", len(all), missedOnes)
		}
		for i, guid := range all {
			if want := fmt.Sprintf("d%05d", i); guid != want {
				t.Fatalf("number %d is %s", i, guid)
			}
		}
	})
}

// GitHub's limits are obeyed, by its own clock.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header func() http.Header
		wait   time.Duration
	}{
		"primary": {func() http.Header {
			return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Add(20*time.Minute).Unix(), 10)}}
		}, 20*time.Minute + time.Second},
		"secondary": {func() http.Header { return http.Header{"Retry-After": {"90"}, "X-Ratelimit-Remaining": {"4000"}} }, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, f := newGitHub(), &sourcetest.Feed{}
				g.made("a", 503, "push", time.Now(), false)
				g.made("b", 503, "push", time.Now(), false)
				var refused time.Time
				g.limit = func(r *http.Request) http.Header {
					if r.Method == http.MethodPost && refused.IsZero() && g.count() == 1 {
						refused = time.Now()
						return tt.header()
					}
					if !refused.IsZero() && time.Since(refused) < tt.wait-time.Second {
						t.Errorf("a request after %s", time.Since(refused))
					}
					return nil
				}
				stop := start(t, entry(tokenFile(t, theToken)), Options{Transport: direct{g}}, f)
				defer stop()
				time.Sleep(calm + 10*time.Second)
				synctest.Wait()
				if h := last(f); h.Err == nil || h.Next.Sub(refused) != tt.wait || !strings.Contains(h.Err.Error(), "limits the requests") {
					t.Errorf("%v, again after %s", h.Err, h.Next.Sub(refused))
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				if got := g.requests(); got != "a b" { // and the first not twice
					t.Errorf("asked for %q", got)
				}
				if h := last(f); h.Err != nil {
					t.Error(h.Err)
				}
			})
		})
	}
}

// What keeps it from its work is told in a sentence, without the token.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(g *github, e *Entry)
		want   string
	}{
		"token":      {func(_ *github, e *Entry) { e.TokenFile = tokenFile(t, "ghp_another") }, "is not valid, or not any more"},
		"no token":   {func(_ *github, e *Entry) { e.TokenFile += ".not" }, "read secret"},
		"two tokens": {func(_ *github, e *Entry) { e.TokenFile = tokenFile(t, "ghp_a\nghp_b") }, "has more than one line"},
		"hook":       {func(_ *github, e *Entry) { e.HookID = 7 }, "hook 7 of acme/app is not there, or the token may not see it: it needs the scope admin:repo_hook"},
		"scope": {
			func(g *github, e *Entry) { e.HookID, g.scopes = 0, false },
			"acme/app has no hooks that the token may see: it needs the scope admin:repo_hook",
		},
		"no hook": {func(_ *github, e *Entry) { e.HookID = 0 }, "acme/app has no hook that sends to /hooks/app"},
		"two hooks": {func(g *github, e *Entry) {
			e.HookID, g.hooks = 0, []string{"https://a/hooks/app", "https://b/hooks/app"}
		}, "has 2 hooks"},
		"forbidden":     {func(g *github, _ *Entry) { g.limit = func(*http.Request) http.Header { return http.Header{} } }, "is not allowed to"},
		"nothing there": {func(_ *github, e *Entry) { e.Repository = "acme/other" }, "hook 42 of acme/other is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, f := newGitHub(), &sourcetest.Feed{}
				e := entry(tokenFile(t, theToken))
				tt.change(g, &e)
				stop := start(t, e, Options{Transport: direct{g}}, f)
				defer stop()
				time.Sleep(calm + time.Second)
				h := last(f)
				if h.Err == nil || !strings.Contains(h.Err.Error(), tt.want) || strings.Contains(h.Err.Error(), "ghp_") {
					t.Errorf("%v, want %s", h.Err, tt.want)
				}
				if wait := time.Until(h.Next); wait <= 0 || wait > time.Minute {
					t.Errorf("again in %s", wait)
				}
				time.Sleep(4 * time.Minute) // twice more, each after twice the time
				if n := len(f.Health()); n != 4 {
					t.Errorf("health was told %d times", n)
				}
			})
		})
	}
}

// A hook without an id is found by where it sends to.
func TestFind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := newGitHub(), &sourcetest.Feed{}
		g.hooks = []string{"https://x.example.com/hooks/other", "https://bus.example.com/hooks/app", "https://x.example.com/hooks/app2"}
		g.made("a", 503, "push", time.Now(), false)
		e := entry(tokenFile(t, theToken))
		e.HookID = 0
		stop := start(t, e, Options{Transport: direct{g}}, f)
		defer stop()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := g.requests(); got != "a" {
			t.Errorf("asked for %q: %v", got, last(f).Err)
		}
	})
}

// tripper is a function that makes requests.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Who dies before it is noted what was asked for asks again, but not for what has arrived
// meanwhile.
func TestStoppedBeforeSaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := newGitHub(), &sourcetest.Feed{}
		for i := range 25 {
			g.made(fmt.Sprintf("d%02d", i), 503, "push", time.Now().Add(time.Duration(i-100)*time.Minute), false)
		}
		g.answers["d05"], g.answers["d12"] = http.StatusBadGateway, http.StatusBadGateway
		all, err := New([]Entry{entry(tokenFile(t, theToken))}, Options{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			if g.count() == 13 {
				f.SaveError = source.ErrLost // from here on nothing is noted
			}
			return direct{g}.RoundTrip(r)
		})})
		if err != nil {
			t.Fatal(err)
		}
		if err := all["backfill-app"].Run(t.Context(), f); !errors.Is(err, source.ErrLost) {
			t.Fatalf("error %v", err)
		}
		if got := strings.Fields(g.requests()); len(got) != 2*saveEach {
			t.Fatalf("asked for %v", got)
		}
		f.SaveError = nil
		stop := start(t, entry(tokenFile(t, theToken)), Options{Transport: direct{g}}, f)
		defer stop()
		time.Sleep(calm + 30*time.Second)
		synctest.Wait()
		// That d05 was asked for is known, and it is waited whether it comes.
		if got := g.requests(); got != "d12 d20 d21 d22 d23 d24" {
			t.Errorf("the next life asked for %q", got)
		}
	})
}

// Another jet-bus that runs the source by now ends this one.
func TestLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{SaveError: source.ErrLost}
		all, err := New([]Entry{entry(tokenFile(t, theToken))}, Options{Transport: direct{newGitHub()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := all["backfill-app"].Run(t.Context(), f); err == nil {
			t.Error("it goes on")
		}
	})
}

func TestNewFaults(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Entry){
		"":                          func(*Entry) {},
		"must begin with https://":  func(e *Entry) { e.BaseURL = "http://github.example.com/api/v3" },
		"is no address of an API":   func(e *Entry) { e.BaseURL = "https://a:b@github.example.com" },
		"must be 1m0s to 24h0m0s":   func(e *Entry) { e.Every = time.Second },
		"a positive number":         func(e *Entry) { e.HookID = -1 },
		"needs a token_file":        func(e *Entry) { e.TokenFile = "" },
		"needs a repository, or an": func(e *Entry) { e.Organization = "acme" },
		`"acme" is no repository`:   func(e *Entry) { e.Repository = "acme" },
		`"acme/../x" is no`:         func(e *Entry) { e.Repository = "acme/../x" },
		`"a/b" is no organization`:  func(e *Entry) { e.Repository, e.Organization = "", "a/b" },
	} {
		e := entry("/token")
		change(&e)
		_, err := New([]Entry{e}, Options{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := New([]Entry{entry("/a"), entry("/b")}, Options{}); err == nil || !strings.Contains(err.Error(), "there twice") {
		t.Error(err)
	}
	if e := (Entry{Hook: "app", Organization: "acme", TokenFile: "/t"}); true {
		all, err := New([]Entry{e}, Options{})
		if err != nil || all["backfill-app"].base != "https://api.github.com/orgs/acme/hooks" {
			t.Errorf("%v %v", err, all)
		}
	}
}

func TestNextPage(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"": "", `<https://a/b?c=1>; rel="next"`: "https://a/b?c=1", `<https://a/1>; rel="prev", <https://a/2>; rel="next"; x=y`: "https://a/2",
		`<https://a/1>; rel="first"`: "", "nonsense": "", `<https://a`: "",
	} {
		if got := nextPage(link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

// Over a real connection the token goes to nobody else, and stays out of errors.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	var answer func(w http.ResponseWriter, r *http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	e := entry(tokenFile(t, theToken))
	e.BaseURL = server.URL
	all, err := New([]Entry{e}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := all["backfill-app"]
	defer s.http.CloseIdleConnections()
	for name, f := range map[string]func(w http.ResponseWriter, r *http.Request){
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<"+other.URL+`/x>; rel="next"`)
			_, _ = fmt.Fprintf(w, `[{"id":1,"guid":"a","delivered_at":%q}]`, time.Now().UTC().Format(time.RFC3339))
		},
		"not json": func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Header.Get("Authorization")) },
		"error": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusBadGateway)
		},
	} {
		answer = f
		_, err := s.round(t.Context(), &sourcetest.Feed{}, &state{Open: map[string]*missed{}})
		if err == nil || strings.Contains(err.Error(), "ghp_") || reached {
			t.Errorf("%s: %v, elsewhere %t", name, err, reached)
		}
		t.Log(err)
	}
}
