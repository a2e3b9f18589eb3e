package release

import (
	"context"
	"encoding/json"
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

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
	site "github.com/jet-bus/jet-bus/test/releases"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tool = "acme/tool"

var providers = []string{releases.GitHub, releases.Gitea, releases.Forgejo, releases.GitLab}

// fakeStart is when the clocks of testing/synctest begin.
var fakeStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// rel is a release that was published that long after the beginning.
func rel(tag string, after time.Duration) site.Release {
	return site.Release{Tag: tag, Published: fakeStart.Add(after)}
}

// start runs a source in a bubble until the test ends or stop is called, and returns
// what Run did.
func start(t *testing.T, c Config, f *sourcetest.Feed) (stop func() error) {
	t.Helper()
	s, err := c.Source()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, f) }()
	synctest.Wait()
	return sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

// tags are those of the events that were stored.
func tags(f *sourcetest.Feed) []string {
	out := []string{}
	for _, e := range f.Stored() {
		out = append(out, events.Extension(e, events.ExtTag))
	}
	return out
}

func expect(t *testing.T, what string, f *sourcetest.Feed, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := tags(f); !slices.Equal(got, want) {
		t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

// pass lets time pass, and a little more, so that looks that are due have been made.
func pass(d time.Duration) {
	time.Sleep(d + d/5)
	synctest.Wait()
}

func lastHealth(t *testing.T, f *sourcetest.Feed) sourcetest.Health {
	t.Helper()
	h := f.Health()
	if len(h) == 0 {
		t.Fatal("the source said nothing")
	}
	return h[len(h)-1]
}

// TestWatch follows a repository of every provider: nothing is said of what is there
// at first, each new release is told once, the oldest first, and prereleases, drafts
// and edits are not.
func TestWatch(t *testing.T) {
	for _, provider := range providers {
		t.Run(provider, func(t *testing.T) {
			s := site.Start()
			defer s.Close()
			s.Put(tool, site.Fixture()...)
			synctest.Test(t, func(t *testing.T) {
				list := site.Fixture()
				f := &sourcetest.Feed{}
				stop := start(t, Config{Provider: provider, Repository: tool, BaseURL: s.URL}, f)
				expect(t, "first look", f)
				pass(5 * time.Minute)
				expect(t, "nothing new", f)

				// A backport is published last, and listed before.
				list = append(list, rel("v4.0.0", 30*time.Minute), rel("v1.10.4", 20*time.Minute), rel("v5.0.0-rc.1", time.Hour))
				s.Put(tool, list...)
				pass(5 * time.Minute)
				expect(t, "two releases and a prerelease", f, "v1.10.4", "v4.0.0")

				list[len(list)-1].Build++ // an edit of its files
				list[0].Flagged = true
				s.Put(tool, list...)
				pass(15 * time.Minute)
				expect(t, "edits", f, "v1.10.4", "v4.0.0")

				draft := rel("v6.0.0", 2*time.Hour)
				draft.Draft = true
				s.Put(tool, append(list, draft)...)
				pass(5 * time.Minute)
				expect(t, "a draft", f, "v1.10.4", "v4.0.0")
				draft.Draft = false
				s.Put(tool, append(list, draft)...)
				f.Ask()
				expect(t, "the draft is published", f, "v1.10.4", "v4.0.0", "v6.0.0")
				if err := stop(); err != nil {
					t.Error(err)
				}
				for _, h := range f.Health() {
					if h.Err != nil || h.Next.IsZero() {
						t.Errorf("health: %+v", h)
					}
				}
			})
		})
	}
}

// TestDraftsAreSeenWithToken is the draft again, where the list has it before.
func TestDraftsAreSeenWithToken(t *testing.T) {
	s := site.Start()
	defer s.Close()
	draft := rel("v1.0.0", time.Hour)
	draft.Draft = true
	s.Put(tool, draft)
	file := secret(t, "push")
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		stop := start(t, Config{Repository: tool, BaseURL: s.URL, TokenFile: file}, f)
		draft.Draft = false
		s.Put(tool, draft)
		pass(5 * time.Minute)
		expect(t, "the draft is published", f, "v1.0.0")
		_ = stop()
	})
	for _, r := range s.Took() {
		if r.Authorization != "Bearer push" {
			t.Errorf("%s with %q", r.Path, r.Authorization)
		}
	}
}

