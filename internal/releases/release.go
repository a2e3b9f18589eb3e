package releases

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Release is what a host of repositories says of a release.
type Release struct {
	// ID is the number that no other release of the host has, in digits. GitLab tells
	// none, so there it is empty.
	ID string
	// Tag is its tag. GitLab keeps it from those who may not see the code; then it is
	// empty.
	Tag string
	// Draft is true until it is published; of GitLab, while it is announced for later.
	Draft      bool
	Prerelease bool
	// Published is the time of that, and Created when the release was made: of GitHub,
	// that is the time of the commit.
	Published, Created time.Time
	// URL is where the API has the release, and Page where people look at it. Either
	// may be empty; of GitLab, URL is.
	URL, Page string
	// Author is the account that made it, if the host says so.
	Author string
	Assets []Asset
	// Version is what the tag holds, nil if that is none; see [TagVersion].
	Version *semver.Version
	// Raw is the release as the host sent it, in JSON. Only [Watch.Poll] keeps it.
	Raw json.RawMessage
}

// Asset is a file of a release.
type Asset struct {
	Name string
	URL  string
	// API is where the file is to be had with a token; it may be empty.
	API string
	// Digest is the checksum that the host tells, such as sha256:…; it may be empty.
	Digest string
	// Size is in bytes, and ID a number that no other file has; both are zero where
	// the host does not tell.
	Size, ID int64
}

// decode reads a page of releases.
func (r Repository) decode(body []byte) ([]Release, error) {
	decode := decodeReleases
	if r.Provider == GitLab {
		decode = decodeGitLab
	}
	return decode(body)
}

// decodeReleases reads a page of releases as GitHub, Gitea and Forgejo write it.
func decodeReleases(body []byte) ([]Release, error) {
	var page []struct {
		ID         int64     `json:"id"`
		URL        string    `json:"url"`
		Page       string    `json:"html_url"`
		Tag        string    `json:"tag_name"`
		Draft      bool      `json:"draft"`
		Prerelease bool      `json:"prerelease"`
		Created    time.Time `json:"created_at"`
		Published  time.Time `json:"published_at"`
		Author     struct {
			Login string `json:"login"`
		} `json:"author"`
		Assets []struct {
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
	out := make([]Release, len(page))
	for i, r := range page {
		out[i] = Release{
			Tag: r.Tag, Draft: r.Draft, Prerelease: r.Prerelease, Published: r.Published, Created: r.Created,
			URL: r.URL, Page: r.Page, Author: r.Author.Login, Version: TagVersion(r.Tag),
		}
		if r.ID != 0 {
			out[i].ID = strconv.FormatInt(r.ID, 10)
		}
		for _, a := range r.Assets {
			if a.State != "" && a.State != "uploaded" {
				continue // GitHub shows files whose upload is under way, or was given up
			}
			out[i].Assets = append(out[i].Assets, Asset{
				Name: a.Name, URL: a.URL, API: a.API, Digest: a.Digest, Size: a.Size, ID: a.ID,
			})
		}
	}
	return out, nil
}

// decodeGitLab reads a page of releases as GitLab writes it.
func decodeGitLab(body []byte) ([]Release, error) {
	var page []struct {
		Tag      string    `json:"tag_name"`
		Upcoming bool      `json:"upcoming_release"`
		Created  time.Time `json:"created_at"`
		Released time.Time `json:"released_at"`
		Author   struct {
			Username string `json:"username"`
		} `json:"author"`
		Links struct {
			Self string `json:"self"`
		} `json:"_links"`
		Assets struct {
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
	out := make([]Release, len(page))
	for i, r := range page {
		out[i] = Release{
			Tag: r.Tag, Draft: r.Upcoming, Published: r.Released, Created: r.Created,
			Page: r.Links.Self, Author: r.Author.Username, Version: TagVersion(r.Tag),
		}
		for _, l := range r.Assets.Links {
			out[i].Assets = append(out[i].Assets, Asset{Name: l.Name, URL: cmp.Or(l.Direct, l.URL), ID: l.ID})
		}
	}
	return out, nil
}

// Find returns the one asset whose name is pattern, or that it matches as
// [path.Match] has it.
func (r Release) Find(pattern string) (Asset, error) {
	var found []Asset
	var names []string
	for _, a := range r.Assets {
		if a.matches(pattern) {
			found = append(found, a)
		}
		names = append(names, a.Name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		names = nil
		for _, a := range found {
			names = append(names, a.Name)
		}
		return Asset{}, fmt.Errorf("release %s has more than one file %q: %s", r.Tag, pattern, strings.Join(names, ", "))
	case len(names) == 0:
		return Asset{}, fmt.Errorf("release %s has no files", r.Tag)
	}
	return Asset{}, fmt.Errorf("release %s has no file %q; it has %s", r.Tag, pattern, strings.Join(names, ", "))
}

// Has reports whether there is an asset that Find's pattern stands for, or several.
func (r Release) Has(pattern string) bool {
	for _, a := range r.Assets {
		if a.matches(pattern) {
			return true
		}
	}
	return false
}

func (a Asset) matches(pattern string) bool {
	ok, _ := path.Match(pattern, a.Name)
	return ok || pattern == a.Name
}
