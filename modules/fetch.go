package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// connectTime is how long making a connection to a server may take, and
	// stallTime how long it may then say nothing.
	connectTime = 30 * time.Second
	stallTime   = time.Minute
)

var (
	// errNotModified means that a file is not newer than what is there.
	errNotModified = errors.New("not modified")
	// errNoTool means that the host has no program that can fetch.
	errNoTool = errors.New("the host has neither curl nor wget that could fetch it")
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
	// since makes the answer errNotModified when the file is not newer.
	since time.Time
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
		return nil, fmt.Errorf("url cannot be understood: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("url must begin with http:// or https:// and name a host")
	}
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
	h := make(http.Header, len(r.headers)+1)
	for name, v := range r.headers {
		h.Set(name, v)
	}
	if !r.since.IsZero() {
		h.Set("If-Modified-Since", r.since.UTC().Format(http.TimeFormat))
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
	return &http.Client{Transport: t}
}

// onHost lets the host fetch the file itself, into the file called to. An empty
// name only asks whether there is something to fetch.
func (r request) onHost(ctx context.Context, c conn.Conn, to string) error {
	out, err := c.Run(ctx, conn.Cmd{
		Argv: []string{"curl", "-q", "-K", "-"}, Stdin: strings.NewReader(r.curlConfig(to)), ReadOnly: to == "",
	})
	if err != nil {
		return err
	}
	if out.Code != 127 {
		return curlError(out)
	}
	// Other users of the host can read wget's arguments.
	if len(r.headers) > 0 || r.url.User != nil || to == "" {
		return errNoTool
	}
	argv := []string{"wget", "-q", "-t", "1", "-T", strconv.Itoa(int(stallTime.Seconds())), "-O", to, "--", r.url.String()}
	out, err = c.Run(ctx, conn.Cmd{Argv: argv})
	switch {
	case err != nil:
		return err
	case out.Code == 127:
		return errNoTool
	case out.Code != 0:
		return &engine.CommandError{CommandResult: commandResult("wget", out)}
	}
	return nil
}

// curlConfig is what curl reads instead of arguments, which other users of the
// host could see.
func (r request) curlConfig(to string) string {
	var b strings.Builder
	line := func(name, value string) {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`).Replace(value)
		fmt.Fprintf(&b, "%s = \"%s\"\n", name, quoted)
	}
	b.WriteString("silent\nshow-error\nfail\nlocation\ngloboff\npath-as-is\n")
	line("proto", "=http,https")
	line("proto-redir", "=http,https")
	line("connect-timeout", strconv.Itoa(int(connectTime.Seconds())))
	line("speed-limit", "1")
	line("speed-time", strconv.Itoa(int(stallTime.Seconds())))
	line("write-out", "%{http_code}")
	if to == "" {
		b.WriteString("head\n")
		to = "/dev/null"
	}
	line("output", to)
	header := r.header()
	for _, name := range slices.Sorted(maps.Keys(header)) {
		line("header", name+": "+header.Get(name))
	}
	line("url", r.url.String())
	return b.String()
}

// curlError says what came of curl.
func curlError(out conn.Output) error {
	code, _ := strconv.Atoi(string(bytes.TrimSpace(out.Stdout)))
	switch {
	case code == http.StatusNotModified:
		return errNotModified
	case out.Code == 0 && code == http.StatusOK:
		return nil
	case code != 0 && (out.Code == 22 || out.Code == 0):
		return statusError(code)
	}
	return &engine.CommandError{CommandResult: commandResult("curl", out)}
}
