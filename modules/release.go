package modules

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

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

// release is what a host of repositories says of a release.
type release struct {
	tag        string
	draft      bool
	prerelease bool
	published  time.Time
	assets     []asset
	// version is nil when the tag holds none.
	version *semver.Version
}

// asset is a file of a release.
type asset struct {
	name string
	url  string
	// api is where the file is to be had with a token; it may be empty.
	api string
	// sum is the checksum that the host tells; it may be empty.
	sum checksum
}

// decodeReleases reads a page of releases as GitHub, Gitea and Forgejo write it.
func decodeReleases(body []byte) ([]release, error) {
	var page []struct {
		Tag        string    `json:"tag_name"`
		Draft      bool      `json:"draft"`
		Prerelease bool      `json:"prerelease"`
		Published  time.Time `json:"published_at"`
		Assets     []struct {
			Name   string `json:"name"`
			URL    string `json:"browser_download_url"`
			API    string `json:"url"`
			Digest string `json:"digest"`
		} `json:"assets"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	out := make([]release, len(page))
	for i, r := range page {
		out[i] = release{tag: r.Tag, draft: r.Draft, prerelease: r.Prerelease, published: r.Published, version: tagVersion(r.Tag)}
		for _, a := range r.Assets {
			sum, _ := parseChecksum(a.Digest) // kinds we do not know are left alone
			out[i].assets = append(out[i].assets, asset{name: a.Name, url: a.URL, api: a.API, sum: sum})
		}
	}
	return out, nil
}

// decodeGitLab reads a page of releases as GitLab writes it.
func decodeGitLab(body []byte) ([]release, error) {
	var page []struct {
		Tag      string    `json:"tag_name"`
		Upcoming bool      `json:"upcoming_release"`
		Released time.Time `json:"released_at"`
		Assets   struct {
			Links []struct {
				Name   string `json:"name"`
				URL    string `json:"url"`
				Direct string `json:"direct_asset_url"`
			} `json:"links"`
		} `json:"assets"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	out := make([]release, len(page))
	for i, r := range page {
		out[i] = release{tag: r.Tag, draft: r.Upcoming, published: r.Released, version: tagVersion(r.Tag)}
		for _, l := range r.Assets.Links {
			out[i].assets = append(out[i].assets, asset{name: l.Name, url: cmp.Or(l.Direct, l.URL)})
		}
	}
	return out, nil
}

// tagPrefix is what projects write before the version in a tag, such as v or app-v.
var tagPrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z._/-]*`)

// tagVersion returns the version in a tag, nil if there is none.
func tagVersion(tag string) *semver.Version {
	for _, s := range []string{tag, tagPrefix.ReplaceAllString(tag, "")} {
		if v, err := semver.NewVersion(s); err == nil {
			return v
		}
	}
	return nil
}

// pre tells whether it is a prerelease, by its version or because it says so.
func (r release) pre() bool {
	return r.prerelease || r.version != nil && r.version.Prerelease() != ""
}

// choose picks the release that a channel and a wanted version (or a range of
// versions, or nothing) come to. Drafts are nobody's choice.
func choose(all []release, channel, want string) (release, error) {
	all = slices.DeleteFunc(slices.Clone(all), func(r release) bool { return r.draft })
	if want != "" {
		if i := slices.IndexFunc(all, func(r release) bool { return r.tag == want || r.tag == "v"+want }); i >= 0 {
			return all[i], nil
		}
		limit, err := semver.NewConstraint(want)
		if err != nil {
			return release{}, fmt.Errorf("there is no release with the tag %q, and it is no range of versions", want)
		}
		limit.IncludePrerelease = channel != channelStable
		all = slices.DeleteFunc(all, func(r release) bool { return r.version == nil || !limit.Check(r.version) })
		// Someone who names one version means that one, whatever it is.
		if _, err := semver.NewVersion(want); err == nil && len(all) > 0 {
			channel = channelPrerelease
		}
	}
	all = slices.DeleteFunc(all, func(r release) bool {
		return channel == channelStable && r.pre() || channel == channelUnstable && !r.pre()
	})
	if len(all) == 0 {
		if want != "" {
			return release{}, fmt.Errorf("there is no release %s in the channel %s", want, channel)
		}
		return release{}, fmt.Errorf("there is no release in the channel %s", channel)
	}
	return slices.MaxFunc(all, func(a, b release) int {
		if channel != channelAny {
			if c := compareVersions(a, b); c != 0 {
				return c
			}
		}
		return a.published.Compare(b.published)
	}), nil
}

// compareVersions puts tags that hold no version before all others.
func compareVersions(a, b release) int {
	switch {
	case a.version == nil && b.version == nil:
		return 0
	case a.version == nil:
		return -1
	case b.version == nil:
		return 1
	}
	return a.version.Compare(b.version)
}

// find returns the one asset that a pattern matches.
func (r release) find(pattern string) (asset, error) {
	var found []asset
	var names []string
	for _, a := range r.assets {
		if ok, _ := path.Match(pattern, a.name); ok || pattern == a.name {
			found = append(found, a)
		}
		names = append(names, a.name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		names = nil
		for _, a := range found {
			names = append(names, a.name)
		}
		return asset{}, fmt.Errorf("release %s has more than one file %q: %s", r.tag, pattern, strings.Join(names, ", "))
	case len(names) == 0:
		return asset{}, fmt.Errorf("release %s has no files", r.tag)
	}
	return asset{}, fmt.Errorf("release %s has no file %q; it has %s", r.tag, pattern, strings.Join(names, ", "))
}

// bsdSum matches a line as BSD's programs write it.
var bsdSum = regexp.MustCompile(`^SHA(?:256|512) ?\((.+)\) ?= ?([0-9A-Fa-f]+)$`)

// listedSum finds the checksum of a file in a text as sha256sum writes it, or in
// one that holds a checksum and nothing else.
func listedSum(text, name string) (checksum, error) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, l := range lines {
		digits, file, _ := strings.Cut(strings.TrimSpace(l), " ")
		file = strings.TrimPrefix(strings.TrimLeft(file, " "), "*")
		if m := bsdSum.FindStringSubmatch(l); m != nil {
			file, digits = m[1], m[2]
		}
		if path.Base(file) == name || file == "" && len(lines) == 1 {
			return parseChecksum(digits)
		}
	}
	return nil, errors.New("the checksum file does not speak of it")
}
