package release

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	everyDefault = 5 * time.Minute
	everyLeast   = 10 * time.Second
	everyMost    = 7 * 24 * time.Hour
	// maxAge is the most that min_age may be.
	maxAge = 365 * 24 * time.Hour
)

// Config is the form of a source of this kind in sources.yml, under the key releases.
type Config struct {
	strictyaml.Keyed
	// Provider is github (when it is not given), gitea, forgejo or gitlab.
	Provider string `yaml:"provider"`
	// Repository is owner/name; of GitLab, groups may be nested.
	Repository string `yaml:"repository,required"`
	// BaseURL is the address of a site of one's own; of GitHub Enterprise that of the API.
	BaseURL string `yaml:"base_url"`
	// Every is how long to wait between two looks: 5m when it is not given.
	Every *time.Duration `yaml:"every"`
	// Channel says which releases count, as in the github_release module: stable (or
	// latest, when it is not given) no prereleases, unstable prereleases alone,
	// prerelease and any all of them.
	Channel string `yaml:"channel"`
	// Version is a range of versions, such as ">=2, <3". What holds no version does not
	// count then.
	Version string `yaml:"version"`
	// Tag is a pattern that the tag must match, such as "v*".
	Tag string `yaml:"tag"`
	// MinAge is how old a release must be before it is told: one that is withdrawn
	// before is not told at all.
	MinAge time.Duration `yaml:"min_age"`
	// Asset is the name of a file, or a pattern of names: a release is told only when
	// it has such a file.
	Asset string `yaml:"asset"`
	// Since is a time such as 2026-11-01T00:00:00Z: what was published from then on is
	// told at the first look already.
	Since string `yaml:"since"`
	// TokenFile is the absolute path of a file with a token for the site.
	TokenFile string `yaml:"token_file"`
	// CacheETags keeps the site's answers over restarts, in the file that the module's
	// parameter of that name means.
	CacheETags bool `yaml:"cache_etags"`

	// Sites is what all sources of a process share, so that a site is asked one thing at
	// a time. Without it, the source asks as if it were alone.
	Sites *releases.Sites `yaml:"-"`
}

// Source checks the configuration, all faults at once, and makes the source.
func (c Config) Source() (source.Source, error) {
	w := &watcher{sites: c.Sites, tokenFile: c.TokenFile}
	if w.sites == nil {
		w.sites = releases.NewSites()
	}
	var errs []error
	fault := func(key, format string, args ...any) { errs = append(errs, c.Place(key).Errorf(format, args...)) }
	w.repo = c.site(fault)
	var err error
	if w.every, err = strictyaml.Span("every", c.Every, everyLeast, everyMost, everyDefault); err != nil {
		fault("every", "%w", err)
	}
	w.filter = c.filters(fault)
	if c.Since != "" {
		t, err := time.Parse(time.RFC3339, c.Since)
		if err != nil {
			fault("since", "since must be a time such as 2026-11-01T00:00:00Z, not %q", c.Since)
		}
		w.since = t
	}
	if err := outbound.CheckFile("token_file", c.TokenFile); err != nil {
		fault("token_file", "%w", err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return w, nil
}

// site reads where to ask.
func (c Config) site(fault func(key, format string, args ...any)) releases.Repository {
	r := releases.Repository{Provider: c.Provider, Name: c.Repository, TokenKey: "token_file", ETags: c.CacheETags}
	base, ok := releases.PublicSite(c.Provider)
	if !ok {
		fault("provider", "provider must be github, gitea, forgejo or gitlab, not %q", c.Provider)
	}
	if r.Provider == "" {
		r.Provider = releases.GitHub
	}
	if ok && !releases.ValidName(r.Provider, c.Repository) {
		fault("repository", "repository must be owner/name, not %q", c.Repository)
	}
	r.Base = base
	if c.BaseURL == "" {
		return r
	}
	r.Base = strings.TrimRight(c.BaseURL, "/")
	u, err := url.Parse(c.BaseURL)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		fault("base_url", "base_url must begin with http:// or https://, name a host and hold no password") // not shown: it may hold one
	case r.Provider == releases.GitHub && strings.EqualFold(u.Hostname(), "github.com"):
		fault("base_url", "base_url is the address of the API; leave it out for github.com")
	case u.Scheme == "http" && c.TokenFile != "" && !outbound.Loopback(u.Hostname()):
		fault("base_url", "base_url must begin with https, or the token would be sent in the clear")
	}
	return r
}

func (c Config) filters(fault func(key, format string, args ...any)) filter {
	f := filter{tag: c.Tag, asset: c.Asset, minAge: c.MinAge}
	var err error
	if f.channel, err = releases.ParseChannel(c.Channel); err != nil {
		fault("channel", "%w", err)
	}
	if c.Version != "" {
		if f.versions, err = f.channel.Range(c.Version); err != nil {
			fault("version", `version must be a range such as ">=2, <3", not %q`, c.Version)
		}
	}
	for _, p := range []struct{ key, pattern string }{{"tag", c.Tag}, {"asset", c.Asset}} {
		if _, err := path.Match(p.pattern, ""); err != nil {
			fault(p.key, "%s: %q is no pattern of names", p.key, p.pattern)
		}
	}
	if c.MinAge > maxAge {
		fault("min_age", "min_age must be %d days at most, not %s", maxAge/(24*time.Hour), c.MinAge)
	}
	f.text = fmt.Sprintf("%s %q %q", f.channel, c.Version, c.Tag)
	return f
}

// token reads the token. It is read for each look: who changes it need not tell
// jet-bus.
func token(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	return outbound.Secret(file)
}
