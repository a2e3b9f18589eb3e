package release

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/releases"
)

const (
	// maxKnown is how many releases a cursor knows. No list that is read has as many.
	maxKnown = 2000
	// maxKey is how long a release's key may be, in bytes; a longer one is hashed.
	maxKey = 64
)

// cursor is what a watcher has seen of a repository. The zero cursor has seen nothing.
type cursor struct {
	// Provider, Base and Repository are what it is for.
	Provider   string `json:"provider"`
	Base       string `json:"base"`
	Repository string `json:"repository"`
	// Moved is the repository's name by its site, if that is another one by now.
	Moved string `json:"moved,omitempty"`
	// Filter is what decided on Passed.
	Filter string `json:"filter"`
	// More is true when the site had more releases than are read.
	More bool `json:"more,omitempty"`
	// Known are the keys of the releases that were told or are not going to be, the
	// oldest first.
	Known []string `json:"known"`
	// Passed are those of the last list that the filter does not take. They may be told
	// yet: what is marked as a prerelease today may be the release of tomorrow.
	Passed []string `json:"passed,omitempty"`
}

// fits reports whether a cursor is for a repository. One that was renamed keeps it.
func (c cursor) fits(r releases.Repository) bool {
	return c.Provider == r.Provider && c.Base == r.Base &&
		(strings.EqualFold(c.Repository, r.Name) || c.Moved != "" && strings.EqualFold(c.Moved, r.Name))
}

// plan is what follows from a look.
type plan struct {
	// tell are the releases to be told, in the order of publication.
	tell []*releases.Release
	// wait are those that count and cannot be told yet. due is when the first of them
	// is old enough, zero if none is waited for because of its age.
	wait []*releases.Release
	due  time.Time
	// after is the cursor when all that is to be told has been.
	after cursor
}

// plan says what to tell of a list. It is pure.
func (w *watcher) plan(c cursor, l releases.Listing, now time.Time) plan {
	first := !c.fits(w.repo)
	if first {
		c = cursor{}
	}
	p := plan{after: cursor{
		Provider: w.repo.Provider, Base: w.repo.Base, Repository: w.repo.Name, Moved: c.Moved,
		Filter: w.filter.text, More: l.More, Known: slices.Clone(c.Known),
	}}
	known, passed := set(c.Known), set(c.Passed)
	older := map[string]bool{}
	if !first && (c.More || l.More) {
		older = behind(l.Releases, known, passed)
	}
	listed := make(map[string]bool, len(l.Releases))
	for _, r := range byPublication(l.Releases) {
		k := key(r)
		listed[k] = true
		silent := older[k] || passed[k] && c.Filter != w.filter.text ||
			first && (w.since.IsZero() || r.Published.Before(w.since))
		switch {
		case known[k] || r.Draft || r.Tag == "":
			continue
		case !w.filter.takes(r):
			p.after.Passed = append(p.after.Passed, k)
			continue
		case silent:
		default:
			due, ok := w.filter.ready(r, now)
			if !ok {
				p.wait = append(p.wait, r)
				if !due.IsZero() && (p.due.IsZero() || due.Before(p.due)) {
					p.due = due
				}
				continue
			}
			p.tell = append(p.tell, r)
		}
		p.after.Known = append(p.after.Known, k)
	}
	slices.Sort(p.after.Passed) // so that the order of a list is no change
	p.after.forget(listed)
	return p
}

// forget drops the oldest keys beyond the limit, but none that is still listed: that
// would be taken for new.
func (c *cursor) forget(listed map[string]bool) {
	surplus := len(c.Known) - maxKnown
	c.Known = slices.DeleteFunc(c.Known, func(k string) bool {
		if surplus <= 0 || listed[k] {
			return false
		}
		surplus--
		return true
	})
}

// behind returns what is in a list behind the last release that was seen before. Where
// lists are cut off, something old comes into view there when something newer is
// deleted.
func behind(list []*releases.Release, known, passed map[string]bool) map[string]bool {
	out := make(map[string]bool)
	for _, r := range slices.Backward(list) {
		k := key(r)
		if known[k] || passed[k] {
			break
		}
		out[k] = true
	}
	return out
}

// byPublication sorts a list, what was published first first.
func byPublication(list []*releases.Release) []*releases.Release {
	out := slices.Clone(list)
	slices.Reverse(out) // sites list the newest first
	slices.SortStableFunc(out, func(a, b *releases.Release) int { return a.Published.Compare(b.Published) })
	return out
}

func key(r *releases.Release) string {
	k := r.Key()
	if len(k) > maxKey {
		sum := sha256.Sum256([]byte(k))
		return hex.EncodeToString(sum[:16])
	}
	return k
}

func set(keys []string) map[string]bool {
	out := make(map[string]bool, len(keys))
	for _, k := range keys {
		out[k] = true
	}
	return out
}
