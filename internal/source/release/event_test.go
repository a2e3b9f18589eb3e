package release

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/releases"
)

// attributes are what tells two events apart, or makes them one.
type attributes struct{ id, source, typ, subject, time, host, repository, tag, ref, actor, gitEvent, polled string }

func attributesOf(e events.Event) attributes {
	ext := func(name string) string { return events.Extension(e, name) }
	return attributes{
		e.ID(), e.Source(), e.Type(), e.Subject(), e.Time().Format("2006-01-02T15:04:05Z"), ext("githost"), ext("repository"),
		ext("tag"), ext("ref"), ext("actor"), ext("gitevent"), ext("polled"),
	}
}

// polled is what a release of an API becomes, in the words that hosts document.
var polled = map[string]struct {
	c    Config
	raw  string
	want attributes
	data string
}{
	"github": {
		Config{Repository: "octocat/hello-world"},
		`{"url": "https://api.github.com/repos/octocat/Hello-World/releases/1",
			"html_url": "https://github.com/octocat/Hello-World/releases/tag/v1.0.0",
			"id": 1, "tag_name": "v1.0.0", "target_commitish": "master", "name": "v1.0.0", "body": "What is new", "draft": false,
			"prerelease": false, "created_at": "2013-02-27T19:35:32Z", "published_at": "2013-02-27T19:35:33Z",
			"author": {"login": "octocat", "id": 1, "type": "User"}, "assets": []}`,
		attributes{
			"release:1:published", "https://api.github.com/repos/octocat/Hello-World", "com.github.release.published", "1",
			"2013-02-27T19:35:33Z", "github.com", "octocat/Hello-World", "v1.0.0", "refs/tags/v1.0.0", "octocat", "release", "true",
		},
		`{"action": "published", "release": RAW, "repository": {"full_name": "octocat/Hello-World", "name": "Hello-World",
			"url": "https://api.github.com/repos/octocat/Hello-World", "html_url": "https://github.com/octocat/Hello-World",
			"owner": {"login": "octocat"}}}`,
	},
	"github enterprise, and words that are in addresses": {
		Config{Repository: "releases/releases", BaseURL: "https://ghe.example.com/api/v3"},
		`{"url": "https://ghe.example.com/api/v3/repos/releases/releases/releases/12", "id": 12, "tag_name": "app/v2",
			"html_url": "https://ghe.example.com/releases/releases/releases/tag/app/v2", "published_at": "2026-03-01T10:05:00+01:00"}`,
		attributes{
			"release:12:published", "https://ghe.example.com/api/v3/repos/releases/releases", "com.github.release.published", "12",
			"2026-03-01T09:05:00Z", "ghe.example.com", "releases/releases", "app/v2", "refs/tags/app/v2", "", "release", "true",
		},
		"",
	},
	"gitea": {
		Config{Provider: "gitea", Repository: "acme/app", BaseURL: "http://10.0.0.7:3000"}, // inside, it has another address
		`{"id": 4711, "tag_name": "v1.2.0", "url": "https://git.example.com/api/v1/repos/acme/app/releases/4711",
			"html_url": "https://git.example.com/acme/app/releases/tag/v1.2.0", "published_at": "2026-03-01T10:05:00Z",
			"author": {"id": 1, "login": "ann", "username": "ann"}}`,
		attributes{
			"release:4711:published", "https://git.example.com/api/v1/repos/acme/app", "org.gitea.release.published", "4711",
			"2026-03-01T10:05:00Z", "git.example.com", "acme/app", "v1.2.0", "refs/tags/v1.2.0", "ann", "release", "true",
		},
		"",
	},
	"forgejo, of an age that tells no addresses": {
		Config{Provider: "forgejo", Repository: "acme/app"},
		`{"id": 4711, "tag_name": "v1.2.0", "published_at": "2026-03-01T10:05:00Z"}`,
		attributes{
			"release:4711:published", "https://codeberg.org/api/v1/repos/acme/app", "org.forgejo.release.published", "4711",
			"2026-03-01T10:05:00Z", "", "acme/app", "v1.2.0", "refs/tags/v1.2.0", "", "release", "true",
		},
		"",
	},
	"gitlab": {
		Config{Provider: "gitlab", Repository: "acme/tools/app", BaseURL: "https://gitlab.example.com/git/api/v4"},
		`{"tag_name": "v1.0.0", "name": "First", "description": "New", "created_at": "2026-03-01T10:00:00.913Z",
			"released_at": "2026-03-01T10:05:00.000Z", "upcoming_release": false, "author": {"username": "root"},
			"commit": {"id": "ee0a3fb3"}, "assets": {"count": 1, "sources": [], "links": [{"id": 3, "name": "app"}]},
			"_links": {"self": "https://gitlab.example.com/git/acme/tools/app/-/releases/v1.0.0"}}`,
		attributes{
			"release:v1.0.0:1772359200", "https://gitlab.example.com/git/acme/tools/app", "com.gitlab.release.create", "v1.0.0",
			"2026-03-01T10:05:00Z", "gitlab.example.com", "acme/tools/app", "v1.0.0", "refs/tags/v1.0.0", "root", "release", "true",
		},
		`{"object_kind": "release", "action": "create", "tag": "v1.0.0", "name": "First", "description": "New",
			"created_at": "2026-03-01T10:00:00.913Z", "released_at": "2026-03-01T10:05:00.000Z", "commit": {"id": "ee0a3fb3"},
			"url": "https://gitlab.example.com/git/acme/tools/app/-/releases/v1.0.0",
			"assets": {"count": 1, "sources": [], "links": [{"id": 3, "name": "app"}]},
			"project": {"name": "app", "namespace": "acme/tools", "path_with_namespace": "acme/tools/app",
				"web_url": "https://gitlab.example.com/git/acme/tools/app", "homepage": "https://gitlab.example.com/git/acme/tools/app"}}`,
	},
}

