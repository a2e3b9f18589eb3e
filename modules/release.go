package modules

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
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
	// size is in bytes, and id a number that no other file has; both are zero where
	// the host does not tell.
	size, id int64
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
			State  string `json:"state"`
			Size   int64  `json:"size"`
			ID     int64  `json:"id"`
		} `json:"assets"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	out := make([]release, len(page))
	for i, r := range page {
		out[i] = release{tag: r.Tag, draft: r.Draft, prerelease: r.Prerelease, published: r.Published, version: tagVersion(r.Tag)}
		for _, a := range r.Assets {
			if a.State != "" && a.State != "uploaded" {
				continue // GitHub shows files whose upload is under way, or was given up
			}
			sum, _ := parseChecksum(a.Digest) // kinds we do not know are left alone
			out[i].assets = append(out[i].assets, asset{
				name: a.Name, url: a.URL, api: a.API, sum: sum, size: a.Size, id: a.ID,
			})
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
				ID     int64  `json:"id"`
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
			out[i].assets = append(out[i].assets, asset{name: l.Name, url: cmp.Or(l.Direct, l.URL), id: l.ID})
		}
	}
	return out, nil
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
