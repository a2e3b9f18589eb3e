package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// fresh is how long a list of releases is good for: the hosts of a play ask
	// for the same one at about the same time.
	fresh = time.Minute
	// maxPages is how many pages of releases are read.
	maxPages = 10
	// maxPage is how large a page may be, in bytes.
	maxPage = 32 << 20
	// maxPause is how long a server's wish to be asked later is heeded.
	maxPause = time.Minute
	// askTries is how often a server is asked that is busy.
	askTries = 3
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
		return strings.TrimSuffix(r.base, "/api/v4") + "/api/v4/projects/" + url.PathEscape(r.name) + "/releases?per_page=100"
	case providerGitea, providerForgejo:
		return strings.TrimSuffix(r.base, "/api/v1") + "/api/v1/repos/" + r.name + "/releases?limit=50"
	default:
		return r.base + "/repos/" + r.name + "/releases?per_page=100"
	}
}

// authorize adds the token to a request that goes to the provider itself.
func (r repository) authorize(req *http.Request) {
	base, err := url.Parse(r.base)
	if r.token == "" || err != nil || req.URL.Host != base.Host || req.URL.Scheme != base.Scheme {
		return
	}
	kind := "Bearer "
	if r.provider == providerGitea || r.provider == providerForgejo {
		kind = "token "
	}
	req.Header.Set("Authorization", kind+r.token)
}

// releases asks for releases, for all hosts of a run. It is safe for concurrent
// use.
type releases struct {
	mu      sync.Mutex
	answers map[repository]*answer
	store   etagStore
	// wait is context-bound sleep; nil means that of real time.
	wait func(context.Context, time.Duration) error
}

// answer is one list of releases, asked for by one host at a time.
type answer struct {
	turn chan struct{}
	at   time.Time
	list []release
}

func newReleases() *releases { return &releases{answers: make(map[repository]*answer)} }

// list returns the releases of a repository.
func (c *releases) list(ctx context.Context, r repository) ([]release, error) {
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
	if a.list != nil && time.Since(a.at) < fresh {
		return a.list, nil
	}
	list, err := c.ask(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("asking for the releases of %s: %w", r.name, err)
	}
	a.at, a.list = time.Now(), list
	return list, nil
}

var nextPage = regexp.MustCompile(`<([^>]*)>[^,]*;\s*rel="?next"?`)

// ask reads all pages.
func (c *releases) ask(ctx context.Context, r repository) ([]release, error) {
	client := newClient()
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
	resp, err := c.get(ctx, client, r, at, header)
	if errors.Is(err, errNotModified) {
		return known, c.store.put(at, r.token, known)
	}
	if err != nil {
		return page{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err != nil {
		return page{}, err
	}
	if len(body) > maxPage {
		return page{}, fmt.Errorf("the answer is larger than %d MiB", maxPage>>20)
	}
	got := page{Body: body, Link: resp.Header.Get("Link"), ETag: resp.Header.Get("ETag")}
	if r.etags && got.ETag != "" {
		err = c.store.put(at, r.token, got)
	}
	return got, err
}

// get asks for a file, and once more when the server is busy or wants to be
// asked later. The caller closes the body.
func (c *releases) get(ctx context.Context, client *http.Client, r repository, at string, header map[string]string) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := c.once(ctx, client, r, at, header)
		if err != nil || resp.StatusCode == http.StatusOK {
			return resp, err
		}
		_ = resp.Body.Close()
		pause, said := askedPause(resp.Header, time.Now())
		code := statusError(resp.StatusCode)
		limited := code == http.StatusTooManyRequests || code == http.StatusForbidden && said
		switch {
		case code == http.StatusNotModified:
			return nil, errNotModified
		case limited && (pause > maxPause || try == askTries):
			return nil, fmt.Errorf("%w: no more requests are taken for %s; github_token raises the limit", code, pause.Round(time.Second))
		case code == http.StatusNotFound:
			return nil, fmt.Errorf("%w: it does not exist, or a github_token is needed that may see it", code)
		case !limited && !code.passing() || try == askTries || pause > maxPause:
			return nil, code
		}
		if !said {
			pause = time.Duration(try) * time.Second
		}
		if err := c.sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (c *releases) once(ctx context.Context, client *http.Client, r repository, at string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("the address %q cannot be asked", at)
	}
	for name, v := range header {
		req.Header.Set(name, v)
	}
	r.authorize(req)
	resp, err := client.Do(req)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // the address may be a signed one
	}
	return resp, err
}

func (c *releases) sleep(ctx context.Context, d time.Duration) error {
	if c.wait != nil {
		return c.wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// askedPause reads how long a server wants to be left alone, if it says so.
func askedPause(h http.Header, now time.Time) (time.Duration, bool) {
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.ParseUint(v, 10, 31); err == nil {
			return time.Duration(s) * time.Second, true
		}
		if t, err := http.ParseTime(v); err == nil {
			return max(0, t.Sub(now)), true
		}
	}
	if h.Get("X-RateLimit-Remaining") == "0" {
		if s, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			return max(0, time.Unix(s, 0).Sub(now)), true
		}
	}
	return 0, false
}
