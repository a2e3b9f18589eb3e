package releases

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// gitlabList is GET /api/v4/projects/{id}/releases, newest first. It knows no
// prereleases, and no drafts: a release may be announced for later.
func (s *Site) gitlabList(w http.ResponseWriter, r *http.Request) {
	name, token := r.PathValue("id"), bearer(r)
	left, until, ok := s.spend(token)
	w.Header().Set("RateLimit-Limit", "500")
	w.Header().Set("RateLimit-Remaining", strconv.Itoa(left))
	w.Header().Set("RateLimit-Reset", strconv.FormatInt(until.Unix(), 10))
	if !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(time.Until(until).Seconds())))
		http.Error(w, "Retry later", http.StatusTooManyRequests)
		return
	}
	if token == "wrong" {
		say(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
		return
	}
	list, ok := s.look(name, token)
	if !ok {
		say(w, http.StatusNotFound, map[string]string{"message": "404 Project Not Found"})
		return
	}
	slices.Reverse(list)
	w.Header().Set("X-Total", strconv.Itoa(len(list)))
	out := []any{}
	for _, rel := range s.turn(w, r, "per_page", list) {
		out = append(out, s.gitlabRelease(name, rel))
	}
	text, err := json.Marshal(out)
	must(err)
	etag := `W/"` + digest(text)[:32] + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	say(w, http.StatusOK, out)
}

func (s *Site) gitlabRelease(name string, r Release) map[string]any {
	at := s.URL + "/" + name + "/-/releases/" + url.PathEscape(r.Tag)
	links := []any{}
	for _, a := range s.assets(r) {
		links = append(links, map[string]any{
			"id": number(name, r.Tag, a.Name, r.Build), "name": a.Name, "url": s.stored(name, r.Tag, a.Name),
			"direct_asset_url": at + "/downloads/" + a.Name, "link_type": "package",
		})
	}
	sources := []any{}
	for _, format := range []string{"zip", "tar.gz", "tar.bz2", "tar"} {
		sources = append(sources, map[string]any{"format": format, "url": fmt.Sprintf("%s/%s/-/archive/%s.%s", s.URL, name, r.Tag, format)})
	}
	released := r.Published
	if r.Draft {
		released = time.Now().Add(24 * time.Hour).Truncate(24 * time.Hour)
	}
	return map[string]any{
		"tag_name": r.Tag, "name": r.Tag, "description": "What is new.", "created_at": r.Published, "released_at": released,
		"upcoming_release": r.Draft, "author": map[string]any{"id": 1, "username": "root"},
		"commit":      map[string]any{"id": digest([]byte(r.Tag))[:40]},
		"commit_path": "/" + name + "/-/commit/" + digest([]byte(r.Tag))[:40], "tag_path": "/" + name + "/-/tags/" + r.Tag,
		"assets":    map[string]any{"count": len(links) + len(sources), "sources": sources, "links": links},
		"evidences": []any{}, "_links": map[string]any{"self": at},
	}
}

// gitlabAsset is GET /api/v4/projects/{id}/releases/{tag}/downloads/{name}.
func (s *Site) gitlabAsset(w http.ResponseWriter, r *http.Request) {
	s.gitlabFile(w, r, r.PathValue("id"), bearer(r))
}

// gitlabWebAsset is where browsers find files. It knows no tokens.
func (s *Site) gitlabWebAsset(w http.ResponseWriter, r *http.Request) {
	s.gitlabFile(w, r, r.PathValue("owner")+"/"+r.PathValue("repo"), "")
}

func (s *Site) gitlabFile(w http.ResponseWriter, r *http.Request, name, token string) {
	list, ok := s.look(name, token)
	if _, found := s.find(list, r.PathValue("tag"), r.PathValue("name")); !ok || !found {
		say(w, http.StatusNotFound, map[string]string{"message": "404 Not found"})
		return
	}
	redirect(w, s.stored(name, r.PathValue("tag"), r.PathValue("name")), http.StatusFound)
}
