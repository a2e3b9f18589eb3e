package release

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/source"
)

// watcher is a source of this kind.
type watcher struct {
	sites     *releases.Sites
	repo      releases.Repository // without a token
	tokenFile string
	every     time.Duration
	filter    filter
	since     time.Time
}

// Run looks at the repository again and again until ctx ends.
func (w *watcher) Run(ctx context.Context, f source.Feed) error {
	var c cursor
	if _, err := f.Load(ctx, &c); err != nil {
		return fmt.Errorf("loading what is known of %s: %w", w.repo.Name, err)
	}
	watch := w.sites.Watch()
	var failures int
	var last error // why the site could not be asked, nil if it could
	for {
		r := w.repo
		l, err := w.ask(ctx, watch, &r)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		next := w.pause(f.Now(), r, failures+1)
		switch {
		case errors.Is(err, releases.ErrLater):
			// Not a failure, and no end of one.
			next = w.pause(f.Now(), r, failures)
			err = last
		case err != nil:
			failures, last = failures+1, err
		default:
			failures, last = 0, nil
			var due time.Time
			if due, err = w.take(ctx, f, &c, l); err != nil && ctx.Err() != nil {
				return nil //nolint:nilerr // ctx has ended
			} else if err != nil && !errors.Is(err, source.ErrRefused) {
				return err
			}
			next = w.pause(f.Now(), r, 0)
			if !due.IsZero() && due.Before(next) {
				next = later(due, w.sites.Ready(r))
			}
		}
		if err != nil {
			f.Failed(err, next)
		} else {
			f.OK(next)
		}
		if _, err := f.Wait(ctx, next); err != nil {
			return nil //nolint:nilerr // ctx has ended
		}
	}
}

// ask looks at the list, with the token as it is now, which it puts into r.
func (w *watcher) ask(ctx context.Context, watch *releases.Watch, r *releases.Repository) (l releases.Listing, err error) {
	if r.Token, err = token(w.tokenFile); err != nil {
		return l, err
	}
	if l, err = watch.Poll(ctx, *r); err != nil {
		return l, err
	}
	for _, rel := range l.Releases {
		if rel.Tag == "" {
			return l, fmt.Errorf("asking for the releases of %s: the tags are not told: a token_file is needed that may see the code", r.Name)
		}
	}
	return l, nil
}

const (
	// firstPause is the longest pause after a first failure. It grows up to maxPause,
	// but for who looks often only up to leastPause.
	firstPause = time.Minute
	leastPause = 5 * time.Minute
	maxPause   = 30 * time.Minute
)

// pause returns when to look next after a number of failures: the more of them, the
// later, and never before the site takes requests. It adds a little, so that watchers
// who begin together do not stay together.
func (w *watcher) pause(now time.Time, r releases.Repository, failures int) time.Time {
	d := w.every
	if failures > 0 {
		d = min(w.every, firstPause)
		d = pause.Grown(d, min(max(10*w.every, leastPause), maxPause), failures)
	}
	//nolint:gosec // to spread looks needs no secret
	return later(now.Add(d), w.sites.Ready(r)).Add(rand.N(d / 10))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// take tells what is new in a list and saves the cursor. due is when the first release
// that waits is old enough. An [source.ErrRefused] means that something could not be
// told and never can be; all else was done.
func (w *watcher) take(ctx context.Context, f source.Feed, c *cursor, l releases.Listing) (due time.Time, err error) {
	if l.Warning != nil {
		f.Log().WarnContext(ctx, "cannot keep the answers of a site", "repository", w.repo.Name, "err", l.Warning)
	}
	if had := c.Repository; had != "" && !c.fits(w.repo) {
		f.Log().InfoContext(ctx, "watching another repository, beginning anew", "repository", w.repo.Name, "before", had)
	}
	p := w.plan(*c, l, f.Now())
	w.renamed(ctx, f, &p.after, l)
	var refused error
	for _, r := range p.tell {
		e, err := w.event(r)
		if err == nil {
			err = f.Publish(ctx, e)
		}
		switch {
		case errors.Is(err, source.ErrRefused):
			refused = errors.Join(refused, fmt.Errorf("telling of the release %s of %s: %w", r.Tag, w.repo.Name, err))
		case err != nil:
			return due, fmt.Errorf("telling of the release %s of %s: %w", r.Tag, w.repo.Name, err)
		}
	}
	if !reflect.DeepEqual(*c, p.after) {
		if err := f.Save(ctx, p.after); err != nil {
			return due, fmt.Errorf("saving what is known of %s: %w", w.repo.Name, err)
		}
	}
	*c = p.after
	w.drop(l.Releases, p.wait)
	return p.due, refused
}

// renamed notes the name that the site has for the repository.
func (w *watcher) renamed(ctx context.Context, f source.Feed, c *cursor, l releases.Listing) {
	if len(l.Releases) == 0 {
		return
	}
	name := w.place(l.Releases[0]).name
	if strings.EqualFold(name, w.repo.Name) {
		name = ""
	}
	if name != "" && name != c.Moved {
		f.Log().WarnContext(ctx, "the repository has another name by now; write that in sources.yml", "repository", w.repo.Name, "name", name)
	}
	c.Moved = name
}

// drop takes out of a list what is only needed to tell a release, but for those that
// wait. If another one is to be told, it has changed, and comes again.
func (w *watcher) drop(list, wait []*releases.Release) {
	waits := make(map[*releases.Release]bool, len(wait))
	for _, r := range wait {
		waits[r] = true
	}
	for _, r := range list {
		if !waits[r] {
			r.Raw, r.Assets = nil, nil
		}
	}
}
