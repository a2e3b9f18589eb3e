package release

import (
	"path"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/jet-bus/jet-bus/internal/releases"
)

// filter says which releases are told, and when.
type filter struct {
	channel releases.Channel
	// versions is nil when any will do, tag and asset are empty then.
	versions   *semver.Constraints
	tag, asset string
	minAge     time.Duration
	// text is all but asset and age, to see whether it is still the same.
	text string
}

// takes reports whether a release counts, as it is now.
func (f filter) takes(r *releases.Release) bool {
	if !f.channel.Takes(*r) {
		return false
	}
	if f.versions != nil && (r.Version == nil || !f.versions.Check(r.Version)) {
		return false
	}
	if f.tag == "" || f.tag == r.Tag {
		return true
	}
	ok, _ := path.Match(f.tag, r.Tag)
	return ok
}

// ready reports whether a release that counts can be told now. If it only has to
// become older, due is when.
func (f filter) ready(r *releases.Release, now time.Time) (due time.Time, ok bool) {
	if f.minAge > 0 {
		if due = appeared(r).Add(f.minAge); due.After(now) {
			return due, false
		}
	}
	return time.Time{}, f.asset == "" || r.Has(f.asset)
}

// appeared is since when a release can be seen. GitLab lets people date one back;
// elsewhere, what is created before is the commit or the draft.
func appeared(r *releases.Release) time.Time {
	if r.Created.After(r.Published) {
		return r.Created
	}
	return r.Published
}
