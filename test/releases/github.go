package releases

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// githubList is GET /repos/{owner}/{repo}/releases.
func (s *Site) githubList(w http.ResponseWriter, r *http.Request) {
	name, token := r.PathValue("owner")+"/"+r.PathValue("repo"), bearer(r)
	left, until, ok := s.spend(token)
	for key, v := range map[string]string{
		"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": strconv.Itoa(left), "X-RateLimit-Used": "1",
		"X-RateLimit-Reset": strconv.FormatInt(until.Unix(), 10), "X-RateLimit-Resource": "core",
		"X-GitHub-Media-Type": "github.v3; format=json",
	} {
		w.Header().Set(key, v)
	}
	if !ok {
		say(w, http.StatusForbidden, map[string]string{
			"message":           "API rate limit exceeded for 192.0.2.1. (But here's the good news: Authenticated requests get a higher rate limit.)",
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
		})
		return
	}
	if token == "wrong" {
		say(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials", "status": "401"})
		return
	}
	list, ok := s.look(name, token)
	if !ok {
		say(w, http.StatusNotFound, map[string]string{"message": "Not Found", "status": "404"})
		return
	}
	slices.Reverse(list)
	// Drafts are shown to those who may push; every token may.
	list = slices.DeleteFunc(list, func(r Release) bool { return r.Draft && token == "" })
	out := []any{}
	for _, rel := range s.turn(w, r, "per_page", list) {
		out = append(out, s.githubRelease(name, rel))
	}
	text, err := json.Marshal(out)
	must(err)
	etag := `W/"` + digest(text) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "public, max-age=60, s-maxage=60")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	say(w, http.StatusOK, out)
}

func (s *Site) githubRelease(name string, r Release) map[string]any {
	id := number(name, r.Tag)
	at := fmt.Sprintf("%s/repos/%s/releases", s.URL, name)
	page := "https://github.com/" + name
	assets := []any{}
	for _, a := range s.assets(r) {
		file := number(name, r.Tag, a.Name, r.Build)
		assets = append(assets, map[string]any{
			"url": fmt.Sprintf("%s/assets/%d", at, file), "id": file, "node_id": "RA_kwDO", "name": a.Name, "label": "",
			"uploader": map[string]any{"login": "octo-dev", "id": 5821}, "content_type": "application/octet-stream",
			"state": "uploaded", "size": len(a.Content), "digest": "sha256:" + digest(a.Content), "download_count": 7,
			"created_at": r.Published, "updated_at": r.Published, "browser_download_url": s.browser(name, r.Tag, a.Name),
		})
	}
	out := map[string]any{
		"url": fmt.Sprintf("%s/%d", at, id), "assets_url": fmt.Sprintf("%s/%d/assets", at, id),
		"upload_url": fmt.Sprintf("%s/%d/assets{?name,label}", at, id), "html_url": page + "/releases/tag/" + r.Tag,
		"id": id, "node_id": "RE_kwDO", "tag_name": r.Tag, "target_commitish": "main", "name": r.Tag,
		"draft": r.Draft, "prerelease": r.Flagged, "immutable": false, "author": map[string]any{"login": "octo-dev", "id": 5821},
		"created_at": r.Published.Add(-time.Hour), "published_at": r.Published, "assets": assets,
		"tarball_url": at + "/tarball/" + r.Tag, "zipball_url": at + "/zipball/" + r.Tag, "body": "What is new.",
	}
	if r.Draft {
		out["published_at"] = nil
	}
	return out
}

// browser is where a file is for browsers, of GitHub and of Gitea.
func (s *Site) browser(name, tag, file string) string {
	return s.URL + "/" + name + "/releases/download/" + url.PathEscape(tag) + "/" + file
}

// githubAsset is GET /repos/{owner}/{repo}/releases/assets/{id}.
func (s *Site) githubAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("owner") + "/" + r.PathValue("repo")
	list, ok := s.look(name, bearer(r))
	for _, rel := range list {
		for _, a := range s.assets(rel) {
			if strconv.FormatInt(number(name, rel.Tag, a.Name, rel.Build), 10) != r.PathValue("id") || !ok {
				continue
			}
			if r.Header.Get("Accept") != "application/octet-stream" {
				say(w, http.StatusOK, map[string]any{"name": a.Name, "size": len(a.Content)})
				return
			}
			redirect(w, s.stored(name, rel.Tag, a.Name), http.StatusFound)
			return
		}
	}
	say(w, http.StatusNotFound, map[string]string{"message": "Not Found", "status": "404"})
}

// webAsset is where browsers find files of GitHub, which takes no token there, and
// of Gitea, which does.
func (s *Site) webAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("owner") + "/" + r.PathValue("repo")
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "token ")
	list, ok := s.look(name, token)
	if _, found := s.find(list, r.PathValue("tag"), r.PathValue("name")); !ok || !found {
		http.NotFound(w, r)
		return
	}
	redirect(w, s.stored(name, r.PathValue("tag"), r.PathValue("name")), http.StatusSeeOther)
}

// bearer is the token of a request to GitHub or GitLab.
func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}
