package releases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Watch looks at the releases of one repository again and again. It remembers what
// it saw, so that a site need not send again what did not change. It is not safe
// for concurrent use.
type Watch struct {
	sites *Sites
	pages map[string]*seen // by address
}

// seen is a page as it was at the last look.
type seen struct {
	page
	list []*Release
}

// Watch returns a watch that has not looked yet.
func (s *Sites) Watch() *Watch { return &Watch{sites: s, pages: make(map[string]*seen)} }

// Listing is what there is at one look.
type Listing struct {
	// Releases are the releases in the order of the site, each once. What did not
	// change since the last look is the same value: a caller may take out of it what it
	// does not need any more.
	Releases []*Release
	// More is true when there are more than can be read.
	More bool
	// Changed is false when the site said of each page that it is what it was.
	Changed bool
	// Warning is what went wrong beside, and did not matter for the list.
	Warning error
}

// Poll looks at the releases. It waits for its turn, and where the site leaves
// little to ask; [Sites.Ready] tells beforehand when that would be long, and Poll
// fails with [ErrLater] then. It fails with a [LimitError] while the site takes no
// requests.
func (w *Watch) Poll(ctx context.Context, r Repository) (Listing, error) {
	client := r.client()
	defer client.CloseIdleConnections()
	var l Listing
	pages := make(map[string]*seen)
	at := r.address()
	for len(pages) < maxPages {
		p, changed, err := w.look(ctx, client, r, at)
		if errors.Is(err, errStore) {
			l.Warning, err = err, nil
		}
		if err != nil {
			return Listing{}, fmt.Errorf("asking for the releases of %s: %w", r.Name, err)
		}
		pages[at] = p
		l.Changed = l.Changed || changed
		l.Releases = append(l.Releases, p.list...)
		next := p.next(at)
		if l.More = next != "" && pages[next] == nil; !l.More {
			break
		}
		at = next
	}
	w.pages = pages
	l.Releases = once(l.Releases)
	return l, nil
}

// look asks for one page. An error of the store comes with the page.
func (w *Watch) look(ctx context.Context, client *http.Client, r Repository, at string) (*seen, bool, error) {
	last := w.pages[at]
	var known page
	switch {
	case last != nil:
		known = last.page
	case r.ETags:
		known = w.sites.client.store.get(at, r.Token)
	}
	got, changed, err := w.sites.page(ctx, client, r, at, known)
	switch {
	case err != nil && !errors.Is(err, errStore):
		return nil, false, err
	case !changed && last != nil:
		last.Stored = got.Stored
		return last, false, err
	}
	list, bad := r.decode(got.Body)
	var raws []json.RawMessage
	if bad == nil {
		bad = json.Unmarshal(got.Body, &raws)
	}
	if bad != nil {
		return nil, false, fmt.Errorf("understanding the answer: %w", bad)
	}
	p := &seen{page: got, list: make([]*Release, len(list))}
	p.Body = nil
	for i := range list {
		list[i].Raw = raws[i]
		p.list[i] = &list[i]
	}
	return p, changed, err
}

// Key is what tells a release from all others of its repository, also from one that
// was deleted and had the same tag: its number, or where the host has none, its tag
// and when it was made.
func (r *Release) Key() string {
	if r.ID != "" {
		return r.ID
	}
	return fmt.Sprintf("%s:%d", r.Tag, r.Created.Unix())
}

// once leaves out what is there twice: while pages are read, something may move
// from one to the next.
func once(list []*Release) []*Release {
	had := make(map[string]bool, len(list))
	out := list[:0]
	for _, r := range list {
		if key := r.Key(); !had[key] {
			had[key] = true
			out = append(out, r)
		}
	}
	return out
}
