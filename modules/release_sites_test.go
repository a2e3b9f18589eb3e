package modules

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/releases"
	site "github.com/jet-bus/jet-bus/test/releases"
)

const tool = "acme/tool"

var sites = []string{releases.GitHub, releases.Gitea, releases.Forgejo, releases.GitLab}

// newSite starts a site that has the fixture, and one repository of several things.
func newSite(t *testing.T) *site.Site {
	t.Helper()
	s := site.Start()
	t.Cleanup(s.Close)
	s.Put(tool, site.Fixture()...)
	s.Put("acme/shared", site.Shared()...)
	return s
}

// visit runs the module once, with a client that remembers nothing, unless m has one,
// and that waits for nothing.
func visit(t *testing.T, s *site.Site, m githubRelease) (engine.Plan, engine.Result, error) {
	t.Helper()
	m.BaseURL = s.URL
	if m.Repo == "" {
		m.Repo = tool
	}
	if m.client == nil {
		m.client = releases.NewClient()
	}
	m.client.Wait = func(context.Context, time.Duration) error { return nil }
	return enact(t, &m, &engine.Host{Conn: here(t)})
}

// TestChannelsOnSites compares what is chosen with what the definitions of the
// channels come to, worked out by hand. gitlab is written where it is another
// release, as GitLab has no flag for prereleases.
func TestChannelsOnSites(t *testing.T) {
	t.Parallel()
	const none = "none"
	cases := []struct{ until, channel, version, want, gitlab string }{
		// Before 1.0.0: the only stable release is an old one.
		{"v1.0.0-rc.2", "", "", "v0.9.0", ""},
		{"v1.0.0-rc.2", "prerelease", "", "v1.0.0-rc.2", ""},
		{"v1.0.0-rc.2", "unstable", "", "v1.0.0-rc.2", ""},
		{"v1.0.0-rc.2", "any", "", "v1.0.0-rc.2", ""},
		// 1.0.0 beats its candidates, but where prereleases are asked for.
		{"v1.0.0", "latest", "", "v1.0.0", ""},
		{"v1.0.0", "prerelease", "", "v1.0.0", ""},
		{"v1.0.0", "unstable", "", "v1.0.0-rc.2", ""},
		{"v1.0.0", "any", "", "v1.0.0", ""},
		{"v1.1.0-rc.1", "stable", "", "v1.0.1", ""},
		{"v1.1.0-rc.1", "prerelease", "", "v1.1.0-rc.1", ""},
		{"1.1.2", "stable", "", "1.1.2", ""},
		// 1.10 is more than 1.9, beta.10 more than beta.9.
		{"v2.0.0-beta.10", "stable", "", "v1.10.1", ""},
		{"v2.0.0-beta.10", "prerelease", "", "v2.0.0-beta.10", ""},
		{"v2.0.0-beta.10", "unstable", "", "v2.0.0-beta.10", ""},
		// A backport is published later, and no newer version.
		{"v1.10.2", "stable", "", "v2.0.0", ""},
		{"v1.10.2", "prerelease", "", "v2.0.0", ""},
		{"v1.10.2", "unstable", "", "v2.0.0-rc.2", ""},
		{"v1.10.2", "any", "", "v1.10.2", ""},
		// A prerelease by its flag alone.
		{"v2.2.0", "stable", "", "v2.1.1", "v2.2.0"},
		{"v2.2.0", "prerelease", "", "v2.2.0", ""},
		{"v2.2.0", "unstable", "", "v2.2.0", "v2.1.0-rc.1"},
		{"v2.2.0", "any", "", "v2.2.0", ""},
		// Tags without a version are the newest, and no highest version.
		{"winter-2025", "stable", "", "v2.1.1", "v2.2.0"},
		{"winter-2025", "any", "", "winter-2025", ""},
		{"nightly", "unstable", "", "v3.0.0-alpha.2", ""},
		{"nightly", "any", "", "nightly", ""},
		// The whole history, with drafts.
		{"v9.0.0", "", "", "v2.1.2", "v2.2.0"},
		{"v9.0.0", "latest", "", "v2.1.2", "v2.2.0"},
		{"v9.0.0", "stable", "", "v2.1.2", "v2.2.0"},
		{"v9.0.0", "prerelease", "", "v3.0.0-alpha.2", ""},
		{"v9.0.0", "unstable", "", "v3.0.0-alpha.2", ""},
		{"v9.0.0", "any", "", "v1.10.3", ""},
		// Ranges.
		{"v9.0.0", "stable", "^1", "v1.10.3", ""},
		{"v9.0.0", "stable", "~1.2", "v1.2.1", ""},
		{"v9.0.0", "stable", ">=1.1, <1.2", "1.1.2", ""},
		{"v9.0.0", "stable", "1.x", "v1.10.3", ""},
		{"v9.0.0", "stable", "1.1", "1.1.2", ""},
		{"v9.0.0", "stable", "<1", "v0.9.0", ""},
		{"v9.0.0", "stable", "1.0 - 1.3", "v1.3.0", ""},
		{"v9.0.0", "stable", ">=2", "v2.1.2", "v2.2.0"},
		{"v9.0.0", "stable", ">=5", none, ""},
		{"v9.0.0", "prerelease", "^1", "v1.10.3", ""},
		{"v9.0.0", "prerelease", "^3.0.0-alpha", "v3.0.0-alpha.2", ""},
		{"v9.0.0", "prerelease", "<2", "v2.0.0-rc.2", ""},
		{"v9.0.0", "unstable", "^1", "v1.2.0-rc.1", ""},
		{"v9.0.0", "any", "~1.10", "v1.10.3", ""},
		{"v9.0.0", "any", "^2", "v2.1.2", ""},
		// Pins, whatever the channel.
		{"v9.0.0", "stable", "v1.9.0", "v1.9.0", ""},
		{"v9.0.0", "stable", "1.9.0", "v1.9.0", ""},
		{"v9.0.0", "unstable", "1.9.0", "v1.9.0", ""},
		{"v9.0.0", "stable", "v1.1.2", "1.1.2", ""},
		{"v9.0.0", "stable", "1.0.0-rc.1", "v1.0.0-rc.1", ""},
		{"v9.0.0", "stable", "2.2.0", "v2.2.0", ""},
		{"v9.0.0", "stable", "nightly", "nightly", ""},
		{"v9.0.0", "stable", "winter-2025", "winter-2025", ""},
		{"v9.0.0", "any", "v9.0.0", none, ""},
		{"v9.0.0", "any", "2.3.0", none, ""},
		{"v9.0.0", "stable", "2.0.9", none, ""},
		{"v9.0.0", "stable", "no such tag", none, ""},
	}
	for _, provider := range sites {
		s := newSite(t)
		s.Page(15)
		for _, c := range cases {
			s.Put(tool, site.Until(site.Fixture(), c.until)...)
			// A token that may push sees drafts.
			_, res, err := visit(t, s, githubRelease{Provider: provider, Channel: c.channel, Version: c.version, GitHubToken: "push"})
			want := c.want
			if provider == releases.GitLab && c.gitlab != "" {
				want = c.gitlab
			}
			got := none
			if err == nil {
				got, _ = res.Data["tag"].(string)
			} else if !strings.Contains(err.Error(), "choosing a release of acme/tool: there is no release") {
				t.Errorf("%s: %v", provider, err)
			}
			if got != want {
				t.Errorf("%s until %s, channel %q, version %q: %s, want %s", provider, c.until, c.channel, c.version, got, want)
			}
		}
	}
}

