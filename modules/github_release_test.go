package modules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mholt/archives"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/releases"
)

const testToken = "s3cret-token"

// forge is a site with releases. It answers as the providers document it.
type forge struct {
	*httptest.Server
	mu    sync.Mutex
	tags  []string
	files map[string]string
	asked []string // "METHOD path status authorization"
	sum   string   // of the file, when the site tells one
	// before may answer instead.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newForge(t *testing.T, tags ...string) *forge {
	t.Helper()
	f := &forge{tags: tags, files: map[string]string{"tool-linux": "binary"}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Authorization")))
	if f.before != nil && f.before(w, r) {
		return
	}
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case name == "releases":
		f.list(w, r)
	case strings.HasPrefix(r.URL.Path, "/asset/") && r.Header.Get("Accept") != "application/octet-stream":
		w.WriteHeader(http.StatusUnsupportedMediaType)
	default:
		text, ok := f.files[name]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, text)
	}
}

func (f *forge) list(w http.ResponseWriter, r *http.Request) {
	body := []any{}
	gitlab := strings.Contains(r.URL.Path, "/v4/")
	// One release on a page.
	n := 0
	fmt.Sscan(r.URL.Query().Get("page"), &n)
	if n+1 < len(f.tags) {
		q := r.URL.Query()
		q.Set("page", fmt.Sprint(n+1))
		w.Header().Set("Link", fmt.Sprintf(`<%s/?x>; rel="first", <%s%s?%s>; rel="next"`, f.URL, f.URL, r.URL.EscapedPath(), q.Encode()))
	}
	var assets []any
	for name := range f.files {
		a := map[string]any{"name": name, "browser_download_url": f.URL + "/download/" + name, "url": f.URL + "/asset/" + name}
		if gitlab {
			a = map[string]any{"name": name, "url": "http://elsewhere.invalid/", "direct_asset_url": f.URL + "/download/" + name}
		} else if f.sum != "" && name == "tool-linux" {
			a["digest"] = f.sum
		}
		assets = append(assets, a)
	}
	if gitlab {
		body = append(body, map[string]any{"tag_name": f.tags[n], "released_at": "2025-01-02T03:04:05.678Z", "assets": map[string]any{"links": assets}})
	} else {
		body = append(body, map[string]any{"tag_name": f.tags[n], "published_at": "2025-01-02T03:04:05Z", "assets": assets, "draft": false})
	}
	text, _ := json.Marshal(body)
	etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(text))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		f.asked[len(f.asked)-1] += " 304"
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(text)
}

func (f *forge) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.asked
	f.asked = nil
	return out
}

// install runs the module once, with a client that remembers nothing.
func (f *forge) install(t *testing.T, m githubRelease) (engine.Plan, engine.Result, error) {
	t.Helper()
	m.client = releases.NewClient()
	m.Repo, m.BaseURL = "owner/name", f.URL
	p, res, err := enact(t, &m, &engine.Host{Conn: here(t)})
	if err != nil && strings.Contains(err.Error(), testToken) {
		t.Errorf("error tells the token: %v", err)
	}
	return p, res, err
}

func TestGithubReleaseProviders(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string][]string{
		"github":  {"/repos/owner/name/releases Bearer " + testToken, "/asset/tool-linux Bearer " + testToken},
		"gitea":   {"/api/v1/repos/owner/name/releases token " + testToken, "/download/tool-linux token " + testToken},
		"forgejo": {"/api/v1/repos/owner/name/releases token " + testToken, "/download/tool-linux token " + testToken},
		"gitlab":  {"/api/v4/projects/owner/name/releases Bearer " + testToken, "/download/tool-linux Bearer " + testToken},
	} {
		f := newForge(t, "v1.0.0", "v1.1.0")
		dest := filepath.Join(t.TempDir(), "tool")
		m := githubRelease{
			Provider: provider, Asset: "*-linux", Dest: hostPath(dest), GitHubToken: testToken,
			Attributes: attributes{Mode: engine.Mode{Given: true, Perm: 0o755}},
		}
		p, res, err := f.install(t, m)
		if err != nil || p.Need != engine.Create || res.Data["tag"] != "v1.1.0" {
			t.Fatalf("%s: %v, %v, %v", provider, p, res, err)
		}
		info, _ := os.Stat(dest)
		if got := read(t, dest); got != "binary" || info.Mode() != 0o755 {
			t.Errorf("%s: the file holds %q, %v", provider, got, info.Mode())
		}
		if diff := cmp.Diff(want, slices.Compact(f.took())); diff != "" {
			t.Errorf("%s: requests, -want +got:\n%s", provider, diff)
		}
		if p, _, err := f.install(t, m); err != nil || p.Need != engine.Matched {
			t.Errorf("%s: second run: %v, %v", provider, p, err)
		}
	}
}

func TestGithubReleaseTokenGoesNowhereElse(t *testing.T) {
	t.Parallel()
	// Another name, and another port of the same name.
	for _, name := range []string{"localhost", "127.0.0.1"} {
		f, other := newForge(t, "v1"), newForge(t)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/asset/") {
				http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", name, 1)+"/tool-linux", http.StatusFound)
				return true
			}
			return false
		}
		dest := filepath.Join(t.TempDir(), "tool")
		_, _, err := f.install(t, githubRelease{Asset: "tool-linux", Dest: hostPath(dest), GitHubToken: testToken})
		if err != nil {
			t.Fatal(err)
		}
		if got := other.took(); !slices.Equal(got, []string{"/tool-linux"}) {
			t.Errorf("%s was asked for %q", name, got)
		}
	}
}

