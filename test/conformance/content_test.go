package conformance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func contentLines() []line {
	return []line{
		{67, "C, N", "git", "git clones what is absent, and follows the head of the branch that was asked for.", git},
		{68, "C, N", "external", "An external module reads JSON and prints a mapping; `failed_when` judges any exit status, and no file stays behind.", external},
		{69, "C, N", "download", "download writes in one step and leaves a file that is there alone unless forced; a checksum that differs changes nothing.", download},
		{70, "C, N", "unpack", "unpack knows seven formats, and refuses what would leave its directory.", unpack},
		{71, "C", "move", "move keeps a copy with the time in its name on `backup`, and fails on an existing destination without `force`.", move},
		{72, "C", "github_release", "The channels of github_release choose as documented.", githubRelease},
		{73, "N", "cached_answers", "`cache_etags` makes an answer of an unchanged release list the stored one; tokens reach no output.", cachedAnswers},
	}
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func lookPath(name string) (string, error) {
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path, nil
	}
	return exec.LookPath(name)
}

func git(t *testing.T, m *machine) {
	needs(t, "git")
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !git {name: git, repo: "file://@SITE@/repo", path: "@HOST@/clone", branch: wanted}
`)
	repo := filepath.Join(s.dir, "repo")
	in := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{
			"-C", repo, "-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "init.defaultBranch=main",
		}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	commit := func(branch, text string) {
		in("checkout", "-q", "-B", branch)
		must(t, os.WriteFile(filepath.Join(repo, "f"), []byte(text), 0o600))
		in("add", "f")
		in("commit", "-q", "-m", text)
	}
	must(t, os.Mkdir(repo, 0o755))
	in("init", "-q")
	commit("main", "main")
	commit("wanted", "one")
	in("checkout", "-q", "main")
	run := func(want string) {
		t.Helper()
		s.run(t, "p.yml", "--limit", "h1").is(t, 0, "git h1 "+want)
	}
	run("created")
	s.holds(t, "clone/f", "one")
	run("matched")
	// Another branch moves on, which is no change of this one.
	must(t, os.WriteFile(filepath.Join(repo, "f"), []byte("main again"), 0o600))
	in("commit", "-q", "-a", "-m", "main again")
	run("matched")
	in("checkout", "-q", "wanted")
	commit("wanted", "two")
	in("checkout", "-q", "main")
	s.run(t, "p.yml", "--limit", "h1", "--check").is(t, 0, "git h1 modified")
	s.holds(t, "clone/f", "one")
	run("modified")
	s.holds(t, "clone/f", "two")
	run("matched")
}

func external(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- modules/greet.sh --
#!/bin/sh
input=$(cat)
pwd > "@HOST@/ran-in"
echo "$0" > "@HOST@/ran-as"
echo "noise" >&2
printf '{"greeting": "hello", "changed": %s, "input": %s}\n' "${CHANGED:-true}" "$input"
exit 0
-- modules/fails.sh --
#!/bin/sh
echo "$0" > "@HOST@/failed-as"
echo '{"state": "odd"}'
exit 3
-- modules/garbage.sh --
#!/bin/sh
echo '- no mapping'
-- p.yml --
- name: x
  groups: [web]
  vars: {who: "a \"quoted\" name", n: 5}
  tasks:
  - !external {name: greet, use: greet.sh, params: {name: "{{who}}", deep: {list: [1, "{{n}}"]}}, save: r}
  - !echo {name: seen, msg: "{{r.greeting}} {{r.rc}} {{r.input.name}} {{to_json r.input.deep.list}}"}
  - !external {name: items, use: greet.sh, params: {item: "{{item}}"}, with: {items: [a, b]}}
  - !external {name: judged, use: fails.sh, params: {}, failed_when: "state != 'odd'"}
  - !external {name: fails, use: fails.sh, params: {}, and: {ignore_errors: true}}
  - !external {name: garbage, use: garbage.sh, params: {}, and: {ignore_errors: true}}
  - !external {name: missing, use: nothing.sh, params: {}, and: {ignore_errors: true}}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 0, "greet h1 executed", "seen h1 passive", "items h1 executed", "judged h1 executed",
		"fails h1 ignored", "garbage h1 ignored", "missing h1 ignored")
	if got := r.task(t, "seen").Message; !strings.HasPrefix(got, `hello 0 a "quoted" name [1,`) {
		t.Errorf("the module saw %q", got)
	}
	for _, name := range []string{"ran-as", "failed-as"} {
		left := strings.TrimSpace(s.file(t, name))
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s stayed behind", left)
		}
	}
}

// web serves a file whose content and requests can be looked at.
func web(t *testing.T, content string) (url string, requests func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		n++
		mu.Unlock()
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/f?a=b&c=d", func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func download(t *testing.T, m *machine) {
	url, requests := web(t, "content")
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !download {name: new, url: "`+url+`", dest: "@HOST@/new", mode: 0o640}
  - !download {name: again, url: "`+url+`", dest: "@HOST@/new", mode: 0o640}
  - !download {name: there, url: "`+url+`", dest: "@HOST@/there"}
  - !download {name: wrong, url: "`+url+`", dest: "@HOST@/kept", force: true, checksum: "sha256:`+sha256Hex([]byte("other"))+`", and: {ignore_errors: true}}
  - !download {name: wrong-new, url: "`+url+`", dest: "@HOST@/never", checksum: "sha256:`+sha256Hex([]byte("other"))+`", and: {ignore_errors: true}}
  - !download {name: right, url: "`+url+`", dest: "@HOST@/right", checksum: "sha256:`+sha256Hex([]byte("content"))+`"}
-- force.yml --
- name: x
  groups: [web]
  tasks:
  - !download {name: force, url: "`+url+`", dest: "@HOST@/there", force: true}
-- check.yml --
- name: x
  groups: [web]
  tasks:
  - !download {name: check, url: "`+url+`", dest: "@HOST@/checked"}
`)
	s.put(t, "there", "old", 0o600)
	s.put(t, "kept", "old", 0o600)
	s.run(t, "check.yml", "--limit", "h1", "--check").is(t, 0, "check h1 created")
	s.absent(t, "checked")
	if got := requests(); got != 0 {
		t.Errorf("check mode made %d requests", got)
	}
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "new h1 created", "again h1 matched", "there h1 matched",
		"wrong h1 ignored", "wrong-new h1 ignored", "right h1 created")
	s.holds(t, "new", "content")
	s.holds(t, "there", "old")
	s.holds(t, "kept", "old")
	s.holds(t, "right", "content")
	s.absent(t, "never")
	// A new file takes the old one's place: who has that open, or another name for
	// it, sees no half of the new one.
	must(t, os.Link(s.path("there"), s.path("old")))
	s.run(t, "force.yml", "--limit", "h1").is(t, 0, "force h1 modified")
	s.holds(t, "there", "content")
	s.holds(t, "old", "old")
	list, err := os.ReadDir(s.host)
	must(t, err)
	if len(list) != 5 {
		t.Errorf("files that nobody asked for: %v", list)
	}
}