func TestTagPrefixOnSites(t *testing.T) {
	t.Parallel()
	for _, provider := range sites {
		s := newSite(t)
		for _, c := range []struct{ prefix, channel, version, want string }{
			{"", "", "", "lib/v9.1.0"},
			{"app/", "", "", "app/v1.10.0"},
			{"app/", "prerelease", "", "app/v2.0.0-rc.1"},
			{"app/", "", "1.2.3", "app/v1.2.3"},
			{"app/", "", "v1.2.3", "app/v1.2.3"},
			{"app/", "", "~1.2", "app/v1.2.3"},
			{"lib/", "", "<9.1", "lib/v9.0.0"},
		} {
			for _, token := range []string{"", testToken} {
				dest := filepath.Join(t.TempDir(), "tool")
				_, res, err := visit(t, s, githubRelease{
					Repo: "acme/shared", Provider: provider, Channel: c.channel, Version: c.version, TagPrefix: c.prefix,
					GitHubToken: token, Asset: "tool-linux-amd64", Dest: hostPath(dest),
				})
				if err != nil || res.Data["tag"] != c.want {
					t.Errorf("%s: %+v: %v, %v", provider, c, res.Data["tag"], err)
					continue
				}
				if got, want := read(t, dest), (site.Release{Tag: c.want}).Program("linux-amd64"); got != want {
					t.Errorf("%s: %+v: the file holds %q", provider, c, got)
				}
			}
		}
	}
}