// TestRestart makes sure that who is stopped between publishing and saving tells the
// same again, under the same id, and that another life goes on where the last one was.
func TestRestart(t *testing.T) {
	s := site.Start()
	defer s.Close()
	s.Put(tool, rel("v1.0.0", 0))
	synctest.Test(t, func(t *testing.T) {
		c := Config{Repository: tool, BaseURL: s.URL}
		var published atomic.Int32
		f := &sourcetest.Feed{Refuse: func(events.Event) error { published.Add(1); return nil }}
		stop := start(t, c, f)
		cursor := f.Cursor()
		f.SaveError = errors.New("the power is off")
		s.Put(tool, rel("v1.0.0", 0), rel("v1.1.0", time.Hour))
		pass(5 * time.Minute)
		if err := stop(); err == nil || !strings.Contains(err.Error(), "the power is off") {
			t.Fatalf("it goes on without saving: %v", err)
		}
		if string(f.Cursor()) != string(cursor) || published.Load() != 1 {
			t.Fatalf("published %d, cursor %s", published.Load(), f.Cursor())
		}
		f.SaveError = nil
		stop = start(t, c, f)
		expect(t, "the next life", f, "v1.1.0") // the feed stores by id
		if published.Load() != 2 {
			t.Errorf("published %d times", published.Load())
		}
		_ = stop()
		stop = start(t, c, f)
		pass(5 * time.Minute)
		_ = stop()
		if published.Load() != 2 {
			t.Errorf("told again after it was saved: %d", published.Load())
		}
	})
}

func TestLostSourceEnds(t *testing.T) {
	s := site.Start()
	defer s.Close()
	s.Put(tool, rel("v1.0.0", 0))
	synctest.Test(t, func(t *testing.T) {
		stop := start(t, Config{Repository: tool, BaseURL: s.URL}, &sourcetest.Feed{SaveError: source.ErrLost})
		if err := stop(); !errors.Is(err, source.ErrLost) {
			t.Errorf("%v", err)
		}
	})
}

// TestFilters has releases come to what is asked for, or not.
func TestFilters(t *testing.T) {
	flagged := rel("v3.0.0", time.Hour)
	flagged.Flagged = true
	all := []site.Release{
		rel("v1.5.0", time.Minute), rel("v2.1.0-rc.1", 2*time.Minute), rel("v2.1.0", 3*time.Minute), rel("nightly", 4*time.Minute),
		rel("app/v2.2.0", 5*time.Minute), flagged,
	}
	for name, tt := range map[string]struct {
		c    Config
		want []string
	}{
		"stable":     {Config{}, []string{"v1.5.0", "v2.1.0", "nightly", "app/v2.2.0"}},
		"latest":     {Config{Channel: "latest"}, []string{"v1.5.0", "v2.1.0", "nightly", "app/v2.2.0"}},
		"unstable":   {Config{Channel: "unstable"}, []string{"v2.1.0-rc.1", "v3.0.0"}},
		"prerelease": {Config{Channel: "prerelease"}, []string{"v1.5.0", "v2.1.0-rc.1", "v2.1.0", "nightly", "app/v2.2.0", "v3.0.0"}},
		"range":      {Config{Version: ">=2, <3"}, []string{"v2.1.0", "app/v2.2.0"}},
		"range, pre": {Config{Version: ">=2.1.0-0, <3", Channel: "any"}, []string{"v2.1.0-rc.1", "v2.1.0", "app/v2.2.0"}},
		"tag":        {Config{Tag: "v*"}, []string{"v1.5.0", "v2.1.0"}},
		"both":       {Config{Tag: "app/*", Version: "^2"}, []string{"app/v2.2.0"}},
		"asset":      {Config{Asset: "tool-linux-*"}, []string{"v1.5.0", "v2.1.0", "nightly", "app/v2.2.0"}},
		"no asset":   {Config{Asset: "tool-plan9-*"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := site.Start()
			defer s.Close()
			s.Put(tool)
			synctest.Test(t, func(t *testing.T) {
				tt.c.Repository, tt.c.BaseURL = tool, s.URL
				f := &sourcetest.Feed{}
				stop := start(t, tt.c, f)
				s.Put(tool, all...)
				pass(5 * time.Minute)
				expect(t, name, f, tt.want...)
				_ = stop()
			})
		})
	}
}