// TestEvents compares events with what the host's webhooks bring, written out: id and
// source are what makes the two one.
func TestEvents(t *testing.T) {
	t.Parallel()
	for name, tt := range polled {
		e := eventOf(t, tt.c, tt.raw)
		if diff := cmp.Diff(tt.want, attributesOf(e), cmp.AllowUnexported(attributes{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		if err := events.Check(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := strings.ReplaceAll(tt.data, "RAW", tt.raw); want != "" {
			if diff := cmp.Diff(decoded(t, want), decoded(t, string(e.Data()))); diff != "" {
				t.Errorf("%s: data (-want +got)\n%s", name, diff)
			}
		}
	}
}

// eventOf sends a release through a site of its own, as a watcher gets it.
func eventOf(t *testing.T, c Config, raw string) events.Event {
	t.Helper()
	s, err := c.Source()
	if err != nil {
		t.Fatal(err)
	}
	w, _ := s.(*watcher)
	from := w.repo
	from.Base = answer(t, func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "["+raw+"]") })
	l, err := w.sites.Watch().Poll(t.Context(), from)
	if err != nil || len(l.Releases) != 1 {
		t.Fatalf("%v, %v", l, err)
	}
	e, err := w.event(l.Releases[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// TestLargeReleases makes sure that a release with very many files, or very long notes,
// becomes an event that the bus takes, and has what rules look at.
func TestLargeReleases(t *testing.T) {
	t.Parallel()
	var files, links []string
	for i := range 900 {
		files = append(files, fmt.Sprintf(`{"id": %d, "name": "app-%d", "browser_download_url": "https://example.com/%d", "uploader": {"login": %q}}`,
			i, i, i, strings.Repeat("x", 1000)))
		links = append(links, fmt.Sprintf(`{"id": %d, "name": "app-%d", "url": "https://example.com/%s"}`, i, i, strings.Repeat("x", 600)))
	}
	notes := strings.Repeat("é", 100<<10)
	for name, tt := range map[string]struct {
		c     Config
		raw   string
		files func(data map[string]any) int
	}{
		"github": {
			Config{Repository: tool},
			fmt.Sprintf(`{"id": 9007199254740993, "tag_name": "v1.0.0", "body": %q, "assets": [%s]}`, notes, strings.Join(files, ",")),
			func(data map[string]any) int { return len(data["release"].(map[string]any)["assets"].([]any)) },
		},
		"gitlab": {
			Config{Provider: releases.GitLab, Repository: tool},
			fmt.Sprintf(`{"tag_name": "v1.0.0", "description": %q, "assets": {"count": 900, "links": [%s]}}`, notes, strings.Join(links, ",")),
			func(data map[string]any) int { return len(data["assets"].(map[string]any)["links"].([]any)) },
		},
	} {
		e := eventOf(t, tt.c, tt.raw)
		if text, err := json.Marshal(e); err != nil || len(text) > bus.MaxEventSize {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
		data, _ := decoded(t, string(e.Data())).(map[string]any)
		if n := tt.files(data); n < 200 || data["truncated"] != true {
			t.Errorf("%s: %d files, truncated: %v", name, n, data["truncated"])
		}
		if name == "github" && (!strings.Contains(string(e.Data()), `"id":9007199254740993`) || strings.Contains(string(e.Data()), "uploader")) {
			t.Errorf("%s: the number is not what it was, or what is large is still there", name)
		}
	}
	if _, _, err := fit(json.RawMessage(fmt.Sprintf(`{"tag_name": %q}`, strings.Repeat("v", 100))), 50); err == nil {
		t.Error("what cannot be made smaller fits")
	}
}