func TestPagesOfSites(t *testing.T) {
	t.Parallel()
	for _, provider := range sites {
		for page, want := range map[int]int{100: 1, 20: 2, 15: 3, 4: 10} {
			s := newSite(t)
			s.Page(page)
			if provider == releases.Gitea || provider == releases.Forgejo {
				page = min(page, 50)
			}
			if _, _, err := visit(t, s, githubRelease{Provider: provider, Version: "v0.9.0-beta.1", GitHubToken: testToken}); err != nil {
				t.Errorf("%s, %d on a page: %v", provider, page, err)
			}
			if got := len(s.Took()); got != want {
				t.Errorf("%s, %d on a page: %d requests, want %d", provider, page, got, want)
			}
		}
	}
}

func TestPrivateRepositories(t *testing.T) {
	t.Parallel()
	for _, provider := range sites {
		s := newSite(t)
		s.Private(tool, testToken)
		for token, want := range map[string]string{
			"":        "404 Not Found: it does not exist, or a github_token is needed that may see it",
			"other":   "404 Not Found: it does not exist, or a github_token is needed that may see it",
			"wrong":   "401 Unauthorized: github_token is not accepted",
			testToken: "",
		} {
			dest := filepath.Join(t.TempDir(), "tool")
			_, _, err := visit(t, s, githubRelease{
				Provider: provider, GitHubToken: token, Asset: "tool-linux-amd64", Dest: hostPath(dest),
			})
			if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s, token %q: %v", provider, token, err)
			}
			_, serr := os.Stat(dest)
			if (serr == nil) != (want == "") {
				t.Errorf("%s, token %q: file: %v", provider, token, serr)
			}
		}
		seen := false
		for _, r := range s.Took() {
			if strings.HasPrefix(r.Path, "objects:") {
				seen = true
				if r.Authorization != "" {
					t.Errorf("%s: the store of files was sent %q", provider, r.Authorization)
				}
			}
		}
		if !seen {
			t.Errorf("%s: the store of files was not asked", provider)
		}
	}
}

func TestCutOffFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cut, short, hold int
		err              string
	}{
		{cut: 1},
		{cut: 2},
		{hold: 2},
		{cut: 1, short: 1},
		{cut: 3, err: "installing tool-linux-amd64 of acme/tool v2.1.2: the answer was cut off after 20 bytes"},
		{short: 3, err: "the answer was cut off: 20 bytes arrived, and there are 41"},
		{hold: 3, err: "the answer was cut off: nothing arrived for"},
	} {
		s := newSite(t)
		s.Cut(c.cut)
		s.Short(c.short)
		s.Hold(c.hold)
		dest := filepath.Join(t.TempDir(), "tool")
		client := releases.NewClient()
		client.Stall = 100 * time.Millisecond
		if c.hold == 0 {
			client.Stall = 0
		}
		_, _, err := visit(t, s, githubRelease{client: client, Asset: "tool-linux-amd64", Dest: hostPath(dest)})
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%+v: %v", c, err)
		case c.err != "":
			if names, _ := filepath.Glob(filepath.Dir(dest) + "/*"); len(names) > 0 {
				t.Errorf("%+v: left behind: %q", c, names)
			}
		case read(t, dest) != (site.Release{Tag: "v2.1.2"}).Program("linux-amd64"):
			t.Errorf("%+v: the file holds %q", c, read(t, dest))
		}
	}
}

func TestSignedReleases(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, c := range []struct{ name, sums, key, signature, err string }{
		{"minisign of the checksums", "SHA256SUMS", s.Minisign, "", ""},
		{"ssh of the checksums", "SHA256SUMS", s.SSH, "", ""},
		{"minisign of the file", "", s.Minisign, "", ""},
		{"named", "SHA*SUMS", s.SSH, "*.sig", ""},
		{"another key", "SHA256SUMS", ed25519Public, "", "verifying SHA256SUMS.sig: the signature is not that of public_key"},
		{"of something else", "", s.Minisign, "SHA256SUMS.minisig", "the signature is not that of public_key"},
		{"not there", "", s.SSH, "", `has no file "tool-linux-amd64.sig"`},
	} {
		key, err := parseSigningKey(c.key)
		if err != nil {
			t.Fatal(err)
		}
		m := githubRelease{
			Asset: "tool-linux-amd64", Dest: hostPath(filepath.Join(t.TempDir(), "tool")), ChecksumFile: c.sums,
			PublicKey: key, SignatureFile: c.signature,
		}
		_, _, err = visit(t, s, m)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, serr := os.Stat(string(m.Dest)); (serr == nil) != (c.err == "") {
			t.Errorf("%s: file: %v", c.name, serr)
		}
		if p, _, err := visit(t, s, m); c.err == "" && (err != nil || p.Need != engine.Matched) {
			t.Errorf("%s: second run: %v, %v", c.name, p, err)
		}
	}
}