// tarball makes an archive of files; names that end in > are links to what
// follows.
func tarball(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}
		if link, ok := strings.CutSuffix(f[0], ">"); ok {
			h = &tar.Header{Name: link, Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: f[1]}
			f[1] = ""
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(f[1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

// compressed gives data to a program that compresses its input.
func compressed(t *testing.T, program string, data []byte) []byte {
	t.Helper()
	needs(t, program)
	cmd := exec.CommandContext(t.Context(), program, "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	must(t, err)
	return out
}

func unpack(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !unpack
    name: "{{item}}"
    src: "@HOST@/{{item}}"
    dest: "@HOST@/out-{{item}}"
    with: {items: [a.tar.gz, a.tar.bz2, a.tar.xz, a.zip, a.txt.gz, a.txt.bz2, a.txt.xz]}
-- evil.yml --
- name: x
  groups: [web]
  tasks:
  - !unpack {name: "evil", src: "@HOST@/e0.tar.gz", dest: "@HOST@/evil", and: &i {ignore_errors: true}}
  - !unpack {name: "evil", src: "@HOST@/e1.tar.gz", dest: "@HOST@/evil", and: *i}
  - !unpack {name: "evil", src: "@HOST@/e2.tar.gz", dest: "@HOST@/evil", and: *i}
  - !unpack {name: "evil", src: "@HOST@/e3.tar.gz", dest: "@HOST@/evil", and: *i}
`)
	put := func(name string, data []byte) { s.put(t, name, string(data), 0o644) }
	archive := tarball(t, [2]string{"dir/f", "content"}, [2]string{"g", "more"})
	put("a.tar.gz", gzipped(t, archive))
	put("a.tar.bz2", compressed(t, "bzip2", archive))
	put("a.tar.xz", compressed(t, "xz", archive))
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for name, content := range map[string]string{"dir/f": "content", "g": "more"} {
		f, err := w.Create(name)
		must(t, err)
		_, err = f.Write([]byte(content))
		must(t, err)
	}
	must(t, w.Close())
	put("a.zip", z.Bytes())
	put("a.txt.gz", gzipped(t, []byte("content")))
	put("a.txt.bz2", compressed(t, "bzip2", []byte("content")))
	put("a.txt.xz", compressed(t, "xz", []byte("content")))
	s.run(t, "p.yml", "--limit", "h1").ok(t)
	for _, name := range []string{"a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"} {
		s.holds(t, "out-"+name+"/dir/f", "content")
		s.holds(t, "out-"+name+"/g", "more")
	}
	for _, name := range []string{"a.txt.gz", "a.txt.bz2", "a.txt.xz"} {
		s.holds(t, "out-"+name+"/a.txt", "content")
	}
	fine := [2]string{"fine", "x"}
	for i, files := range [][][2]string{
		{fine, {"../escaped", "x"}},
		{fine, {s.path("escaped"), "x"}},
		{fine, {"link>", "../"}, {"link/escaped", "x"}},
		{fine, {"link>", "/etc/passwd"}},
	} {
		put(fmt.Sprintf("e%d.tar.gz", i), gzipped(t, tarball(t, files...)))
	}
	s.run(t, "evil.yml", "--limit", "h1").is(t, 0, "evil h1 ignored", "evil h1 ignored", "evil h1 ignored", "evil h1 ignored")
	s.absent(t, "escaped", "evil/fine", "evil/link")
}

func move(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !move {name: move, src: "@HOST@/a", dest: "@HOST@/b"}
  - !move {name: moved, src: "@HOST@/a", dest: "@HOST@/b"}
  - !move {name: exists, src: "@HOST@/c", dest: "@HOST@/b", and: {ignore_errors: true}}
  - !move {name: nothing, src: "@HOST@/x", dest: "@HOST@/y", and: {ignore_errors: true}}
  - !move {name: directory, src: "@HOST@/d", dest: "@HOST@/e"}
-- force.yml --
- name: x
  groups: [web]
  tasks:
  - !move {name: force, src: "@HOST@/c", dest: "@HOST@/b", force: true, mode: 0o600}
-- backup.yml --
- name: x
  groups: [web]
  tasks:
  - !move {name: backup, src: "@HOST@/c", dest: "@HOST@/b", backup: true}
`)
	s.put(t, "a", "a", 0o644)
	s.put(t, "c", "c", 0o644)
	s.put(t, "d/f", "f", 0o644)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "move h1 "+moveStatus, "moved h1 matched", "exists h1 ignored",
		"nothing h1 ignored", "directory h1 "+moveStatus)
	s.holds(t, "b", "a")
	s.holds(t, "e/f", "f")
	s.run(t, "force.yml", "--limit", "h1").ok(t)
	s.holds(t, "b", "c")
	s.absent(t, "a", "c", "d")
	s.put(t, "c", "new", 0o644)
	s.run(t, "backup.yml", "--limit", "h1").ok(t)
	s.holds(t, "b", "new")
	kept, err := filepath.Glob(s.path("b?*"))
	must(t, err)
	if len(kept) != 1 {
		t.Fatalf("the copies are %v", kept)
	}
	s.holds(t, filepath.Base(kept[0]), "c")
}

// moveStatus is how a move to a place where nothing was is told of.
const moveStatus = "created"

// releases is a server of releases, with what it was asked for.
type releases struct {
	url string

	mu       sync.Mutex
	list     string
	full     int // answers that had the list
	same     int // answers that it is unchanged
	withAuth int
}

func newReleases(t *testing.T) *releases {
	t.Helper()
	r := &releases{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP answers with the list, whatever page is asked for.
func (r *releases) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Header.Get("Authorization") != "" {
		r.withAuth++
	}
	switch {
	case strings.HasPrefix(req.URL.Path, "/assets/"):
		_, _ = w.Write([]byte("asset " + strings.TrimPrefix(req.URL.Path, "/assets/")))
	case !strings.HasSuffix(req.URL.Path, "/repos/acme/app/releases"):
		http.NotFound(w, req)
	case req.URL.Query().Get("page") != "" && req.URL.Query().Get("page") != "1":
		_, _ = w.Write([]byte("[]"))
	case req.Header.Get("If-None-Match") == `"`+sha256Hex([]byte(r.list))+`"`:
		r.same++
		w.WriteHeader(http.StatusNotModified)
	default:
		r.full++
		w.Header().Set("ETag", `"`+sha256Hex([]byte(r.list))+`"`)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(r.list))
	}
}

// publish sets the releases, oldest first. A tag with a minus is a prerelease,
// one that begins with an exclamation mark a draft.
func (r *releases) publish(tags ...string) {
	var list []string
	for i, tag := range tags {
		tag, draft := strings.CutPrefix(tag, "!")
		list = append([]string{fmt.Sprintf(
			`{"id": %d, "tag_name": %q, "name": %q, "draft": %t, "prerelease": %t, "created_at": "2024-01-0%dT00:00:00Z", `+
				`"published_at": "2024-01-0%dT00:00:00Z", "html_url": "%s/r/%d", "assets": [{"id": %d, "name": "app-linux", "size": %d, `+
				`"state": "uploaded", "url": "%s/assets/%s", "browser_download_url": "%s/assets/%s"}]}`,
			i+1, tag, tag, draft, strings.Contains(tag, "-"), i+1, i+1, r.url, i+1, i+1, len("asset "+tag),
			r.url, tag, r.url, tag)}, list...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = "[" + strings.Join(list, ", ") + "]"
}

func githubRelease(t *testing.T, m *machine) {
	server := newReleases(t)
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !github_release {name: "{{item}}", repo: acme/app, base_url: "`+server.url+`", asset: app-linux, dest: "@HOST@/{{dir}}-{{item}}", channel: "{{item}}", save: r, with: {items: [latest, stable, prerelease, unstable, any]}}
-- again.yml --
- name: x
  groups: [web]
  tasks:
  - !github_release {name: again, repo: acme/app, base_url: "`+server.url+`", asset: app-linux, dest: "@HOST@/{{dir}}-stable", channel: stable}
`)
	check := func(dir string, want map[string]string) {
		t.Helper()
		s.run(t, "p.yml", "--limit", "h1", "-e", `{"dir": "`+dir+`"}`).ok(t)
		for channel, tag := range want {
			s.holds(t, dir+"-"+channel, "asset "+tag)
		}
	}
	server.publish("v1.9.0", "v1.10.0", "v2.0.0-rc.1", "v2.0.0", "!v9.0.0")
	check("one", map[string]string{
		"latest": "v2.0.0", "stable": "v2.0.0", "prerelease": "v2.0.0", "unstable": "v2.0.0-rc.1", "any": "v2.0.0",
	})
	s.run(t, "again.yml", "--limit", "h1", "-e", `{"dir": "one"}`).is(t, 0, "again h1 matched")
	server.publish("v1.9.0", "v1.10.0", "v2.0.0-rc.1", "v2.0.0", "v2.1.0-beta.1", "!v9.0.0")
	check("two", map[string]string{
		"latest": "v2.0.0", "stable": "v2.0.0", "prerelease": "v2.1.0-beta.1", "unstable": "v2.1.0-beta.1", "any": "v2.1.0-beta.1",
	})
	server.publish("v1.0.0", "v2.0.0", "v2.0.1")
	s.run(t, "again.yml", "--limit", "h1", "-e", `{"dir": "one"}`).is(t, 0, "again h1 modified")
	s.holds(t, "one-stable", "asset v2.0.1")
}

func cachedAnswers(t *testing.T, m *machine) {
	server := newReleases(t)
	server.publish("v1.0.0", "v1.1.0")
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !github_release {name: t, repo: acme/app, base_url: "`+server.url+`", asset: app-linux, dest: "@HOST@/f", cache_etags: true, github_token: "the-very-token"}
  - !debug
-- bad.yml --
- name: x
  groups: [web]
  tasks:
  - !github_release {name: t, repo: acme/nothing, base_url: "`+server.url+`", asset: app-linux, dest: "@HOST@/f", github_token: "the-very-token"}
`)
	var said strings.Builder
	for i, want := range []string{"created", "matched"} {
		r := s.run(t, "p.yml", "--limit", "h1")
		r.is(t, 0, "t h1 "+want, "debug h1 passive")
		said.WriteString(r.stdout + r.stderr)
		server.mu.Lock()
		if server.full != 1 || server.same != i || server.withAuth == 0 {
			t.Errorf("run %d: %d whole answers, %d unchanged, %d with the token", i+1, server.full, server.same, server.withAuth)
		}
		server.mu.Unlock()
	}
	s.holds(t, "f", "asset v1.1.0")
	r := s.run(t, "bad.yml", "--limit", "h1")
	r.is(t, 1, "t h1 failed")
	said.WriteString(r.stdout + r.stderr)
	shown := s.shown(t, "bad.yml", "--limit", "h1")
	said.WriteString(shown.stdout + shown.stderr)
	if strings.Contains(said.String(), "the-very-token") {
		t.Error("the token was printed")
	}
}
