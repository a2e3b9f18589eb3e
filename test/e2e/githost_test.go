package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/jet-bus/jet-bus/test/releases"
)

// gitHost is a git host as small as can be: a repository that git serves from a
// directory, whose hook tells of pushed tags by signed deliveries, as Gitea does, and
// a site with its releases.
type gitHost struct {
	site *releases.Site
	// name is the repository's, bare where it is, work a clone of it.
	name, bare, work string
	published        []releases.Release
	last             time.Time
}

// told is the hook of the repository: it posts what lies there about a tag.
const told = `#!/bin/sh
while read -r old new ref; do
	case $new in *[!0]*) ;; *) continue ;; esac
	tag=${ref#refs/tags/}
	[ -f "told/$tag.json" ] || continue
	signature=$(openssl dgst -sha256 -hmac "$(cat told/secret)" -r <"told/$tag.json")
	curl -sS -o "told/$tag.answer" -w '%{http_code}' \
		-H 'Content-Type: application/json' -H 'X-Gitea-Event: release' -H 'X-Gitea-Event-Type: release' \
		-H "X-Gitea-Delivery: $(cat "told/$tag.delivery")" -H "X-Gitea-Signature: ${signature%% *}" \
		-H "X-GitHub-Event: release" -H "X-Hub-Signature-256: sha256=${signature%% *}" \
		--data-binary "@told/$tag.json" "$(cat told/url)" >"told/$tag.status"
done
`

func newGitHost(t *testing.T, name string) *gitHost {
	t.Helper()
	dir := t.TempDir()
	g := &gitHost{
		site: releases.Start(), name: name, bare: filepath.Join(dir, "bare.git"), work: filepath.Join(dir, "work"),
		last: time.Now().Add(-time.Hour).Truncate(time.Second),
	}
	t.Cleanup(g.site.Close)
	g.git(t, dir, "init", "--quiet", "--bare", "--initial-branch=main", g.bare)
	must(t, os.MkdirAll(filepath.Join(g.bare, "told"), 0o700))
	must(t, os.WriteFile(filepath.Join(g.bare, "hooks", "post-receive"), []byte(told), 0o700))
	g.git(t, dir, "clone", "--quiet", g.bare, g.work)
	return g
}

// git runs git as somebody with no configuration of their own.
func (g *gitHost) git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=dev", "-c", "user.email=dev@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// tells has the host tell of releases at an address.
func (g *gitHost) tells(t *testing.T, url, secret string) {
	t.Helper()
	write(t, filepath.Join(g.bare, "told", "url"), url)
	write(t, filepath.Join(g.bare, "told", "secret"), secret)
}

// publish publishes a release on the site. Nobody is told.
func (g *gitHost) publish(r releases.Release) {
	g.last = g.last.Add(time.Minute)
	r.Published = g.last
	g.published = append(g.published, r)
	g.site.Put(g.name, g.published...)
}

// push pushes the tag of the last release, which tells of it, and returns what the
// receiver answered.
func (g *gitHost) push(t *testing.T) (answer map[string]any) {
	t.Helper()
	r := g.published[len(g.published)-1]
	g.git(t, g.work, "commit", "--quiet", "--allow-empty", "-m", r.Tag)
	g.git(t, g.work, "tag", r.Tag)
	body, err := json.Marshal(map[string]any{
		"action": "published", "release": g.release(t, r.Tag), "repository": g.repository(),
		"sender": map[string]any{"id": 1, "login": "gitea-dev", "username": "gitea-dev"},
	})
	must(t, err)
	write(t, filepath.Join(g.bare, "told", r.Tag+".json"), string(body))
	write(t, filepath.Join(g.bare, "told", r.Tag+".delivery"), uuid.NewString())
	g.git(t, g.work, "push", "--quiet", "origin", "HEAD", r.Tag)
	return g.answer(t, r.Tag)
}

// replay sends the delivery of a tag again, with another id, as the button of that name
// does.
func (g *gitHost) replay(t *testing.T, tag string) (answer map[string]any) {
	t.Helper()
	write(t, filepath.Join(g.bare, "told", tag+".delivery"), uuid.NewString())
	g.git(t, g.work, "push", "--quiet", "--delete", "origin", tag)
	g.git(t, g.work, "push", "--quiet", "origin", tag)
	return g.answer(t, tag)
}

func (g *gitHost) answer(t *testing.T, tag string) (answer map[string]any) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join(g.bare, "told", tag+".status"))
	must(t, err)
	text, err := os.ReadFile(filepath.Join(g.bare, "told", tag+".answer"))
	must(t, err)
	if string(status) != "202" {
		t.Fatalf("the delivery of %s was answered with %s: %s", tag, status, text)
	}
	must(t, json.Unmarshal(text, &answer))
	return answer
}

// release is a release as the site has it.
func (g *gitHost) release(t *testing.T, tag string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.api()+"/releases?limit=50", nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	var all []map[string]any
	must(t, json.Unmarshal(text, &all))
	for _, r := range all {
		if r["tag_name"] == tag {
			return r
		}
	}
	t.Fatalf("the site has no release %s: %s", tag, text)
	return nil
}

func (g *gitHost) api() string { return g.site.URL + "/api/v1/repos/" + g.name }

func (g *gitHost) repository() map[string]any {
	owner, name, _ := strings.Cut(g.name, "/")
	return map[string]any{
		"id": 1, "name": name, "full_name": g.name, "owner": map[string]any{"id": 1, "login": owner, "username": owner},
		"url": g.api(), "html_url": g.site.URL + "/" + g.name, "clone_url": fmt.Sprintf("%s/%s.git", g.site.URL, g.name),
		"default_branch": "main", "private": false,
	}
}
