package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// maxReply is how much of an answer is read, to use the connection again.
const maxReply = 64 << 10

// Client sends requests. It is safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient returns a client that verifies certificates, follows no redirect and uses
// the proxy of the environment. roots are whom certificates must come from, nil for
// those that the system trusts; idle is how many connections it keeps to one host.
func NewClient(roots *x509.CertPool, idle int) *Client {
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   idle,
			IdleConnTimeout:       time.Minute,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is what is sent.
type Request struct {
	Method string
	To     Address
	// Header must be the caller's own: Send adds to it.
	Header http.Header
	Body   []byte
	// TokenFile is the file of the bearer token, empty if there is none.
	TokenFile string
	// Config is where an operator mends a wrong URL: the name of a file.
	Config string
}

// Send makes one attempt. Code is the status of the answer, 0 if there was none. The
// error, nil with a status of 2xx, is what [Known] knows more of.
func (c *Client) Send(ctx context.Context, r Request) (code int, err error) {
	u, err := r.To.Resolve()
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return 0, Final(errors.New("make the request: its url or method is not valid"))
	}
	req.Header = r.Header
	req.Header.Set("User-Agent", "jet-bus/"+proc.Version())
	if r.TokenFile != "" {
		token, err := Secret(r.TokenFile)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("reach %s: %w", Origin(u), Bare(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	// What it says is not shown: it may repeat what it was sent.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	return resp.StatusCode, judge(resp, u, r.Config)
}

// judge tells what an answer means.
func judge(resp *http.Response, u *url.URL, config string) error {
	err := fmt.Errorf("%s answers %d %s", Origin(u), resp.StatusCode, http.StatusText(resp.StatusCode))
	switch c := resp.StatusCode; {
	case c/100 == 2:
		return nil
	case c/100 == 3:
		// Another host would be handed what is meant for this one.
		return fmt.Errorf("%w, which is not followed: write the right url in %s", err, config)
	case c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusTooManyRequests, c/100 != 4:
		return Later(err, RetryAfter(resp.Header.Get("Retry-After"), time.Now()))
	}
	return Final(err)
}

// RetryAfter reads the header of that name: seconds, or a date. It is zero if that
// says nothing.
func RetryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// Bare is the error of a request without the URL, which the client puts in front; or
// why ctx ended, if it did.
func Bare(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
