package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/proc"
)

const (
	// maxPages bounds how many pages of deliveries, or of hooks, one look reads.
	maxPages, perPage = 100, 100
	// maxAnswer bounds one answer, in bytes.
	maxAnswer = 16 << 20
	// limitPause is how long to wait where GitHub limits and does not say for how long.
	limitPause = time.Minute
)

// delivery is an attempt to make a delivery, as GitHub lists it.
type delivery struct {
	ID          int64     `json:"id"`
	GUID        string    `json:"guid"`
	DeliveredAt time.Time `json:"delivered_at"`
	Redelivery  bool      `json:"redelivery"`
	StatusCode  int       `json:"status_code"`
	Event       string    `json:"event"`
}

// ok reports whether the delivery was answered as it should be.
func (d delivery) ok() bool { return d.StatusCode/100 == 2 }

// limitError is that GitHub wants to be left alone.
type limitError struct{ wait time.Duration }

func (e limitError) Error() string {
	return fmt.Sprintf("GitHub limits the requests of this token; it is asked again in %s", e.wait.Round(time.Second))
}

// What an answer may mean, beside that it is right.
var (
	errGone  = errors.New("it is not there")
	errUnfit = errors.New("GitHub does not take the request")
)

// deliveries lists the attempts since a time, the oldest first.
func (s *Source) deliveries(ctx context.Context, hook int64, since time.Time) ([]delivery, error) {
	var all []delivery
	next := fmt.Sprintf("%s/%d/deliveries?per_page=%d", s.base, hook, perPage)
	for page := 0; next != "" && page < maxPages; page++ {
		var list []delivery
		var err error
		if next, err = s.get(ctx, next, &list); err != nil {
			if errors.Is(err, errGone) {
				s.found = s.entry.HookID // the one that was found may have been replaced
				err = fmt.Errorf("hook %d of %s is not there, or the token may not see it: %s", hook, s.owner, s.scope())
			}
			return nil, fmt.Errorf("list the deliveries: %w", err)
		}
		old := false
		for _, d := range list {
			if d.DeliveredAt.Before(since) {
				old = true
			} else {
				all = append(all, d)
			}
		}
		if old { // the newest come first
			break
		}
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b delivery) int { return a.DeliveredAt.Compare(b.DeliveredAt) })
	return all, nil
}

// find returns the id of the hook that sends here.
func (s *Source) find(ctx context.Context) (int64, error) {
	var found []int64
	next := fmt.Sprintf("%s?per_page=%d", s.base, perPage)
	for page := 0; next != "" && page < maxPages; page++ {
		var list []struct {
			ID     int64 `json:"id"`
			Config struct {
				URL string `json:"url"`
			} `json:"config"`
		}
		var err error
		if next, err = s.get(ctx, next, &list); err != nil {
			if errors.Is(err, errGone) {
				err = fmt.Errorf("%s has no hooks that the token may see: %s, or write the hook's id", s.owner, s.scope())
			}
			return 0, fmt.Errorf("list the hooks: %w", err)
		}
		for _, h := range list {
			u, err := url.Parse(h.Config.URL)
			if err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/hooks/"+s.entry.Hook) {
				found = append(found, h.ID)
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("%s has no hook that sends to /hooks/%s; write the hook's id", s.owner, s.entry.Hook)
	}
	return 0, fmt.Errorf("%s has %d hooks that send to /hooks/%s; write the id of the right one", s.owner, len(found), s.entry.Hook)
}

// scope says what a token must be allowed.
func (s *Source) scope() string {
	if s.entry.Organization != "" {
		return "it needs the scope admin:org_hook, or of the fine-grained permissions Webhooks of the organization, to write"
	}
	return "it needs the scope admin:repo_hook, or of the fine-grained permissions Webhooks, to write"
}

// redeliver has GitHub make a delivery again. It may take a while until it does.
func (s *Source) redeliver(ctx context.Context, hook, id int64) error {
	_, err := s.do(ctx, http.MethodPost, fmt.Sprintf("%s/%d/deliveries/%d/attempts", s.base, hook, id), nil)
	if err != nil {
		return fmt.Errorf("ask for delivery %d again: %w", id, err)
	}
	return nil
}

// get reads one page of a list into v, and returns the address of the next, if there is
// one.
func (s *Source) get(ctx context.Context, address string, v any) (next string, err error) {
	header, err := s.do(ctx, http.MethodGet, address, v)
	if err != nil {
		return "", err
	}
	if next = nextPage(header.Get("Link")); next == "" {
		return "", nil
	}
	from, err1 := url.Parse(address)
	to, err2 := url.Parse(next)
	if err1 != nil || err2 != nil || to.Host != from.Host || to.Scheme != from.Scheme || next == address {
		return "", errors.New("the next page is said to be elsewhere")
	}
	return next, nil
}

// do makes a request, and decodes the answer into v unless that is nil. Its errors say
// nothing of what was sent or answered, but for the status.
func (s *Source) do(ctx context.Context, method, address string, v any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, errors.New("make the request: its address is not valid")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "jet-bus/"+proc.Version())
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", req.URL.Host, outbound.Bare(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err := s.judge(resp); err != nil {
		return nil, err
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB", req.URL.Host, maxAnswer>>20)
	case v == nil:
		return resp.Header, nil
	}
	if json.Unmarshal(body, v) != nil {
		return nil, fmt.Errorf("the answer of %s is not what GitHub's API gives", req.URL.Host)
	}
	return resp.Header, nil
}

// judge tells what an answer means.
func (s *Source) judge(resp *http.Response) error {
	err := fmt.Errorf("%s answers %d %s", resp.Request.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	switch c := resp.StatusCode; {
	case c/100 == 2:
		return nil
	case c == http.StatusTooManyRequests, c == http.StatusForbidden && limited(resp.Header):
		return limitError{limitOf(resp.Header)}
	case c == http.StatusUnauthorized:
		return fmt.Errorf("%w: the token in %s is not valid, or not any more", err, s.entry.TokenFile)
	case c == http.StatusForbidden:
		return fmt.Errorf("%w: the token in %s is not allowed to: %s", err, s.entry.TokenFile, s.scope())
	case c == http.StatusNotFound:
		return fmt.Errorf("%w: %w", errGone, err)
	case c == http.StatusBadRequest, c == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	return err
}

// limited reports whether a refusal is because of too many requests.
func limited(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-Ratelimit-Remaining") == "0"
}

// limitOf is how long GitHub wants to be left alone, by its own clock.
func limitOf(h http.Header) time.Duration {
	if n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, window)
	}
	reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil || h.Get("X-Ratelimit-Remaining") != "0" {
		return limitPause
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(time.Unix(reset, 0).Sub(now), 0)+time.Second, window)
}

// nextPage returns the address of the relation next in a Link header.
func nextPage(link string) string {
	for part := range strings.SplitSeq(link, ",") {
		address, params, ok := strings.Cut(strings.TrimSpace(part), ">")
		if !ok || !strings.HasPrefix(address, "<") {
			continue
		}
		for p := range strings.SplitSeq(params, ";") {
			if p = strings.TrimSpace(p); p == `rel="next"` || p == "rel=next" {
				return address[1:]
			}
		}
	}
	return ""
}

// sameHost follows a redirect only where the token may be shown.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme || len(via) > 5 {
		return errors.New("it redirects elsewhere")
	}
	return nil
}
