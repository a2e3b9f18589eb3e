package release

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/source"
)

// extPolled marks an event that was asked for and not sent.
const extPolled = "polled"

// place is where a release is, as its site says it.
type place struct {
	// api is the repository in the API, page where people look at it; of GitLab, api is
	// the page too, as its webhooks name nothing else.
	api, page string
	// name is owner/name.
	name string
}

// place reads it from the addresses of a release. What they do not tell is what was
// configured.
func (w *watcher) place(r *releases.Release) place {
	if w.repo.Provider == releases.GitLab {
		return w.gitlabPlace(r)
	}
	p := place{name: w.repo.Name}
	if i := strings.LastIndex(r.URL, "/releases/"); i > 0 {
		p.api = r.URL[:i]
		if _, name, ok := strings.Cut(p.api, "/repos/"); ok && releases.ValidName(w.repo.Provider, name) {
			p.name = name
		}
	} else {
		base := w.repo.Base
		if w.repo.Provider != releases.GitHub {
			base = strings.TrimSuffix(base, "/api/v1") + "/api/v1"
		}
		p.api = base + "/repos/" + p.name
	}
	if i := strings.Index(r.Page, "/releases/tag/"); i > 0 {
		p.page = r.Page[:i]
	}
	return p
}

func (w *watcher) gitlabPlace(r *releases.Release) place {
	base := strings.TrimSuffix(w.repo.Base, "/api/v4")
	p := place{page: base + "/" + w.repo.Name, name: w.repo.Name}
	if i := strings.Index(r.Page, "/-/releases/"); i > 0 {
		p.page = r.Page[:i]
	}
	// Its address may be another one outside than the one that is asked.
	name, ok := strings.CutPrefix(p.page, base+"/")
	if u, err := url.Parse(p.page); !ok && err == nil && !strings.HasSuffix(p.page, "/"+w.repo.Name) {
		name, ok = strings.TrimPrefix(u.Path, "/"), true
	}
	if ok && releases.ValidName(releases.GitLab, name) {
		p.name = name
	}
	p.api = p.page
	return p
}

// event is what the host's webhook would have brought when the release was published.
func (w *watcher) event(r *releases.Release) (events.Event, error) {
	at := w.place(r)
	subject, id := r.ID, source.ReleaseID(r.ID, "published")
	typ := map[string]string{
		releases.GitHub: "com.github.", releases.Gitea: "org.gitea.", releases.Forgejo: "org.forgejo.",
	}[w.repo.Provider] + "release.published"
	form := w.githubData
	if w.repo.Provider == releases.GitLab {
		subject, id = r.Tag, source.ReleaseID(r.Tag, strconv.FormatInt(r.Created.Unix(), 10))
		typ, form = "com.gitlab.release.create", w.gitlabData
	}
	data, err := form(r, at)
	if err != nil {
		return events.Event{}, fmt.Errorf("%w: %w", source.ErrRefused, err)
	}
	e, err := events.New(source.Clean(at.api), typ, data)
	if err != nil {
		return events.Event{}, fmt.Errorf("%w: %w", source.ErrRefused, err)
	}
	e.SetID(source.Clean(id))
	e.SetSubject(source.Clean(subject))
	if !r.Published.IsZero() {
		e.SetTime(r.Published.UTC())
	}
	for name, v := range map[string]string{
		events.ExtGitEvent: "release", events.ExtGitHost: source.Host(at.page), events.ExtRepository: at.name,
		events.ExtRef: "refs/tags/" + r.Tag, events.ExtTag: r.Tag, events.ExtActor: r.Author,
	} {
		if v = source.Clean(v); v != "" {
			e.SetExtension(name, v)
		}
	}
	e.SetExtension(extPolled, true)
	return e, nil
}

// githubData is the data of such an event of GitHub, Gitea or Forgejo: what the API
// says of the release, in the form of the webhook.
func (w *watcher) githubData(r *releases.Release, at place) (any, error) {
	type owner struct {
		Login string `json:"login"`
	}
	type repository struct {
		FullName string `json:"full_name"`
		Name     string `json:"name"`
		URL      string `json:"url"`
		HTMLURL  string `json:"html_url,omitempty"`
		Owner    owner  `json:"owner"`
	}
	raw, cut, err := fit(r.Raw, maxRelease)
	return struct {
		Action     string          `json:"action"`
		Release    json.RawMessage `json:"release"`
		Repository repository      `json:"repository"`
		Truncated  bool            `json:"truncated,omitempty"`
	}{"published", raw, repository{
		FullName: at.name, Name: path.Base(at.name), URL: at.api, HTMLURL: at.page,
		Owner: owner{path.Dir(at.name)},
	}, cut}, err
}

// gitlabData is the same of GitLab, whose webhook has names of its own.
func (w *watcher) gitlabData(r *releases.Release, at place) (any, error) {
	raw, cut, err := fit(r.Raw, maxRelease)
	if err != nil {
		return nil, err
	}
	var from map[string]json.RawMessage
	if err := json.Unmarshal(raw, &from); err != nil {
		return nil, err
	}
	data := map[string]any{
		"object_kind": "release", "action": "create", "tag": r.Tag,
		"url": cmp.Or(r.Page, at.page+"/-/releases/"+url.PathEscape(r.Tag)),
		"project": map[string]string{
			"name": path.Base(at.name), "path_with_namespace": at.name, "web_url": at.page, "homepage": at.page,
			"namespace": path.Dir(at.name),
		},
	}
	for _, name := range []string{"name", "description", "created_at", "released_at", "assets", "commit"} {
		if v, ok := from[name]; ok {
			data[name] = v
		}
	}
	if cut {
		data["truncated"] = true
	}
	return data, nil
}
