package releases

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// giteaList is GET /api/v1/repos/{owner}/{repo}/releases. It knows neither limits
// nor conditional requests.
func (s *Site) giteaList(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("owner") + "/" + r.PathValue("repo")
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "token ")
	if token == "wrong" {
		say(w, http.StatusUnauthorized, map[string]string{"message": "user does not exist [uid: 0, name: ]", "url": s.URL + "/api/swagger"})
		return
	}
	list, ok := s.look(name, token)
	if !ok {
		say(w, http.StatusNotFound, map[string]any{
			"errors": nil, "message": "The target couldn't be found.", "url": s.URL + "/api/swagger",
		})
		return
	}
	slices.Reverse(list)
	list = slices.DeleteFunc(list, func(r Release) bool { return r.Draft && token == "" })
	w.Header().Set("X-Total-Count", strconv.Itoa(len(list)))
	w.Header().Set("Access-Control-Expose-Headers", "Link, X-Total-Count")
	out := []any{}
	for _, rel := range s.turn(w, r, "limit", list) {
		out = append(out, s.giteaRelease(name, rel))
	}
	say(w, http.StatusOK, out)
}

func (s *Site) giteaRelease(name string, r Release) map[string]any {
	id := number(name, r.Tag)
	at := fmt.Sprintf("%s/api/v1/repos/%s/releases/%d", s.URL, name, id)
	assets := []any{}
	for _, a := range s.assets(r) {
		file := number(name, r.Tag, a.Name, r.Build)
		assets = append(assets, map[string]any{
			"id": file, "name": a.Name, "size": len(a.Content), "download_count": 7, "created_at": r.Published,
			"uuid": fmt.Sprintf("00000000-0000-4000-8000-%012d", file), "browser_download_url": s.browser(name, r.Tag, a.Name),
		})
	}
	return map[string]any{
		"id": id, "tag_name": r.Tag, "target_commitish": "main", "name": r.Tag, "body": "What is new.", "url": at,
		"html_url": s.URL + "/" + name + "/releases/tag/" + r.Tag, "upload_url": at + "/assets",
		"tarball_url": s.URL + "/" + name + "/archive/" + r.Tag + ".tar.gz",
		"zipball_url": s.URL + "/" + name + "/archive/" + r.Tag + ".zip",
		"draft":       r.Draft, "prerelease": r.Flagged, "created_at": r.Published, "published_at": r.Published,
		"author": map[string]any{"id": 1, "login": "gitea-dev"}, "assets": assets,
	}
}
