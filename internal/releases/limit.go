package releases

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// statusError is an answer of a server other than what was asked for.
type statusError int

func (s statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server answered %d %s", int(s), http.StatusText(int(s))))
}

// passing tells whether asking again can help.
func (s statusError) passing() bool {
	return s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooEarly || s == http.StatusTooManyRequests
}

// LimitError means that a server takes no more requests for some time.
type LimitError struct {
	// Until is when it takes requests again.
	Until time.Time
	code  statusError
	// token is the key of a token, where one would raise the limit.
	token string
}

func (e *LimitError) Error() string {
	s := fmt.Sprintf("%s: no more requests are taken until %s", e.code, e.Until.UTC().Format("2006-01-02 15:04:05 MST"))
	if e.token != "" {
		s += "; " + e.token + " raises the limit"
	}
	return s
}

// Prefixes of the headers that tell limits: GitHub and GitLab name them differently.
var limitHeaders = [...]string{"X-RateLimit-", "RateLimit-"}

// epoch is the lowest number that stands for a time since 1970; lower ones are
// seconds from now on.
const epoch = 1e8

// longest is for how long a server is left alone at most, whatever it says.
const longest = 24 * time.Hour

// askedPause reads how long a server wants to be left alone, if it says so.
func askedPause(h http.Header, now time.Time) (time.Duration, bool) {
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.ParseUint(v, 10, 31); err == nil {
			return min(time.Duration(s)*time.Second, longest), true
		}
		if t, err := http.ParseTime(v); err == nil {
			return min(max(0, t.Sub(now)), longest), true
		}
	}
	for _, kind := range limitHeaders {
		if strings.TrimSpace(h.Get(kind+"Remaining")) != "0" {
			continue
		}
		if t, ok := resetTime(h.Get(kind+"Reset"), now); ok {
			return max(0, t.Sub(now)), true
		}
	}
	return 0, false
}

func resetTime(v string, now time.Time) (time.Time, bool) {
	s, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	switch {
	case err != nil || s < 0:
		return time.Time{}, false
	case s < epoch:
		return now.Add(min(time.Duration(s)*time.Second, longest)), true
	}
	if t := time.Unix(s, 0); t.Before(now.Add(longest)) {
		return t, true
	}
	return now.Add(longest), true
}

// budget is what a site leaves to one account, as it said last. The zero value
// knows nothing of it. It is not safe for concurrent use.
type budget struct {
	// limit is how many requests there are in a period, left how many until reset.
	// Without known, the site has not said.
	known       bool
	limit, left int
	reset       time.Time
	// next is when the next request may be sent, where there is little left.
	next time.Time
	// refused is why nothing is asked until its time has come.
	refused *LimitError
}

// note reads the headers of an answer.
func (b *budget) note(h http.Header, now time.Time) {
	for _, kind := range limitHeaders {
		left, err := strconv.Atoi(strings.TrimSpace(h.Get(kind + "Remaining")))
		reset, ok := resetTime(h.Get(kind+"Reset"), now)
		if err != nil || !ok || left < 0 {
			continue
		}
		limit, _ := strconv.Atoi(strings.TrimSpace(h.Get(kind + "Limit")))
		b.known, b.limit, b.left, b.reset = true, limit, left, reset
		return
	}
}

// scarce is how much of a limit may be used at will: what is left of the last
// quarter is spread until more is given.
const scarce = 4

// spread returns the time between two requests, zero if there is plenty.
func (b *budget) spread(now time.Time) time.Duration {
	if !b.known || b.left == 0 || !now.Before(b.reset) || b.left*scarce > b.limit {
		return 0
	}
	return b.reset.Sub(now) / time.Duration(b.left)
}

// ready returns when the next request may be sent: now, or later.
func (b *budget) ready(now time.Time) time.Time {
	switch {
	case b.refused != nil && now.Before(b.refused.Until):
		return b.refused.Until
	case b.known && b.left == 0 && now.Before(b.reset):
		return b.reset
	case b.spread(now) > 0 && now.Before(b.next):
		return b.next
	}
	return now
}

// spend takes one request out of the budget, to be sent at a time.
func (b *budget) spend(at time.Time) {
	if b.left > 0 {
		b.next = at.Add(b.spread(at))
		b.left--
	}
}
