package modules

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fixture is line 72 of the conformance checklist.
func fixture() []release {
	day := func(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }
	list := []release{
		{tag: "v1.9.0", published: day(1)},
		{tag: "v1.10.0", published: day(2)},
		{tag: "v2.0.0-rc.1", prerelease: true, published: day(3)},
		{tag: "v2.0.0-rc.2", published: day(4)}, // only its version says so
		{tag: "v2.0.0", published: day(5)},
		{tag: "v2.1.0", prerelease: true, published: day(6)}, // only its flag says so
		{tag: "v1.9.1", published: day(7)},
		{tag: "nightly", prerelease: true, published: day(8)},
		{tag: "v9.0.0", draft: true, published: day(9)},
	}
	for i := range list {
		list[i].version = tagVersion(list[i].tag)
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := fixture()
	cases := []struct {
		list          []release
		channel, want string
		tag           string
	}{
		{all, channelStable, "", "v2.0.0"},
		{all, channelPrerelease, "", "v2.1.0"},
		{all[:5], channelPrerelease, "", "v2.0.0"}, // beats its own candidate
		{all[:4], channelPrerelease, "", "v2.0.0-rc.2"},
		{all[:5], channelUnstable, "", "v2.0.0-rc.2"},
		{all, channelUnstable, "", "v2.1.0"},
		{all, channelAny, "", "nightly"},
		{all, channelStable, "<2", "v1.10.0"},
		{all, channelStable, "~1.9", "v1.9.1"},
		{all, channelStable, "^1", "v1.10.0"},
		{all, channelStable, "1.9.0", "v1.9.0"},
		{all, channelStable, "v2.0.0-rc.1", "v2.0.0-rc.1"},
		{all, channelStable, "2.1.0", "v2.1.0"},
		{all, channelStable, "nightly", "nightly"},
		{all, channelPrerelease, ">=2.0.0-rc.1, <2.0.0", "v2.0.0-rc.2"},
		{all, channelStable, ">=2.0.0-rc.1, <2.0.0", ""},
		{all, channelStable, "v9.0.0", ""},
		{all, channelStable, "no such", ""},
		{all[:2], channelUnstable, "", ""},
		{all[7:8], channelPrerelease, "", "nightly"},
		{nil, channelAny, "", ""},
	}
	for _, c := range cases {
		got, err := choice{channel: c.channel, version: c.want}.of(c.list)
		if got.tag != c.tag || (err == nil) != (c.tag != "") {
			t.Errorf("channel %s, version %q: %q, %v; want %q", c.channel, c.want, got.tag, err, c.tag)
		}
	}
}

// TestChooseOfOneVersion makes sure that of two tags of one version the stable one
// is chosen, and else the one that was published last.
func TestChooseOfOneVersion(t *testing.T) {
	t.Parallel()
	made := func(tag string, prerelease bool, day int) release {
		return release{
			tag: tag, prerelease: prerelease, version: tagVersion(tag),
			published: time.Date(2025, 1, day, 0, 0, 0, 0, time.UTC),
		}
	}
	for name, c := range map[string]struct {
		list    []release
		version string
		tag     string
	}{
		"stable":            {[]release{made("v1.0.0", false, 1), made("1.0.0", true, 2)}, "", "v1.0.0"},
		"stable, pinned":    {[]release{made("a-1.0.0", true, 2), made("b-1.0.0", false, 1)}, "1.0.0", "b-1.0.0"},
		"last":              {[]release{made("v1.0.0", false, 2), made("1.0.0", false, 1)}, "", "v1.0.0"},
		"last, the other":   {[]release{made("v1.0.0", false, 1), made("1.0.0", false, 2)}, "", "1.0.0"},
		"last, no versions": {[]release{made("summer", false, 3), made("autumn", false, 4), made("spring", false, 1)}, "", "autumn"},
		"build, pinned":     {[]release{made("a-1.0.0+b1", false, 1), made("a-1.0.0+b2", false, 2)}, "1.0.0+b1", "a-1.0.0+b1"},
	} {
		got, err := choice{channel: channelPrerelease, version: c.version}.of(c.list)
		if err != nil || got.tag != c.tag {
			t.Errorf("%s: %q, %v; want %q", name, got.tag, err, c.tag)
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
		if v := tagVersion(tag); v != nil {
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
	if _, err := list[0].find("a"); err == nil {
		t.Error("a file that was not uploaded is found")
	}
	if b, err := list[0].find("b"); err != nil || b.size != 5 || b.id != 7 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	r := repository{base: "https://git.example.com:8443/api", token: testToken}
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
	r := release{tag: "v1", assets: []asset{{name: "a-linux.tar.gz"}, {name: "a-linux.tar.gz.sha256"}, {name: "a-[x]"}}}
	for pattern, want := range map[string]string{
		"*-linux.tar.gz": "a-linux.tar.gz", "a-[x]": "a-[x]", "*linux*": "more than one file", "b": "no file \"b\"; it has a-linux",
	} {
		got, err := r.find(pattern)
		if s := got.name + fmt.Sprint(err); !strings.Contains(s, want) {
			t.Errorf("%q: %s", pattern, s)
		}
	}
}

func TestListedSum(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	for text, ok := range map[string]bool{
		sum + "  file\n" + strings.Repeat("00", 32) + "  other\n":        true,
		strings.Repeat("00", 32) + " *other\r\n" + sum + " *./dist/file": true,
		"SHA256 (file) = " + sum:    true,
		strings.ToUpper(sum) + "\n": true,
		sum + "  file2\n":           false,
		"ab  file\n":                false,
		"":                          false,
	} {
		got, err := listedSum(text, "file")
		if (err == nil) != ok || ok && got.String() != "sha256:"+sum {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
