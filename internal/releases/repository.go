package releases

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// Providers of releases.
const (
	GitHub  = "github"
	Gitea   = "gitea"
	Forgejo = "forgejo"
	GitLab  = "gitlab"
)

const (
	// maxRedirects is how many redirections of one request are followed.
	maxRedirects = 10
	// stallTime is how long a server may say nothing.
	stallTime = time.Minute
)

// Repository is where releases are asked for.
type Repository struct {
	// Provider is one of the constants above; empty means GitHub.
	Provider string
	// Base is the address of the API, or of the site where the path of its API is
	// known. It has no slash at its end.
	Base string
	// Name is owner/name; of GitLab, groups may be nested.
	Name string
	// Token is sent to Base alone; it may be empty.
	Token string
	// TokenKey is where people write down a token, for messages: github_token,
	// token_file.
	TokenKey string
	// ETags keeps answers in the file that all processes of a user share.
	ETags bool
}

// PublicSite returns the base address of a provider's public site. An empty
// provider is GitHub; ok is false if there is no such provider.
func PublicSite(provider string) (base string, ok bool) {
	switch provider {
	case "", GitHub:
		return "https://api.github.com", true
	case Gitea:
		return "https://gitea.com", true
	case Forgejo:
		return "https://codeberg.org", true
	case GitLab:
		return "https://gitlab.com", true
	}
	return "", false
}

var repoName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$`)

// ValidName reports whether name can be the name of a repository of a provider.
func ValidName(provider, name string) bool {
	return repoName().MatchString(name) && (strings.Count(name, "/") == 1 || provider == GitLab)
}

// address is that of the first page.
func (r Repository) address() string {
	switch r.Provider {
	case GitLab:
		return r.project() + "/releases?per_page=100"
	case Gitea, Forgejo:
		return strings.TrimSuffix(r.Base, "/api/v1") + "/api/v1/repos/" + r.Name + "/releases?limit=50"
	default:
		return r.Base + "/repos/" + r.Name + "/releases?per_page=100"
	}
}

// project is the address of the repository in GitLab's API.
func (r Repository) project() string {
	return strings.TrimSuffix(r.Base, "/api/v4") + "/api/v4/projects/" + url.PathEscape(r.Name)
}

// owns tells whether an address is the provider's own.
func (r Repository) owns(u *url.URL) bool {
	base, err := url.Parse(r.Base)
	return err == nil && u.Host == base.Host && u.Scheme == base.Scheme
}

// authorize adds the token to a request that goes to the provider itself.
func (r Repository) authorize(req *http.Request) {
	if r.Token == "" || !r.owns(req.URL) {
		return
	}
	kind := "Bearer "
	if r.Provider == Gitea || r.Provider == Forgejo {
		kind = "token "
	}
	req.Header.Set("Authorization", kind+r.Token)
}

// redirect lets the token go nowhere else: the client itself would send it to
// another port, and to hosts below the provider's name.
func (r Repository) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("there are more than %d redirections", maxRedirects)
	}
	switch last := via[len(via)-1].URL; {
	case last.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("the server redirects from https to an address that is not encrypted")
	case !r.owns(req.URL):
		req.Header.Del("Authorization")
	}
	return nil
}

// client returns a client for requests to the provider. Its idle connections are
// to be closed.
func (r Repository) client() *http.Client {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = stallTime
	t.DisableCompression = true // a file is stored as it is sent
	return &http.Client{Transport: t, CheckRedirect: r.redirect}
}

// download is where a file of a release is asked for. With a token, that is where
// the provider's API has it, as the address for browsers takes none.
func (r Repository) download(tag string, a Asset) string {
	switch {
	case r.Token == "":
	case r.Provider == GitHub && a.API != "":
		return a.API
	case r.Provider == GitLab:
		u, err := url.Parse(a.URL)
		_, name, ok := strings.Cut(a.URL, "/-/releases/"+url.PathEscape(tag)+"/downloads/")
		if err == nil && ok && r.owns(u) {
			return r.project() + "/releases/" + url.PathEscape(tag) + "/downloads/" + name
		}
	}
	return a.URL
}
