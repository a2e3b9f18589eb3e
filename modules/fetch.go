package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// connectTime is how long making a connection to a server may take, and
	// stallTime how long it may then say nothing.
	connectTime = 30 * time.Second
	stallTime   = time.Minute
	// maxRedirects is how many redirections of one request are followed.
	maxRedirects = 10
)

var (
	// errNotModified means that a file is not newer than what is there.
	errNotModified = errors.New("not modified")
	// errNoTool means that the host has no program that can fetch.
	errNoTool = errors.New("the host has neither curl nor wget that could fetch it")
	// errNoWay means that the host could not make a connection to the server.
	errNoWay = errors.New("the host cannot reach the server")
)

// statusError is an answer of a server other than the file.
type statusError int

func (s statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server answered %d %s", int(s), http.StatusText(int(s))))
}

// passing tells whether asking again can help.
func (s statusError) passing() bool {
	return s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooEarly || s == http.StatusTooManyRequests
}

// request is a file to fetch over HTTP.
type request struct {
	url     *url.URL
	headers map[string]string
	// since makes the answer errNotModified when the file is not newer, etag when it
	// is the one that the server gave that name.
	since time.Time
	etag  string
}

// version is what a server says of which version of a file it sends.
type version struct{ etag, modified string }

func versionOf(h http.Header) version {
	return version{etag: h.Get("Etag"), modified: h.Get("Last-Modified")}
}

// String names the file in messages, without what may be secret in its address.
func (r request) String() string {
	return (&url.URL{Scheme: r.url.Scheme, Host: r.url.Host, Path: r.url.Path}).String()
}

// parseURL takes an address that can be fetched.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		if bad, ok := errors.AsType[*url.Error](err); ok {
			err = bad.Err // the error holds all of the address
		}
		if strings.Contains(s, "@") { // the other one may hold a part of a password
			return nil, errors.New("url cannot be understood; in its user and password write what is no letter or digit as %XX")
		}
		return nil, fmt.Errorf("url cannot be understood: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("url must begin with http:// or https:// and name a host")
	}
	u.RawQuery = strings.ReplaceAll(u.RawQuery, " ", "%20") // what it holds otherwise is sent as it is
	return u, nil
}

// checkHeaders refuses what would be more than a header.
func checkHeaders(headers map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) {
			return fmt.Errorf("headers: %q cannot name a header", name)
		}
		if strings.ContainsAny(headers[name], "\r\n\x00") {
			return fmt.Errorf("headers: the value of %s holds more than one line", name)
		}
	}
	return nil
}

func (r request) header() http.Header {
	h := make(http.Header, len(r.headers)+2)
	for name, v := range r.headers {
		h.Set(name, v)
	}
	if !r.since.IsZero() {
		h.Set("If-Modified-Since", r.since.UTC().Format(http.TimeFormat))
	}
	if r.etag != "" {
		h.Set("If-None-Match", r.etag)
	}
	return h
}

// open asks for the file from this machine. The caller closes the body.
func (r request) open(ctx context.Context, client *http.Client, method string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = r.header()
	resp, err := client.Do(req)
	if err != nil {
		if bad, ok := errors.AsType[*url.Error](err); ok {
			err = bad.Err
		}
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp, nil
	case http.StatusNotModified:
		err = errNotModified
	default:
		err = statusError(resp.StatusCode)
	}
	_ = resp.Body.Close()
	return nil, err
}

// openHeaders are those that hold no secret, and so may go wherever a server sends us.
var openHeaders = [...]string{
	"Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "If-Modified-Since", "If-None-Match", "User-Agent",
}

// redirected is what clients ask before they follow a redirection. What may authorize
// goes to nobody else than the server that it is for: the client itself would send it
// to another port of it, and without encryption.
func redirected(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("there are more than %d redirections", maxRedirects)
	}
	first := via[0].URL
	if req.URL.Host != first.Host || first.Scheme == "https" && req.URL.Scheme != "https" {
		maps.DeleteFunc(req.Header, func(name string, _ []string) bool { return !slices.Contains(openHeaders[:], name) })
	}
	return nil
}

// newClient returns a client for one task. Its idle connections are to be
// closed.
func newClient() *http.Client {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = stallTime
	t.DisableCompression = true // a file is stored as it is sent
	return &http.Client{Transport: t, CheckRedirect: redirected}
}