// TestPromotion makes sure that a prerelease is told when it is none any more, once,
// also one that was there at the first look.
func TestPromotion(t *testing.T) {
	s := site.Start()
	defer s.Close()
	old, young := rel("v1.0.0", 0), rel("v2.0.0", time.Hour)
	old.Flagged, young.Flagged = true, true
	s.Put(tool, old)
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		stop := start(t, Config{Repository: tool, BaseURL: s.URL}, f)
		s.Put(tool, old, young)
		pass(5 * time.Minute)
		expect(t, "prereleases", f)
		young.Flagged = false
		s.Put(tool, old, young)
		pass(5 * time.Minute)
		expect(t, "promoted", f, "v2.0.0")
		old.Flagged = false
		s.Put(tool, old, young)
		pass(15 * time.Minute)
		expect(t, "promoted", f, "v2.0.0", "v1.0.0")
		_ = stop()
	})
}

// TestOtherFilters makes sure that other filters do not bring up what had been passed
// over, and lose nothing that waited.
func TestOtherFilters(t *testing.T) {
	s := site.Start()
	defer s.Close()
	s.Put(tool, rel("v1.0.0", 0))
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		c := Config{Repository: tool, BaseURL: s.URL, MinAge: 2 * time.Hour}
		stop := start(t, c, f)
		list := []site.Release{rel("v1.0.0", 0), rel("v2.0.0-rc.1", time.Minute), rel("v1.1.0", 2*time.Minute)}
		s.Put(tool, list...)
		pass(5 * time.Minute)
		_ = stop()
		c.Channel, c.MinAge = "any", 0
		s.Put(tool, append(list, rel("v2.0.0-rc.2", 3*time.Minute))...)
		stop = start(t, c, f)
		pass(5 * time.Minute)
		expect(t, "other filters", f, "v1.1.0", "v2.0.0-rc.2")
		_ = stop()
		// Another repository is another matter: silent at first.
		s.Put("acme/other", list...)
		c.Repository = "acme/other"
		stop = start(t, c, f)
		pass(5 * time.Minute)
		expect(t, "another repository", f, "v1.1.0", "v2.0.0-rc.2")
		_ = stop()
	})
}

// TestMinAge makes sure that a release is told at the time when it is old enough, and
// one that is withdrawn before is not.
func TestMinAge(t *testing.T) {
	for _, provider := range providers {
		t.Run(provider, func(t *testing.T) {
			s := site.Start()
			defer s.Close()
			s.Put(tool)
			synctest.Test(t, func(t *testing.T) {
				f := &sourcetest.Feed{}
				stop := start(t, Config{Provider: provider, Repository: tool, BaseURL: s.URL, MinAge: 24 * time.Hour, Asset: "SHA256SUMS"}, f)
				s.Put(tool, rel("v1.0.0", 0), rel("v1.1.0", time.Minute))
				time.Sleep(23*time.Hour + 59*time.Minute)
				expect(t, "too young", f)
				s.Put(tool, rel("v1.0.0", 0)) // the other one is withdrawn
				time.Sleep(time.Minute + time.Second)
				expect(t, "a second after it is old enough", f, "v1.0.0")
				time.Sleep(time.Hour)
				expect(t, "the other one", f, "v1.0.0")
				_ = stop()
			})
		})
	}
}

