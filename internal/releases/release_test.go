package releases

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const testToken = "s3cret-token"

// fixture is line 72 of the conformance checklist.
func fixture() []Release {
	day := func(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }
	list := []Release{
		{Tag: "v1.9.0", Published: day(1)},
		{Tag: "v1.10.0", Published: day(2)},
		{Tag: "v2.0.0-rc.1", Prerelease: true, Published: day(3)},
		{Tag: "v2.0.0-rc.2", Published: day(4)}, // only its version says so
		{Tag: "v2.0.0", Published: day(5)},
		{Tag: "v2.1.0", Prerelease: true, Published: day(6)}, // only its flag says so
		{Tag: "v1.9.1", Published: day(7)},
		{Tag: "nightly", Prerelease: true, Published: day(8)},
		{Tag: "v9.0.0", Draft: true, Published: day(9)},
	}
	for i := range list {
		list[i].Version = TagVersion(list[i].Tag)
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := fixture()
	cases := []struct {
		list    []Release
		channel Channel
		want    string
		tag     string
	}{
		{all, Stable, "", "v2.0.0"},
		{all, Prerelease, "", "v2.1.0"},
		{all[:5], Prerelease, "", "v2.0.0"}, // beats its own candidate
		{all[:4], Prerelease, "", "v2.0.0-rc.2"},
		{all[:5], Unstable, "", "v2.0.0-rc.2"},
		{all, Unstable, "", "v2.1.0"},
		{all, Any, "", "nightly"},
		{all, Stable, "<2", "v1.10.0"},
		{all, Stable, "~1.9", "v1.9.1"},
		{all, Stable, "^1", "v1.10.0"},
		{all, Stable, "1.9.0", "v1.9.0"},
		{all, Stable, "v2.0.0-rc.1", "v2.0.0-rc.1"},
		{all, Stable, "2.1.0", "v2.1.0"},
		{all, Stable, "nightly", "nightly"},
		{all, Prerelease, ">=2.0.0-rc.1, <2.0.0", "v2.0.0-rc.2"},
		{all, Stable, ">=2.0.0-rc.1, <2.0.0", ""},
		{all, Stable, "v9.0.0", ""},
		{all, Stable, "no such", ""},
		{all[:2], Unstable, "", ""},
		{all[7:8], Prerelease, "", "nightly"},
		{nil, Any, "", ""},
	}
	for _, c := range cases {
		got, err := Choice{Channel: c.channel, Version: c.want}.Of(c.list)
		if got.Tag != c.tag || (err == nil) != (c.tag != "") {
			t.Errorf("channel %s, version %q: %q, %v; want %q", c.channel, c.want, got.Tag, err, c.tag)
		}
	}
}

// TestChooseOfOneVersion makes sure that of two tags of one version the stable one
// is chosen, and else the one that was published last.
func TestChooseOfOneVersion(t *testing.T) {
	t.Parallel()
	made := func(tag string, prerelease bool, day int) Release {
		return Release{
			Tag: tag, Prerelease: prerelease, Version: TagVersion(tag),
			Published: time.Date(2025, 1, day, 0, 0, 0, 0, time.UTC),
		}
	}
	for name, c := range map[string]struct {
		list    []Release
		version string
		tag     string
	}{
		"stable":            {[]Release{made("v1.0.0", false, 1), made("1.0.0", true, 2)}, "", "v1.0.0"},
		"stable, pinned":    {[]Release{made("a-1.0.0", true, 2), made("b-1.0.0", false, 1)}, "1.0.0", "b-1.0.0"},
		"last":              {[]Release{made("v1.0.0", false, 2), made("1.0.0", false, 1)}, "", "v1.0.0"},
		"last, the other":   {[]Release{made("v1.0.0", false, 1), made("1.0.0", false, 2)}, "", "1.0.0"},
		"last, no versions": {[]Release{made("summer", false, 3), made("autumn", false, 4), made("spring", false, 1)}, "", "autumn"},
		"build, pinned":     {[]Release{made("a-1.0.0+b1", false, 1), made("a-1.0.0+b2", false, 2)}, "1.0.0+b1", "a-1.0.0+b1"},
	} {
		got, err := Choice{Channel: Prerelease, Version: c.version}.Of(c.list)
		if err != nil || got.Tag != c.tag {
			t.Errorf("%s: %q, %v; want %q", name, got.Tag, err, c.tag)
		}
	}
}

func TestTagVersion(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2": "1.2.0", "jq-1.7.1": "1.7.1", "release/2.0.0-rc1": "2.0.0-rc1", "nightly": "", "": "",
		"app/v1.2.3": "1.2.3", "app2/v1.2.3": "1.2.3", "@scope/app@1.2.3+b7": "1.2.3+b7", "log4j-2.17.1": "2.17.1",
		"k8s-v1.2.3-rc.1": "1.2.3-rc.1", "v7": "7.0.0", "7-beta2": "7.0.0-beta2", "go1.26.8": "1.26.8",
		// Dates, and what only looks like a version.
		"20240102": "", "nightly-20240102": "", "nightly-2024-01-02": "", "RELEASE.2024-01-02T03-04-05Z": "",
		"2024.01.02.1.2": "", "v1.2.3.4": "", "v": "", "winter-2025": "", strings.Repeat("1.2-", 100): "",
	} {
		got := ""
		if v := TagVersion(tag); v != nil {
			got = v.String()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", tag, got, want)
		}
	}
}

