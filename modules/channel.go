package modules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Channels of releases.
const (
	channelLatest     = "latest"
	channelStable     = "stable"
	channelPrerelease = "prerelease"
	channelUnstable   = "unstable"
	channelAny        = "any"
)

// choice says which release is wanted.
type choice struct {
	channel string
	// version is a tag, a version, a range of versions, or empty.
	version string
	// prefix is what tags must begin with, before the version.
	prefix string
}

// errNoRelease means that there is no such release.
var errNoRelease = errors.New("there is no release")

// of picks the release that is wanted. Drafts are nobody's choice.
func (c choice) of(all []release) (release, error) {
	some := make([]release, 0, len(all))
	for _, r := range all {
		if rest, ok := strings.CutPrefix(r.tag, c.prefix); ok && !r.draft {
			if c.prefix != "" {
				r.version = tagVersion(rest)
			}
			some = append(some, r)
		}
	}
	if c.version != "" {
		r, found, err := c.pinned(some)
		if found || err != nil {
			return r, err
		}
		limit, err := semver.NewConstraint(c.version)
		if err != nil {
			return release{}, fmt.Errorf("%w with the tag %q, and it is no range of versions", errNoRelease, c.version)
		}
		limit.IncludePrerelease = c.channel != channelStable
		some = slices.DeleteFunc(some, func(r release) bool { return r.version == nil || !limit.Check(r.version) })
	}
	some = slices.DeleteFunc(some, func(r release) bool {
		return c.channel == channelStable && r.pre() || c.channel == channelUnstable && !r.pre()
	})
	if len(some) == 0 {
		return release{}, fmt.Errorf("%w%s in the channel %s", errNoRelease, c.wanted(), c.channel)
	}
	return slices.MaxFunc(some, func(a, b release) int {
		if c.channel == channelAny {
			return a.published.Compare(b.published)
		}
		return a.compare(b)
	}), nil
}

// wanted names the version and the prefix in messages.
func (c choice) wanted() string {
	var said string
	if c.version != "" {
		said = " " + c.version
	}
	if c.prefix != "" {
		said += fmt.Sprintf(" whose tag begins with %q", c.prefix)
	}
	return said
}

// pinned returns the release whose tag or whose version is wanted. Someone who
// names one means that one, whatever the channel. found is false when what is
// wanted may be a range.
func (c choice) pinned(all []release) (r release, found bool, err error) {
	for _, tag := range []string{c.version, "v" + c.version, c.prefix + c.version, c.prefix + "v" + c.version} {
		if i := slices.IndexFunc(all, func(r release) bool { return r.tag == tag }); i >= 0 {
			return all[i], true, nil
		}
	}
	v, err := semver.StrictNewVersion(strings.TrimPrefix(c.version, "v"))
	if err != nil {
		return release{}, false, nil //nolint:nilerr // it may be a range
	}
	same := slices.DeleteFunc(slices.Clone(all), func(r release) bool {
		return r.version == nil || !r.version.Equal(v) || v.Metadata() != "" && v.Metadata() != r.version.Metadata()
	})
	if len(same) == 0 {
		return release{}, false, fmt.Errorf("%w%s", errNoRelease, c.wanted())
	}
	return slices.MaxFunc(same, release.compare), true, nil
}

// pre tells whether it is a prerelease, by its version or because it says so.
func (r release) pre() bool {
	return r.prerelease || r.version != nil && r.version.Prerelease() != ""
}

// compare orders releases by version; tags that hold none come before all others.
// Of one version a stable release comes last, and else the one published last.
func (r release) compare(o release) int {
	switch {
	case r.version == nil && o.version != nil:
		return -1
	case r.version != nil && o.version == nil:
		return 1
	case r.version != nil:
		if c := r.version.Compare(o.version); c != 0 {
			return c
		}
	}
	if r.pre() != o.pre() {
		if r.pre() {
			return -1
		}
		return 1
	}
	return r.published.Compare(o.published)
}

var (
	// plainVersion matches a whole tag that is a version of one number, such as v2
	// or 7-rc1. More digits are a date.
	plainVersion = regexp.MustCompile(`^[vV]?[0-9]{1,5}(-[A-Za-z][0-9A-Za-z.-]*)?$`)
	// innerVersion matches where a version may begin in a tag: with two numbers, and
	// not in the middle of a number.
	innerVersion = regexp.MustCompile(`(?:^|[^0-9.])([0-9]+\.[0-9])`)
)

// maxTag is how long a tag may be that is searched for a version, in bytes.
const maxTag = 256

// tagVersion returns the version in a tag such as v1.2.3, jq-1.7 or app/v2.0.0-rc.1,
// nil if there is none.
func tagVersion(tag string) *semver.Version {
	if len(tag) > maxTag {
		return nil
	}
	if plainVersion.MatchString(tag) {
		if v, err := semver.NewVersion(tag); err == nil {
			return v
		}
	}
	for _, at := range innerVersion.FindAllStringSubmatchIndex(tag, -1) {
		if v, err := semver.NewVersion(tag[at[2]:]); err == nil {
			return v
		}
	}
	return nil
}
