package releases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
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
)

// Client asks for releases, for all hosts of a run: it keeps each list for a
// minute. It is safe for concurrent use; the exported members are to be set before
// it is used.
type Client struct {
	// Wait is context-bound sleep; nil means that of real time.
	Wait func(context.Context, time.Duration) error
	// Now is the time; nil means the real one.
	Now func() time.Time
	// Stall is how long a server may say nothing; zero means a minute.
	Stall time.Duration

	mu      sync.Mutex
	answers map[Repository]*answer
	store   etagStore
	// answered, if set, sees the headers of what a site answers.
	answered func(Repository, http.Header)
}

// answer is one list of releases, asked for by one host at a time.
type answer struct {
	turn chan struct{}
	// asked is when the list was asked for.
	asked time.Time
	list  []Release
	// refused is set when no more requests are taken for some time.
	refused *LimitError
}

// NewClient returns a client that has asked for nothing yet.
func NewClient() *Client { return &Client{answers: make(map[Repository]*answer)} }

// List returns the releases of a repository, as they were after since at the
// earliest.
func (c *Client) List(ctx context.Context, r Repository, since time.Time) ([]Release, error) {
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
	now := c.now()
	if a.list != nil && now.Sub(a.asked) < fresh && !a.asked.Before(since) {
		return a.list, nil
	}
	// Asking on would not help, and may get us banned.
	if a.refused != nil && now.Before(a.refused.Until) {
		return nil, fmt.Errorf("asking for the releases of %s: %w", r.Name, a.refused)
	}
	list, err := c.ask(ctx, r)
	a.refused, _ = errors.AsType[*LimitError](err)
	if err != nil {
		return nil, fmt.Errorf("asking for the releases of %s: %w", r.Name, err)
	}
	a.asked, a.list = now, list
	return list, nil
}

// ListAgain is List for who does not find something in a list: it asks anew unless
// that was done a moment ago.
func (c *Client) ListAgain(ctx context.Context, r Repository) ([]Release, error) {
	return c.List(ctx, r, c.now().Add(-freshMiss))
}

// Download asks for a file of a release and hands it to take; again, from the
// beginning, when it is cut off, three times in all.
func (c *Client) Download(ctx context.Context, r Repository, tag string, a Asset, take func(io.Reader) error) error {
	client := r.client()
	defer client.CloseIdleConnections()
	header := map[string]string{"Accept": "application/octet-stream"}
	return c.read(ctx, client, r, r.download(tag, a), header, a.Size, func(_ http.Header, body io.Reader) error {
		return take(body)
	})
}

// ask reads all pages.
func (c *Client) ask(ctx context.Context, r Repository) ([]Release, error) {
	client := r.client()
	defer client.CloseIdleConnections()
	list := []Release{}
	at := r.address()
	for range maxPages {
		var known page
		if r.ETags {
			known = c.store.get(at, r.Token)
		}
		p, _, err := c.page(ctx, client, r, at, known)
		if err != nil {
			return nil, err
		}
		some, err := r.decode(p.Body)
		if err != nil {
			return nil, fmt.Errorf("understanding the answer: %w", err)
		}
		list = append(list, some...)
		next := p.next(at)
		if next == "" {
			break
		}
		at = next
	}
	return list, nil
}

var nextPage = lazyregexp.New(`<([^>]*)>[^,]*;\s*rel="?next"?`)

// next returns the address of the page behind the one at an address, or "".
func (p page) next(at string) string {
	m := nextPage().FindStringSubmatch(p.Link)
	if m == nil || m[1] == at {
		return ""
	}
	return m[1]
}

// page asks for one page. When it is what is known, changed is false. What is new
// is stored, with r.ETags; an error of that is an [errStore], and the page is there.
func (c *Client) page(ctx context.Context, client *http.Client, r Repository, at string, known page) (got page, changed bool, err error) {
	header := map[string]string{"Accept": "application/json"}
	if r.Provider == GitHub {
		header["Accept"] = "application/vnd.github+json"
	}
	if known.ETag != "" {
		header["If-None-Match"] = known.ETag
	}
	err = c.read(ctx, client, r, at, header, 0, func(h http.Header, body io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(body, maxPage+1))
		if err == nil && len(text) > maxPage {
			err = fmt.Errorf("the answer is larger than %d MiB", maxPage>>20)
		}
		got = page{Body: text, Link: h.Get("Link"), ETag: h.Get("ETag")}
		return err
	})
	switch {
	case errors.Is(err, errNotModified) && known.ETag != "":
		if r.ETags {
			err = c.store.renew(at, r.Token, &known)
		} else {
			err = nil
		}
		return known, false, err
	case err == nil && r.ETags && got.ETag != "":
		err = c.store.put(at, r.Token, &got)
	}
	return got, true, err
}