func TestDecodeReleases(t *testing.T) {
	t.Parallel()
	list, err := decodeReleases([]byte(`[{"tag_name": "v1", "published_at": null, "assets": [
		{"name": "a", "state": "starter"}, {"name": "b", "state": "uploaded", "size": 5, "id": 7}, {"name": "c"}]}]`))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if _, err := list[0].Find("a"); err == nil {
		t.Error("a file that was not uploaded is found")
	}
	if b, err := list[0].Find("b"); err != nil || b.Size != 5 || b.ID != 7 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	r := Repository{Base: "https://git.example.com:8443/api", Token: testToken}
	for _, c := range []struct {
		from, to, token, err string
	}{
		{"https://git.example.com:8443/a", "https://git.example.com:8443/b", testToken, ""},
		{"https://git.example.com:8443/a", "https://git.example.com/b", "", ""},
		{"https://git.example.com:8443/a", "https://files.git.example.com:8443/b", "", ""},
		{"https://git.example.com:8443/a", "http://git.example.com:8443/b", testToken, "not encrypted"},
		{"http://a/a", "http://b/b", "", ""},
	} {
		from, to := httptest.NewRequest("GET", c.from, nil), httptest.NewRequest("GET", c.to, nil)
		to.Header.Set("Authorization", testToken) // as the client may have done
		err := r.redirect(to, []*http.Request{from})
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
		if got := to.Header.Get("Authorization"); got != c.token {
			t.Errorf("%s to %s: sends %q", c.from, c.to, got)
		}
	}
	if r.redirect(httptest.NewRequest("GET", "https://a/", nil), make([]*http.Request, maxRedirects+1)) == nil {
		t.Error("redirections have no end")
	}
}

func TestFindAsset(t *testing.T) {
	t.Parallel()
	r := Release{Tag: "v1", Assets: []Asset{{Name: "a-linux.tar.gz"}, {Name: "a-linux.tar.gz.sha256"}, {Name: "a-[x]"}}}
	for pattern, want := range map[string]string{
		"*-linux.tar.gz": "a-linux.tar.gz", "a-[x]": "a-[x]", "*linux*": "more than one file", "b": "no file \"b\"; it has a-linux",
	} {
		got, err := r.Find(pattern)
		if s := got.Name + fmt.Sprint(err); !strings.Contains(s, want) {
			t.Errorf("%q: %s", pattern, s)
		}
	}
}