// TestAssetComesLater makes sure that a release waits for its file, over a restart too.
func TestAssetComesLater(t *testing.T) {
	var state atomic.Value
	state.Store("[]")
	srv := answer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, state.Load()) })
	const form = `[{"id": 7, "tag_name": "v1.0.0", "published_at": "2000-01-01T00:00:00Z", "assets": [%s]}]`
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		c := Config{Repository: tool, BaseURL: srv, Asset: "app-linux-*"}
		stop := start(t, c, f)
		for _, assets := range []string{``, `{"name": "app-plan9", "state": "uploaded"}`, `{"name": "app-linux-x", "state": "starter"}`} {
			state.Store(fmt.Sprintf(form, assets))
			pass(5 * time.Minute)
			expect(t, assets, f)
			_ = stop()
			stop = start(t, c, f)
		}
		state.Store(fmt.Sprintf(form, `{"name": "app-linux-x", "state": "uploaded"}`))
		pass(15 * time.Minute)
		expect(t, "uploaded", f, "v1.0.0")
		_ = stop()
	})
}

// TestSince makes sure that what was published since a time is told at the first look.
func TestSince(t *testing.T) {
	s := site.Start()
	defer s.Close()
	s.Put(tool, rel("v1.0.0", time.Hour), rel("v1.1.0", 2*time.Hour), rel("v1.2.0", 3*time.Hour))
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		stop := start(t, Config{Repository: tool, BaseURL: s.URL, Since: "2000-01-01T03:00:00+01:00"}, f)
		pass(15 * time.Minute)
		expect(t, "since", f, "v1.1.0", "v1.2.0")
		_ = stop()
	})
}

// TestMadeAgain makes sure that a release that was deleted and made again is a new one,
// and that one whose tag was renamed is not.
func TestMadeAgain(t *testing.T) {
	for _, provider := range providers {
		t.Run(provider, func(t *testing.T) {
			var state atomic.Value
			srv := answer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, state.Load()) })
			put := func(id int, tag, created string) {
				if provider == releases.GitLab {
					state.Store(fmt.Sprintf(`[{"tag_name": %q, "created_at": %q, "released_at": %q}]`, tag, created, created))
					return
				}
				state.Store(fmt.Sprintf(`[{"id": %d, "tag_name": %q, "published_at": %q}]`, id, tag, created))
			}
			put(7, "v1.0.0", "2000-01-01T00:00:00Z")
			synctest.Test(t, func(t *testing.T) {
				f := &sourcetest.Feed{}
				stop := start(t, Config{Provider: provider, Repository: tool, BaseURL: srv}, f)
				state.Store("[]")
				pass(5 * time.Minute)
				put(8, "v1.0.0", "2000-01-01T00:06:00.125Z")
				pass(5 * time.Minute)
				expect(t, "made again", f, "v1.0.0")
				if provider != releases.GitLab { // whose tags cannot be renamed
					put(8, "v1.0.1", "2000-01-01T00:06:00Z")
					pass(5 * time.Minute)
					expect(t, "renamed", f, "v1.0.0")
				}
				// What is missing for a while is not new.
				state.Store("[]")
				pass(5 * time.Minute)
				put(8, "v1.0.0", "2000-01-01T00:06:00.125Z")
				pass(5 * time.Minute)
				expect(t, "back again", f, "v1.0.0")
				_ = stop()
			})
		})
	}
}

// TestPages makes sure that a release at the end of a list of many pages is seen, and
// that what comes into view there, when a list is cut off, is not taken for new.
func TestPages(t *testing.T) {
	s := site.Start()
	defer s.Close()
	history := site.Fixture()
	s.Page(15)
	s.Put(tool, history...)
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		c := Config{Repository: tool, BaseURL: s.URL}
		stop := start(t, c, f)
		// Of GitHub, the order is that of the commits.
		list := slices.Insert(slices.Clone(history), 0, rel("v0.0.1", time.Hour))
		s.Put(tool, list...)
		pass(5 * time.Minute)
		expect(t, "at the end", f, "v0.0.1")
		_ = stop()
	})
	s.Page(3)
	s.Put("acme/long", history...)
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		stop := start(t, Config{Repository: "acme/long", BaseURL: s.URL}, f)
		s.Put("acme/long", history[:30]...) // the newest are deleted, the oldest come into view
		pass(5 * time.Minute)
		expect(t, "came into view", f)
		s.Put("acme/long", append(history[:30:30], rel("v7.0.0", time.Hour))...)
		pass(5 * time.Minute)
		expect(t, "a new one", f, "v7.0.0")
		_ = stop()
	})
}