// TestReplacedFiles makes sure that a tag that moves on is noticed, with and without
// checksums that the site tells.
func TestReplacedFiles(t *testing.T) {
	t.Parallel()
	for _, provider := range sites {
		s := newSite(t)
		m := githubRelease{
			Provider: provider, Version: "nightly", Asset: "tool-linux-amd64", Dest: hostPath(filepath.Join(t.TempDir(), "tool")),
		}
		for build, want := range []engine.Need{engine.Create, engine.Modify} {
			r := site.Release{Tag: "nightly", Flagged: true, Build: build}
			s.Put(tool, r)
			p, res, err := visit(t, s, m)
			if err != nil || p.Need != want || read(t, string(m.Dest)) != r.Program("linux-amd64") {
				t.Errorf("%s: build %d: %v, %v", provider, build, p, err)
			}
			if previous := []any{nil, "nightly"}[build]; res.Data["previous"] != previous {
				t.Errorf("%s: build %d: previous is %v", provider, build, res.Data["previous"])
			}
			if p, _, err := visit(t, s, m); err != nil || p.Need != engine.Matched {
				t.Errorf("%s: build %d, again: %v, %v", provider, build, p, err)
			}
		}
	}
}

// TestListsOfEarlierRuns makes sure that a run never goes by what was so before it
// began, and that within a run what is missing is asked for anew.
func TestListsOfEarlierRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var later time.Duration
	client := releases.NewClient()
	client.Now = func() time.Time { return time.Now().Add(later) }
	ask := func(m githubRelease, began time.Time) string {
		t.Helper()
		m.client, m.Repo, m.BaseURL = client, tool, s.URL
		_, res, err := enact(t, &m, &engine.Host{Began: began})
		if err != nil {
			return err.Error()
		}
		tag, _ := res.Data["tag"].(string)
		return tag
	}
	s.Put(tool, site.Release{Tag: "v1.0.0"})
	first := time.Now()
	got := []string{ask(githubRelease{}, first)}
	s.Put(tool, site.Release{Tag: "v1.0.0"}, site.Release{Tag: "v1.1.0"})
	got = append(got, ask(githubRelease{}, first), ask(githubRelease{}, time.Now()))
	s.Put(tool, site.Release{Tag: "v1.0.0"}, site.Release{Tag: "v1.2.0"})
	second := time.Now()
	got = append(got, ask(githubRelease{Version: "v1.2.0"}, first))
	later = 5 * time.Second
	got = append(got, ask(githubRelease{Version: "v1.2.0"}, first), ask(githubRelease{}, second))
	want := []string{"v1.0.0", "v1.0.0", "v1.1.0", "choosing a release of acme/tool: there is no release v1.2.0", "v1.2.0", "v1.2.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := len(s.Took()); n != 3 {
		t.Errorf("the site was asked %d times", n)
	}
}

func TestLimitsOfSites(t *testing.T) {
	t.Parallel()
	until := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for provider, code := range map[string]string{releases.GitHub: "403 Forbidden", releases.GitLab: "429 Too Many Requests"} {
		s := newSite(t)
		s.Limit(1, until)
		var later time.Duration
		client := releases.NewClient()
		client.Now = func() time.Time { return time.Now().Add(later) }
		want := "asking for the releases of acme/tool: the server answered " + code + ": no more requests are taken until "
		for i := range 3 {
			_, _, err := visit(t, s, githubRelease{Provider: provider, client: client})
			if i == 0 {
				if err != nil {
					t.Fatalf("%s: %v", provider, err)
				}
				later = time.Minute
				continue
			}
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "; github_token raises the limit") {
				t.Errorf("%s: %v", provider, err)
			}
		}
		var statuses []int
		for _, r := range s.Took() {
			statuses = append(statuses, r.Status)
		}
		if refused := slices.Max(statuses); len(statuses) != 2 || refused < 400 {
			t.Errorf("%s: answers %v, want one and one refusal", provider, statuses)
		}
	}
}
