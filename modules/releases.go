package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// fresh is how long a list of releases is good for: the hosts of a play ask
	// for the same one at about the same time.
	fresh = time.Minute
	// freshMiss is how long one is good for that does not have what is wanted: it
	// may have been published since.
	freshMiss = 5 * time.Second
	// maxPages is how many pages of releases are read.
	maxPages = 10
	// maxPage is how large a page may be, in bytes.
	maxPage = 32 << 20
	// maxPause is how long a server's wish to be asked later is heeded.
	maxPause = time.Minute
	// askTries is how often a server is asked that is busy, or cuts its answer off.
	askTries = 3
	// maxRefusal is how much is read of an answer that refuses, in bytes.
	maxRefusal = 4 << 10
	// maxRedirects is how many redirections of one request are followed.
	maxRedirects = 10
)

// Providers of releases.
const (
	providerGitHub  = "github"
	providerGitea   = "gitea"
	providerForgejo = "forgejo"
	providerGitLab  = "gitlab"
)

// repository is where releases are asked for.
type repository struct {
	provider string
	// base is the address of the API, or of the site where the path of its API is
	// known.
	base  string
	name  string // owner/name
	token string
	etags bool
}

// address is that of the first page.
func (r repository) address() string {
	switch r.provider {
	case providerGitLab:
		return r.project() + "/releases?per_page=100"
	case providerGitea, providerForgejo:
		return strings.TrimSuffix(r.base, "/api/v1") + "/api/v1/repos/" + r.name + "/releases?limit=50"
	default:
		return r.base + "/repos/" + r.name + "/releases?per_page=100"
	}
}

// owns tells whether an address is the provider's own.
func (r repository) owns(u *url.URL) bool {
	base, err := url.Parse(r.base)
	return err == nil && u.Host == base.Host && u.Scheme == base.Scheme
}

// authorize adds the token to a request that goes to the provider itself.
func (r repository) authorize(req *http.Request) {
	if r.token == "" || !r.owns(req.URL) {
		return
	}
	kind := "Bearer "
	if r.provider == providerGitea || r.provider == providerForgejo {
		kind = "token "
	}
	req.Header.Set("Authorization", kind+r.token)
}

// redirect lets the token go nowhere else: the client itself would send it to
// another port, and to hosts below the provider's name.
func (r repository) redirect(req *http.Request, via []*http.Request) error {
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
func (r repository) client() *http.Client {
	c := newClient()
	c.CheckRedirect = r.redirect
	return c
}

// download is where a file of a release is asked for. With a token, that is where
// the provider's API has it, as the address for browsers takes none.
func (r repository) download(tag string, a asset) string {
	switch {
	case r.token == "":
	case r.provider == providerGitHub && a.api != "":
		return a.api
	case r.provider == providerGitLab:
		u, err := url.Parse(a.url)
		_, name, ok := strings.Cut(a.url, "/-/releases/"+url.PathEscape(tag)+"/downloads/")
		if err == nil && ok && r.owns(u) {
			return r.project() + "/releases/" + url.PathEscape(tag) + "/downloads/" + name
		}
	}
	return a.url
}

// project is the address of the repository in GitLab's API.
func (r repository) project() string {
	return strings.TrimSuffix(r.base, "/api/v4") + "/api/v4/projects/" + url.PathEscape(r.name)
}

// releases asks for releases, for all hosts of a run. It is safe for concurrent
// use.
type releases struct {
	mu      sync.Mutex
	answers map[repository]*answer
	store   etagStore
	// wait is context-bound sleep; nil means that of real time.
	wait func(context.Context, time.Duration) error
	// stall is how long a server may say nothing; zero means stallTime.
	stall time.Duration
}

// answer is one list of releases, asked for by one host at a time.
type answer struct {
	turn chan struct{}
	// asked is when the list was asked for.
	asked time.Time
	list  []release
	// refused is set when no more requests are taken for some time.
	refused *limitError
}

func newReleases() *releases { return &releases{answers: make(map[repository]*answer)} }

// list returns the releases of a repository, as they were after since at the
// earliest.
func (c *releases) list(ctx context.Context, r repository, since time.Time) ([]release, error) {
	c.mu.Lock()
	a := c.answers[r]
	if a == nil {
		a = &answer{turn: make(chan struct{}, 1)}
		c.answers[r] = a
	}
	c.mu.Unlock()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-a.turn }()
	now := time.Now()
	if a.list != nil && now.Sub(a.asked) < fresh && !a.asked.Before(since) {
		return a.list, nil
	}
	// Asking on would not help, and may get us banned.
	if a.refused != nil && now.Before(a.refused.until) {
		return nil, fmt.Errorf("asking for the releases of %s: %w", r.name, a.refused)
	}
	list, err := c.ask(ctx, r)
	a.refused, _ = errors.AsType[*limitError](err)
	if err != nil {
		return nil, fmt.Errorf("asking for the releases of %s: %w", r.name, err)
	}
	a.asked, a.list = now, list
	return list, nil
}

var nextPage = regexp.MustCompile(`<([^>]*)>[^,]*;\s*rel="?next"?`)

// ask reads all pages.
func (c *releases) ask(ctx context.Context, r repository) ([]release, error) {
	client := r.client()
	defer client.CloseIdleConnections()
	list := []release{}
	at := r.address()
	for range maxPages {
		p, err := c.page(ctx, client, r, at)
		if err != nil {
			return nil, err
		}
		decode := decodeReleases
		if r.provider == providerGitLab {
			decode = decodeGitLab
		}
		some, err := decode(p.Body)
		if err != nil {
			return nil, fmt.Errorf("understanding the answer: %w", err)
		}
		list = append(list, some...)
		m := nextPage.FindStringSubmatch(p.Link)
		if m == nil || m[1] == at {
			break
		}
		at = m[1]
	}
	return list, nil
}

// page reads one page, from the store when it did not change.
func (c *releases) page(ctx context.Context, client *http.Client, r repository, at string) (page, error) {
	var known page
	if r.etags {
		known = c.store.get(at, r.token)
	}
	header := map[string]string{"Accept": "application/json"}
	if r.provider == providerGitHub {
		header["Accept"] = "application/vnd.github+json"
	}
	if known.ETag != "" {
		header["If-None-Match"] = known.ETag
	}
	var got page
	err := c.read(ctx, client, r, at, header, 0, func(h http.Header, body io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(body, maxPage+1))
		if err == nil && len(text) > maxPage {
			err = fmt.Errorf("the answer is larger than %d MiB", maxPage>>20)
		}
		got = page{Body: text, Link: h.Get("Link"), ETag: h.Get("ETag")}
		return err
	})
	if errors.Is(err, errNotModified) {
		return known, c.store.put(at, r.token, known)
	}
	if err == nil && r.etags && got.ETag != "" {
		err = c.store.put(at, r.token, got)
	}
	return got, err
}
