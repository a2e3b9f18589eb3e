package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// api is where GitHub's own API is.
	api = "https://api.github.com"
	// calm is how long after a start nothing is asked for: GitHub may be about to send,
	// and whoever comes back has other things to do.
	calm = time.Minute
	// window is how long GitHub keeps deliveries to be made again.
	window = 3 * 24 * time.Hour
	// perRound bounds what is asked for in one round, apart is the pause between two of
	// them, and moreAfter the one before the next round when that was not all: GitHub
	// wants a second, and 500 an hour at the most.
	perRound, apart, moreAfter = 100, time.Second, 15 * time.Minute
	// defaultEvery is the time between rounds, least the shortest, most the longest: GitHub
	// forgets after three days.
	defaultEvery, least, most = time.Hour, time.Minute, 24 * time.Hour
)

// Entry says which hook's deliveries are looked after.
type Entry struct {
	// Hook is the name of the webhook here: GitHub's sends to /hooks/<Hook>.
	Hook string
	// Repository, as owner/name, or Organization is what the hook belongs to at GitHub.
	Repository, Organization string
	// HookID is its id there; 0 finds it by its address, which takes a token that may
	// list hooks.
	HookID int64
	// TokenFile is the file with the token, read for each round.
	TokenFile string
	// BaseURL is where the API is; empty means GitHub's own.
	BaseURL string
	// Every is the time between two looks; 0 means an hour.
	Every time.Duration
}

// Options are what all entries share.
type Options struct {
	// Transport, if set, is what requests are made with.
	Transport http.RoundTripper
}

// Source looks after one hook.
type Source struct {
	entry Entry
	every time.Duration
	http  *http.Client
	// base is where the hooks are in the API; owner is what they belong to, for people.
	base, owner string
	// found is the hook's id, 0 until it is known; token is for one round.
	found int64
	token string
}

var _ source.Source = (*Source)(nil)

// New makes the sources of entries, by the names they are run under:
// backfill-<hook>. It opens nothing. All faults are reported at once.
func New(entries []Entry, o Options) (map[string]*Source, error) {
	out := make(map[string]*Source)
	var errs []error
	for _, e := range entries {
		s, err := newSource(e, o)
		if name := "backfill-" + e.Hook; err == nil && out[name] == nil {
			out[name] = s
			continue
		}
		errs = append(errs, fmt.Errorf("backfill of hook %s: %w", e.Hook, cmp.Or(err, errors.New("it is there twice"))))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// named is what GitHub allows an owner and a repository to be called.
var named = lazyregexp.New(`^[A-Za-z0-9_.-]+$`)

// Check says what is wrong with an entry, nil if nothing is. It opens nothing.
func (e Entry) Check() error {
	_, err := newSource(e, Options{})
	return err
}

func newSource(e Entry, o Options) (*Source, error) {
	s := &Source{entry: e, every: cmp.Or(e.Every, defaultEvery), found: e.HookID, owner: e.Repository}
	u, err := url.Parse(cmp.Or(e.BaseURL, api))
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("base_url is no address of an API, such as https://github.example.com/api/v3")
	case u.Scheme != "https" && (u.Scheme != "http" || !outbound.Loopback(u.Hostname())):
		return nil, errors.New("base_url must begin with https://, or the token could be read on its way")
	case s.every < least || s.every > most:
		return nil, fmt.Errorf("every is %s, and must be %s to %s", s.every, least, most)
	case e.HookID < 0:
		return nil, errors.New("the hook's id is a positive number")
	case e.TokenFile == "":
		return nil, errors.New("it needs a token_file")
	}
	path := "/orgs/" + e.Organization
	owner, repository, whole := strings.Cut(e.Repository, "/")
	switch {
	case (e.Repository == "") == (e.Organization == ""):
		return nil, errors.New("it needs a repository, or an organization")
	case e.Organization != "":
		s.owner = e.Organization
		if !valid(e.Organization) {
			return nil, fmt.Errorf("%q is no organization", e.Organization)
		}
	case !whole || !valid(owner) || !valid(repository):
		return nil, fmt.Errorf("%q is no repository, such as acme/app", e.Repository)
	default:
		path = "/repos/" + e.Repository
	}
	s.base = strings.TrimSuffix(u.String(), "/") + path + "/hooks"
	s.http = &http.Client{Transport: o.Transport, Timeout: 30 * time.Second, CheckRedirect: sameHost}
	return s, nil
}

func valid(s string) bool { return named().MatchString(s) && s != "." && s != ".." }

// Run looks until ctx ends.
func (s *Source) Run(ctx context.Context, f source.Feed) error {
	defer s.http.CloseIdleConnections()
	st, err := s.load(ctx, f)
	if err != nil {
		return err
	}
	next := f.Now().Add(calm)
	f.OK(next)
	failures := 0
	for {
		if _, err := f.Wait(ctx, next); err != nil {
			return nil // ctx has ended
		}
		more, err := s.round(ctx, f, st)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, source.ErrLost):
			return err
		case err != nil:
			failures++
			next = f.Now().Add(s.after(err, failures))
			f.Failed(err, next)
			continue
		}
		failures = 0
		next = f.Now().Add(s.every)
		if more {
			next = f.Now().Add(min(s.every, moreAfter))
		}
		if gone := st.givenUp(); gone != nil {
			f.Failed(gone, next)
			continue
		}
		f.OK(next)
	}
}

// after is how long to wait after a failure: as GitHub wants it, else twice as long as
// the last time, up to what is between rounds.
func (s *Source) after(err error, failures int) time.Duration {
	if l, ok := errors.AsType[limitError](err); ok {
		return max(l.wait, time.Second)
	}
	return pause.Grown(time.Minute, s.every, failures)
}
