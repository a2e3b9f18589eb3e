package release

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
	site "github.com/jet-bus/jet-bus/test/releases"
)

// TestTroubles goes through what keeps a source from its work, and what it says.
func TestTroubles(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		repo, token, want string
	}{
		"unknown":   {"acme/none", "", "asking for the releases of acme/none: the server answered 404 Not Found: it does not exist, or a token_file is needed that may see it"},
		"private":   {"acme/secret", "", "a token_file is needed that may see it"},
		"bad token": {tool, secret(t, "wrong"), "the server answered 401 Unauthorized: token_file is not accepted"},
		"no file":   {tool, "/nowhere/token", "/nowhere/token: no such file"},
		"empty":     {tool, empty, "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			s := site.Start()
			defer s.Close()
			s.Private("acme/secret", "s3cret")
			synctest.Test(t, func(t *testing.T) {
				f := &sourcetest.Feed{}
				began := time.Now()
				stop := start(t, Config{Repository: tt.repo, BaseURL: s.URL, TokenFile: tt.token}, f)
				h := lastHealth(t, f)
				if h.Err == nil || !strings.Contains(h.Err.Error(), tt.want) || strings.Contains(h.Err.Error(), "wrong") {
					t.Errorf("%v", h.Err)
				}
				if d := h.Next.Sub(began); d < time.Minute || d > 70*time.Second {
					t.Errorf("next look after %s", d)
				}
				time.Sleep(24 * time.Hour)
				if n := len(f.Health()); n < 45 || n > 60 { // every half an hour
					t.Errorf("%d looks in a day of failures", n)
				}
				if f.Cursor() != nil {
					t.Error("a failed look is a beginning")
				}
				_ = stop()
			})
		})
	}
}

// TestRecovers makes sure that what is published while a site is away is told after.
func TestRecovers(t *testing.T) {
	s := site.Start()
	defer s.Close()
	s.Put(tool, rel("v1.0.0", 0))
	file := secret(t, "first")
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		stop := start(t, Config{Repository: tool, BaseURL: s.URL, TokenFile: file}, f)
		s.Private(tool, "second")
		s.Put(tool, rel("v1.0.0", 0), rel("v1.1.0", time.Minute))
		pass(time.Hour)
		expect(t, "away", f)
		if lastHealth(t, f).Err == nil {
			t.Error("all is well without a token")
		}
		if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Ask()
		expect(t, "back", f, "v1.1.0")
		if h := lastHealth(t, f); h.Err != nil {
			t.Error(h.Err)
		}
		_ = stop()
	})
}

// TestRetryAfter makes sure that a site is left alone for as long as it says, asked for
// or not, by all that share the limit.
func TestRetryAfter(t *testing.T) {
	for name, refuse := range map[string]func(h http.Header, now time.Time) int{
		"retry-after": func(h http.Header, _ time.Time) int { h.Set("Retry-After", "7200"); return 429 },
		"github": func(h http.Header, now time.Time) int {
			h.Set("X-RateLimit-Limit", "60")
			h.Set("X-RateLimit-Remaining", "0")
			h.Set("X-RateLimit-Reset", fmt.Sprint(now.Add(2*time.Hour).Unix()))
			return 403
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			var limited atomic.Bool
			srv := answer(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				if limited.Load() {
					w.WriteHeader(refuse(w.Header(), fakeStart))
					return
				}
				fmt.Fprint(w, "[]")
			})
			limited.Store(true)
			synctest.Test(t, func(t *testing.T) {
				sites := releases.NewSites()
				feeds := []*sourcetest.Feed{{}, {}}
				for i, f := range feeds {
					stop := start(t, Config{Repository: fmt.Sprintf("acme/r%d", i), BaseURL: srv, Sites: sites}, f)
					defer func() { _ = stop() }()
				}
				for range 10 {
					time.Sleep(11 * time.Minute)
					feeds[0].Ask()
				}
				synctest.Wait()
				if n := asked.Load(); n != 1 {
					t.Errorf("the site was asked %d times in its pause", n)
				}
				h := lastHealth(t, feeds[1])
				if h.Err == nil || !strings.Contains(h.Err.Error(), "no more requests are taken until 2000-01-01 02:00:00 UTC; token_file raises the limit") {
					t.Errorf("%v", h.Err)
				}
				limited.Store(false)
				time.Sleep(45 * time.Minute)
				for _, f := range feeds {
					if h := lastHealth(t, f); h.Err != nil {
						t.Error(h.Err)
					}
				}
			})
		})
	}
}