func TestGithubReleaseConverges(t *testing.T) {
	t.Parallel()
	f := newForge(t, "v1.0.0")
	dir := t.TempDir()
	m := githubRelease{Asset: "tool-linux", Dest: hostPath(dir + "/tool")}
	step := func(what string, need engine.Need, fields ...string) {
		t.Helper()
		for again := range 2 {
			p, _, err := f.install(t, m)
			if again == 1 {
				need, fields = engine.Matched, nil
			}
			if err != nil || p.Need != need || !slices.Equal(p.Fields, fields) {
				t.Errorf("%s: %v, %v; want %v %v", what, p, err, need, fields)
			}
		}
	}
	write(t, dir+"/tool", "by hand")
	step("file of unknown origin", engine.Modify, fieldVersion)
	f.tags = []string{"v1.0.0", "v1.1.0"}
	step("new release", engine.Modify, fieldVersion)
	write(t, dir+"/tool", "BINARY")
	step("file changed", engine.Modify, fieldContent)
	m.Attributes.Mode = engine.Mode{Given: true, Perm: 0o750}
	step("mode", engine.Modify, fieldMode)
	m.Version = "~1.0"
	step("pinned", engine.Modify, fieldVersion)
	if got := read(t, dir+"/tool"); got != "binary" {
		t.Errorf("the file holds %q", got)
	}
}

func TestGithubReleaseExtracts(t *testing.T) {
	t.Parallel()
	f := newForge(t, "v1.0.0")
	f.files = map[string]string{"tool.tar.gz": string(compressed(t, archives.Gz{}, tarOf(t, tarFile("tool-1/bin/tool", "binary"))))}
	dest := filepath.Join(t.TempDir(), "tool")
	m := githubRelease{Asset: "*.tar.gz", Dest: hostPath(dest), Extract: true, Strip: 1}
	if _, _, err := f.install(t, m); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dest+"/bin/tool"); got != "binary" {
		t.Errorf("the file holds %q", got)
	}
	if p, _, err := f.install(t, m); err != nil || p.Need != engine.Matched {
		t.Errorf("second run: %v, %v", p, err)
	}
}

func TestGithubReleaseChecksums(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("binary"))
	good, bad := hex.EncodeToString(sum[:]), strings.Repeat("00", 32)
	for name, c := range map[string]struct {
		digest, file, param string
		ok                  bool
	}{
		"digest": {digest: "sha256:" + good, ok: true}, "bad digest": {digest: "sha256:" + bad}, "unknown digest": {digest: "md4:1", ok: true},
		"file": {file: good + "  tool-linux\n", ok: true}, "bad file": {file: bad + "  tool-linux\n"}, "other file": {file: good + "  x\n"},
		"param": {param: good, ok: true}, "bad param": {param: bad},
	} {
		f := newForge(t, "v1")
		f.sum = c.digest
		m := githubRelease{Asset: "tool-linux", Dest: hostPath(filepath.Join(t.TempDir(), "tool"))}
		if c.file != "" {
			f.files["SHA256SUMS"] = c.file
			m.ChecksumFile = "SHA256*"
		}
		if c.param != "" {
			m.Checksum, _ = parseChecksum(c.param)
		}
		_, _, err := f.install(t, m)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if _, serr := os.Stat(string(m.Dest)); (serr == nil) != c.ok {
			t.Errorf("%s: file: %v", name, serr)
		}
	}
}

// TestGithubReleaseETags is line 73 of the conformance checklist. It sets the
// home directory, so it is not parallel.
func TestGithubReleaseETags(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	f := newForge(t, "v1.0.0", "v1.1.0")
	m := githubRelease{Asset: "tool-linux", Dest: hostPath(filepath.Join(t.TempDir(), "tool")), CacheETags: true, GitHubToken: testToken}
	want := [][]string{
		{"/repos/owner/name/releases Bearer " + testToken, "/repos/owner/name/releases Bearer " + testToken, "/asset/tool-linux Bearer " + testToken},
		{"/repos/owner/name/releases Bearer " + testToken + " 304", "/repos/owner/name/releases Bearer " + testToken + " 304"},
	}
	for i, need := range []engine.Need{engine.Create, engine.Matched} {
		p, _, err := f.install(t, m)
		if err != nil || p.Need != need {
			t.Fatalf("%v, %v", p, err)
		}
		if diff := cmp.Diff(want[i], f.took()); diff != "" {
			t.Errorf("requests of run %d, -want +got:\n%s", i+1, diff)
		}
	}
	m.GitHubToken = "another"
	if _, _, err := f.install(t, m); err != nil || strings.Contains(strings.Join(f.took(), ""), "304") {
		t.Errorf("another token was given what is stored: %v", err)
	}
	name := home + "/.local/share/jetpack/github_etags.json"
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	text := read(t, name)
	if strings.Contains(text, testToken) {
		t.Error("the token is stored")
	}
	old := strings.ReplaceAll(text, `"stored":"20`, `"stored":"19`)
	if old == text {
		t.Fatal("nothing to age")
	}
	write(t, name, old)
	m.GitHubToken = testToken
	if _, _, err := f.install(t, m); err != nil || strings.Contains(strings.Join(f.took(), ""), "304") {
		t.Errorf("old answers are kept: %v", err)
	}
	write(t, name, "{")
	if p, _, err := f.install(t, m); err != nil || p.Need != engine.Matched {
		t.Errorf("with a broken file: %v, %v", p, err)
	}
}
