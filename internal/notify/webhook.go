package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// headerID carries the message's id, so that a target can tell a repetition.
const headerID = "Idempotency-Key"

// maxReply is how much of an answer is read, to use the connection again.
const maxReply = 64 << 10

// body says what is sent.
type body string

const (
	bodyJSON  body = "json"
	bodySlack body = "slack"
	bodyText  body = "text"
)

type webhook struct {
	target string
	// url is nil if it is in urlFile.
	url                *url.URL
	urlFile, tokenFile string
	method             string
	headers            http.Header
	body               body
}

// payload is what is sent as JSON.
type payload struct {
	ID      string    `json:"id"`
	Target  string    `json:"target"`
	Rule    string    `json:"rule"`
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"`
	Event   *Event    `json:"event,omitempty"`
	At      time.Time `json:"at"`
}

// render gives the body and its type.
func (b body) render(m Message) (data []byte, contentType string, err error) {
	text := strings.TrimPrefix(m.Subject+"\n\n"+m.Text, "\n\n")
	switch b {
	case bodyText:
		return []byte(text), "text/plain; charset=utf-8", nil
	case bodySlack:
		if m.Subject != "" {
			text = m.Subject + "\n" + m.Text
		}
		// What comes from events must not address people or make links.
		text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
		data, err = json.Marshal(map[string]string{"text": text})
	default:
		data, err = json.Marshal(payload{m.ID, m.To, m.Rule, m.Subject, m.Text, m.Event, m.At})
	}
	return data, "application/json", err
}

func (w *webhook) send(ctx context.Context, via *wire, m Message) error {
	u, err := w.address()
	if err != nil {
		return err
	}
	data, contentType, err := w.body.render(m)
	if err != nil {
		return final(fmt.Errorf("make the request: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, w.method, u.String(), bytes.NewReader(data))
	if err != nil {
		return final(errors.New("make the request: its url or method is not valid"))
	}
	req.Header = w.headers.Clone()
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "jet-bus/"+proc.Version())
	req.Header.Set(headerID, m.ID)
	if w.tokenFile != "" {
		token, err := secret(w.tokenFile)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := via.http.Do(req)
	if err != nil {
		return fmt.Errorf("reach %s: %w", origin(u), bare(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	// What it says is not shown: it may repeat what it was sent.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	return w.judge(resp, u)
}

// judge tells what an answer means.
func (w *webhook) judge(resp *http.Response, u *url.URL) error {
	err := fmt.Errorf("%s answers %d %s", origin(u), resp.StatusCode, http.StatusText(resp.StatusCode))
	switch c := resp.StatusCode; {
	case c/100 == 2:
		return nil
	case c/100 == 3:
		// Another host would be handed what is meant for this one.
		return fmt.Errorf("%w, which is not followed: write the right url in %s", err, File)
	case c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusTooManyRequests, c/100 != 4:
		return later(err, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	}
	return final(err)
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// address gives the URL, which may be in a file.
func (w *webhook) address() (*url.URL, error) {
	if w.url != nil {
		return w.url, nil
	}
	s, err := secret(w.urlFile)
	if err != nil {
		return nil, err
	}
	u, err := parseURL(s, w.tokenFile != "")
	if err != nil {
		return nil, fmt.Errorf("url_file %s: %w", w.urlFile, err)
	}
	return u, nil
}

// parseURL reads a URL. Its errors do not show it: its path may be a secret.
func parseURL(s string, token bool) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("the url is not one such as https://hooks.example.com/x")
	case u.User != nil:
		return nil, errors.New("the url has a user or password in it; put the password into a file, and name that as token_file")
	case token && u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("the url must begin with https, or the token would be sent in the clear")
	}
	u.Fragment = ""
	return u, nil
}

// origin is what may be shown of a URL.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// bare is the error of a request without the URL, which the client puts in front.
func bare(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}
