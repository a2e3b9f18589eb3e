package release

import (
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func read(t *testing.T, text string) (*watcher, error) {
	t.Helper()
	f, err := strictyaml.Parse("sources.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := f.Decode(f.Root, &c); err != nil {
		return nil, err
	}
	s, err := c.Source()
	w, _ := s.(*watcher)
	return w, err
}

func TestConfig(t *testing.T) {
	t.Parallel()
	w, err := read(t, `{provider: gitlab, repository: acme/tools/app, base_url: "https://gitlab.example.com/", every: 1h, channel: latest,
		version: ">=2, <3", tag: "v*", min_age: 24h, asset: "app-linux-*", since: 2026-11-01T00:00:00Z, token_file: /etc/jet-bus/gl.token,
		cache_etags: true}`)
	if err != nil {
		t.Fatal(err)
	}
	want := releases.Repository{
		Provider: "gitlab", Base: "https://gitlab.example.com", Name: "acme/tools/app", TokenKey: "token_file", ETags: true,
	}
	if w.repo != want || w.every != time.Hour || w.filter.minAge != 24*time.Hour || w.filter.channel != releases.Stable ||
		!w.since.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) || w.tokenFile != "/etc/jet-bus/gl.token" {
		t.Errorf("%+v", w)
	}
	w, err = read(t, "repository: acme/app")
	if err != nil || w.repo.Base != "https://api.github.com" || w.repo.Provider != releases.GitHub || w.every != 5*time.Minute || w.sites == nil {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{provider: github}":                                                            `sources.yml:1:1: missing key "repository"`,
		"{repository: acme/app, branch: main}":                                          `unknown key "branch"`,
		"{repository: acme/app, provider: svn}":                                         `sources.yml:1:34: provider must be github, gitea, forgejo or gitlab, not "svn"`,
		"{repository: app}":                                                             `repository must be owner/name, not "app"`,
		"{repository: a/b/c}":                                                           `repository must be owner/name, not "a/b/c"`,
		"{repository: 'a/b c'}":                                                         `repository must be owner/name`,
		"{repository: acme/app, base_url: 'ftp://x'}":                                   "base_url must begin with http:// or https://",
		"{repository: acme/app, base_url: 'https://u:s3cret@x'}":                        "hold no password",
		"{repository: acme/app, base_url: 'https://x/?token=s3cret'}":                   "hold no password",
		"{repository: acme/app, base_url: 'https://github.com'}":                        "leave it out for github.com",
		"{repository: acme/app, provider: gitea, base_url: 'http://x', token_file: /t}": "sent in the clear",
		"{repository: acme/app, every: 1s}":                                             "every must be 10s to 168h0m0s, not 1s",
		"{repository: acme/app, every: 0s}":                                             "every must be 10s",
		"{repository: acme/app, channel: beta}":                                         `channel must be latest, stable, prerelease, unstable or any, not "beta"`,
		"{repository: acme/app, version: v2 or so}":                                     `version must be a range such as ">=2, <3", not "v2 or so"`,
		"{repository: acme/app, tag: 'v['}":                                             `1:29: tag: "v[" is no pattern`,
		"{repository: acme/app, asset: 'a['}":                                           `asset: "a[" is no pattern`,
		"{repository: acme/app, min_age: 9000h}":                                        "min_age must be 365 days at most",
		"{repository: acme/app, since: yesterday}":                                      `since must be a time such as 2026-11-01T00:00:00Z, not "yesterday"`,
		"{repository: acme/app, token_file: gh.token}":                                  "token_file must be an absolute path",
	} {
		w, err := read(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || w != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.HasPrefix(err.Error(), "sources.yml:1:")) {
			t.Errorf("%s: shows a secret or no place: %v", text, err)
		}
	}
	_, err := read(t, "{repository: app, every: 1s, channel: beta, tag: '['}")
	if err == nil || strings.Count(err.Error(), "sources.yml:") != 4 {
		t.Errorf("not all faults: %v", err)
	}
}