// TestRenamedRepository makes sure that a repository keeps its cursor when its site
// sends on, and when people then write the new name.
func TestRenamedRepository(t *testing.T) {
	var state atomic.Value
	entry := func(id int, repo string) string {
		return fmt.Sprintf(`{"id": %d, "tag_name": "v1.%d.0", "published_at": "2000-01-01T00:00:0%dZ",
			"url": "https://api.example.com/repos/%s/releases/%d"}`, id, id, id, repo, id)
	}
	state.Store("[" + entry(1, "acme/old") + "]")
	var moved atomic.Bool
	srv := answer(t, func(w http.ResponseWriter, r *http.Request) {
		if moved.Load() && strings.HasPrefix(r.URL.Path, "/repos/acme/old/") {
			http.Redirect(w, r, "/repositories/99/releases", http.StatusMovedPermanently)
			return
		}
		fmt.Fprint(w, state.Load())
	})
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		c := Config{Repository: "acme/old", BaseURL: srv}
		stop := start(t, c, f)
		moved.Store(true)
		state.Store("[" + entry(2, "acme/new") + "," + entry(1, "acme/new") + "]")
		pass(5 * time.Minute)
		expect(t, "moved", f, "v1.2.0")
		if got := f.Stored()[0].Source(); got != "https://api.example.com/repos/acme/new" {
			t.Errorf("source %s", got)
		}
		_ = stop()
		c.Repository = "Acme/New"
		state.Store("[" + entry(3, "acme/new") + "," + entry(2, "acme/new") + "," + entry(1, "acme/new") + "]")
		stop = start(t, c, f)
		expect(t, "written anew", f, "v1.2.0", "v1.3.0")
		_ = stop()
	})
}

// TestConditionalRequests makes sure that a site is asked whether anything changed, in
// one life by what is in memory, and over lives with cache_etags.
func TestConditionalRequests(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, provider := range []string{releases.GitHub, releases.GitLab} {
		s := site.Start()
		defer s.Close()
		s.Page(1)
		s.Put(tool, rel("v1.0.0", 0), rel("v1.1.0", time.Minute))
		for _, cache := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := Config{Provider: provider, Repository: tool, BaseURL: s.URL, CacheETags: cache}
				f := &sourcetest.Feed{}
				for life := range 2 {
					stop := start(t, c, f)
					pass(5 * time.Minute)
					_ = stop()
					want := []int{200, 200, 304, 304}
					if cache && life == 1 {
						want = []int{304, 304, 304, 304}
					}
					var got []int
					for _, r := range s.Took() {
						got = append(got, r.Status)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s, cache %v, life %d: %v", provider, cache, life, got)
					}
				}
			})
		}
	}
}

// TestMemory makes sure that what waits keeps its data, and nothing else does.
func TestMemory(t *testing.T) {
	list := []*releases.Release{{ID: "1", Raw: json.RawMessage("{}")}, {ID: "2", Raw: json.RawMessage("{}"), Assets: []releases.Asset{{}}}}
	(&watcher{}).drop(list, list[:1])
	if diff := cmp.Diff([]*releases.Release{{ID: "1", Raw: json.RawMessage("{}")}, {ID: "2"}}, list); diff != "" {
		t.Error(diff)
	}
}

// answer starts a site that answers everything in one way, outside of any bubble.
func answer(t *testing.T, how http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(how)
	t.Cleanup(srv.Close)
	return srv.URL
}

func secret(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
