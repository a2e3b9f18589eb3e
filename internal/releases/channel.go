package releases

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// Channel says which releases count.
type Channel string

// The channels. Of those that count, a [Choice] takes the highest version, or with
// Any what was published last.
const (
	// Stable is what is no prerelease.
	Stable Channel = "stable"
	// Prerelease is everything.
	Prerelease Channel = "prerelease"
	// Unstable is prereleases alone.
	Unstable Channel = "unstable"
	// Any is everything.
	Any Channel = "any"
)

// ParseChannel reads the name of a channel as people write it: latest, or nothing,
// is stable.
func ParseChannel(name string) (Channel, error) {
	switch c := Channel(name); c {
	case "", "latest":
		return Stable, nil
	case Stable, Prerelease, Unstable, Any:
		return c, nil
	}
	return "", fmt.Errorf("channel must be latest, stable, prerelease, unstable or any, not %q", name)
}

// Takes reports whether a release counts in the channel. Drafts are not looked for.
func (c Channel) Takes(r Release) bool {
	switch c {
	case Stable:
		return !r.Pre()
	case Unstable:
		return r.Pre()
	}
	return true
}

// Range reads a range of versions, such as ">=1.2, <2". Beyond the channel stable,
// prereleases are in it too.
func (c Channel) Range(versions string) (*semver.Constraints, error) {
	limit, err := semver.NewConstraint(versions)
	if err != nil {
		return nil, err
	}
	limit.IncludePrerelease = c != Stable
	return limit, nil
}

// Choice says which release is wanted.
type Choice struct {
	Channel Channel
	// Version is a tag, a version, a range of versions, or empty.
	Version string
	// Prefix is what tags must begin with, before the version.
	Prefix string
}

// errNoRelease means that there is no such release.
var errNoRelease = errors.New("there is no release")

// Of picks the release that is wanted. Drafts are nobody's choice.
func (c Choice) Of(all []Release) (Release, error) {
	some := make([]Release, 0, len(all))
	for _, r := range all {
		if rest, ok := strings.CutPrefix(r.Tag, c.Prefix); ok && !r.Draft {
			if c.Prefix != "" {
				r.Version = TagVersion(rest)
			}
			some = append(some, r)
		}
	}
	if c.Version != "" {
		r, found, err := c.pinned(some)
		if found || err != nil {
			return r, err
		}
		limit, err := c.Channel.Range(c.Version)
		if err != nil {
			return Release{}, fmt.Errorf("%w with the tag %q, and it is no range of versions", errNoRelease, c.Version)
		}
		some = slices.DeleteFunc(some, func(r Release) bool { return r.Version == nil || !limit.Check(r.Version) })
	}
	some = slices.DeleteFunc(some, func(r Release) bool { return !c.Channel.Takes(r) })
	if len(some) == 0 {
		return Release{}, fmt.Errorf("%w%s in the channel %s", errNoRelease, c.wanted(), c.Channel)
	}
	return slices.MaxFunc(some, func(a, b Release) int {
		if c.Channel == Any {
			return a.Published.Compare(b.Published)
		}
		return a.compare(b)
	}), nil
}

// wanted names the version and the prefix in messages.
func (c Choice) wanted() string {
	var said string
	if c.Version != "" {
		said = " " + c.Version
	}
	if c.Prefix != "" {
		said += fmt.Sprintf(" whose tag begins with %q", c.Prefix)
	}
	return said
}

// pinned returns the release whose tag or whose version is wanted. Someone who
// names one means that one, whatever the channel. found is false when what is
// wanted may be a range.
func (c Choice) pinned(all []Release) (r Release, found bool, err error) {
	for _, tag := range []string{c.Version, "v" + c.Version, c.Prefix + c.Version, c.Prefix + "v" + c.Version} {
		if i := slices.IndexFunc(all, func(r Release) bool { return r.Tag == tag }); i >= 0 {
			return all[i], true, nil
		}
	}
	v, err := semver.StrictNewVersion(strings.TrimPrefix(c.Version, "v"))
	if err != nil {
		return Release{}, false, nil //nolint:nilerr // it may be a range
	}
	same := slices.DeleteFunc(slices.Clone(all), func(r Release) bool {
		return r.Version == nil || !r.Version.Equal(v) || v.Metadata() != "" && v.Metadata() != r.Version.Metadata()
	})
	if len(same) == 0 {
		return Release{}, false, fmt.Errorf("%w%s", errNoRelease, c.wanted())
	}
	return slices.MaxFunc(same, Release.compare), true, nil
}

// Pre reports whether it is a prerelease, by its version or because it says so.
func (r Release) Pre() bool {
	return r.Prerelease || r.Version != nil && r.Version.Prerelease() != ""
}

// compare orders releases by version; tags that hold none come before all others.
// Of one version a stable release comes last, and else the one published last.
func (r Release) compare(o Release) int {
	switch {
	case r.Version == nil && o.Version != nil:
		return -1
	case r.Version != nil && o.Version == nil:
		return 1
	case r.Version != nil:
		if c := r.Version.Compare(o.Version); c != 0 {
			return c
		}
	}
	if r.Pre() != o.Pre() {
		if r.Pre() {
			return -1
		}
		return 1
	}
	return r.Published.Compare(o.Published)
}

var (
	// plainVersion matches a whole tag that is a version of one number, such as v2
	// or 7-rc1. More digits are a date.
	plainVersion = lazyregexp.New(`^[vV]?[0-9]{1,5}(-[A-Za-z][0-9A-Za-z.-]*)?$`)
	// innerVersion matches where a version may begin in a tag: with two numbers, and
	// not in the middle of a number.
	innerVersion = lazyregexp.New(`(?:^|[^0-9.])([0-9]+\.[0-9])`)
)

// maxTag is how long a tag may be that is searched for a version, in bytes.
const maxTag = 256

// TagVersion returns the version in a tag such as v1.2.3, jq-1.7 or app/v2.0.0-rc.1,
// nil if there is none.
func TagVersion(tag string) *semver.Version {
	if len(tag) > maxTag {
		return nil
	}
	if plainVersion().MatchString(tag) {
		if v, err := semver.NewVersion(tag); err == nil {
			return v
		}
	}
	for _, at := range innerVersion().FindAllStringSubmatchIndex(tag, -1) {
		if v, err := semver.NewVersion(tag[at[2]:]); err == nil {
			return v
		}
	}
	return nil
}