// TestBudgetIsSpread makes sure that sixty requests an hour, for twelve repositories
// looked at each minute, last for the hour.
func TestBudgetIsSpread(t *testing.T) {
	var mu sync.Mutex
	left, refused, hour, clock := 60, 0, 0, fakeStart
	perHour, last := map[int]int{}, map[int]time.Duration{}
	srv := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if h := int(clock.Sub(fakeStart) / time.Hour); h != hour {
			hour, left = h, 60
		}
		w.Header().Set("X-RateLimit-Limit", "60")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(fakeStart.Add(time.Duration(hour+1)*time.Hour).Unix()))
		if left == 0 {
			refused++
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.WriteHeader(http.StatusForbidden)
			return
		}
		left--
		perHour[hour]++
		last[hour] = clock.Sub(fakeStart) % time.Hour
		w.Header().Set("X-RateLimit-Remaining", fmt.Sprint(left))
		fmt.Fprint(w, "[]")
	})
	synctest.Test(t, func(t *testing.T) {
		minute := time.Minute
		sites := releases.NewSites()
		var feeds []*sourcetest.Feed
		for i := range 12 {
			f := &sourcetest.Feed{}
			feeds = append(feeds, f)
			stop := start(t, Config{Repository: fmt.Sprintf("acme/r%d", i), BaseURL: srv, Every: &minute, Sites: sites}, f)
			defer func() { _ = stop() }()
		}
		for range 3 * 60 * 12 {
			time.Sleep(5 * time.Second)
			mu.Lock()
			clock = time.Now() // of the bubble, for the site outside
			mu.Unlock()
		}
		for i, f := range feeds {
			for _, h := range f.Health() {
				if h.Err != nil {
					t.Errorf("watcher %d: %v", i, h.Err)
				}
			}
		}
	})
	for h := range 3 {
		if refused > 0 || perHour[h] < 55 || last[h] < 50*time.Minute {
			t.Errorf("hour %d: %d refused, %d taken, the last after %s", h, refused, perHour[h], last[h])
		}
	}
}

// TestRefusedEvent makes sure that a release that can never be stored does not hold up
// the others, and is spoken of.
func TestRefusedEvent(t *testing.T) {
	s := site.Start()
	defer s.Close()
	s.Put(tool)
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{Refuse: func(e events.Event) error {
			if events.Extension(e, events.ExtTag) == "v1.0.0" {
				return fmt.Errorf("%w: too large", source.ErrRefused)
			}
			return nil
		}}
		stop := start(t, Config{Repository: tool, BaseURL: s.URL}, f)
		s.Put(tool, rel("v1.0.0", 0), rel("v1.1.0", time.Minute))
		time.Sleep(5*time.Minute + 30*time.Second)
		expect(t, "one is refused", f, "v1.1.0")
		if h := lastHealth(t, f); h.Err == nil || !strings.Contains(h.Err.Error(), "telling of the release v1.0.0 of acme/tool: ") {
			t.Errorf("%v", h.Err)
		}
		pass(5 * time.Minute)
		if h := lastHealth(t, f); h.Err != nil {
			t.Error(h.Err)
		}
		_ = stop()
	})
}

// TestTagsAreNotTold is GitLab where the token may not see the code.
func TestTagsAreNotTold(t *testing.T) {
	srv := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"name": "Release-1", "released_at": "2000-01-01T00:00:00Z"}]`)
	})
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		stop := start(t, Config{Provider: "gitlab", Repository: tool, BaseURL: srv}, f)
		if h := lastHealth(t, f); h.Err == nil || !strings.Contains(h.Err.Error(), "a token_file is needed that may see the code") {
			t.Errorf("%v", h.Err)
		}
		_ = stop()
	})
}
