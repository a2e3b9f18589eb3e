package releases

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/jet-bus/jet-bus/internal/pause"
)

const (
	// maxPause is how long a server's wish to be asked later is heeded.
	maxPause = time.Minute
	// askTries is how often a server is asked that is busy, or cuts its answer off.
	askTries = 3
	// maxRefusal is how much is read of an answer that refuses, in bytes.
	maxRefusal = 4 << 10
)

var (
	// errCut means that an answer ended before it should.
	errCut = errors.New("the answer was cut off")
	// errNotModified means that a page is what it was.
	errNotModified = errors.New("not modified")
)

// read asks for a file and hands it to take; again, when it is cut off. A size
// above zero is what it must have.
func (c *Client) read(
	ctx context.Context, client *http.Client, r Repository, at string, header map[string]string, size int64,
	take func(h http.Header, body io.Reader) error,
) error {
	for try := 1; ; try++ {
		err := c.readOnce(ctx, client, r, at, header, size, take)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, errCut) || try == askTries {
			return err
		}
		if err := c.sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
	}
}

func (c *Client) readOnce(
	ctx context.Context, client *http.Client, r Repository, at string, header map[string]string, size int64,
	take func(h http.Header, body io.Reader) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := c.get(ctx, client, r, at, header)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	stall := cmp.Or(c.Stall, stallTime)
	idle := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing arrived for %s", stall)) })
	defer idle.Stop()
	body := &whole{ctx: ctx, from: resp.Body, size: size, arrived: func() { idle.Reset(stall) }}
	err = take(resp.Header, body)
	if body.err != nil {
		return body.err
	}
	return err
}

// whole reads an answer and fails unless all of it arrives.
type whole struct {
	ctx  context.Context //nolint:containedctx // a reader of one request
	from io.Reader
	// size is what must arrive, if it is known.
	size, have int64
	arrived    func()
	// err is why it is not whole.
	err error
}

func (w *whole) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	w.have += int64(n)
	if n > 0 {
		w.arrived()
	}
	switch {
	case err == nil:
		return n, nil
	case w.ctx.Err() != nil:
		w.err = fmt.Errorf("%w: %w", errCut, context.Cause(w.ctx))
	case !errors.Is(err, io.EOF):
		w.err = fmt.Errorf("%w after %d bytes", errCut, w.have)
	case w.size > 0 && w.have != w.size:
		w.err = fmt.Errorf("%w: %d bytes arrived, and there are %d", errCut, w.have, w.size)
	default:
		return n, err
	}
	return n, w.err
}

// get asks for a file, and once more when the server is busy or wants to be
// asked later. The caller closes the body.
func (c *Client) get(ctx context.Context, client *http.Client, r Repository, at string, header map[string]string) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := c.once(ctx, client, r, at, header)
		if err != nil || resp.StatusCode == http.StatusOK {
			return resp, err
		}
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what there is of it
		_ = resp.Body.Close()
		code, now := statusError(resp.StatusCode), c.now()
		pause, limited := askedPause(resp.Header, now)
		if !limited && code == http.StatusForbidden && bytes.Contains(bytes.ToLower(text), []byte("rate limit")) {
			pause, limited = maxPause, true // what GitHub asks for where it gives no time
		}
		limited = limited && code == http.StatusForbidden || code == http.StatusTooManyRequests
		switch {
		case code == http.StatusNotModified:
			return nil, errNotModified
		case limited && (pause >= maxPause || try == askTries):
			refused := &LimitError{code: code, Until: now.Add(cmp.Or(pause, maxPause))}
			if r.Token == "" {
				refused.token = r.TokenKey
			}
			return nil, refused
		case code == http.StatusUnauthorized && r.Token != "":
			return nil, fmt.Errorf("%w: %s is not accepted", code, r.TokenKey)
		case code == http.StatusNotFound:
			return nil, fmt.Errorf("%w: it does not exist, or a %s is needed that may see it", code, r.TokenKey)
		case !limited && !code.passing() || try == askTries || pause >= maxPause:
			return nil, code
		}
		if pause == 0 {
			pause = time.Duration(try) * time.Second
		}
		if err := c.sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, client *http.Client, r Repository, at string, header map[string]string) (*http.Response, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the address %q cannot be asked", at)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("the address %q cannot be asked", at)
	}
	for name, v := range header {
		req.Header.Set(name, v)
	}
	r.authorize(req)
	resp, err := client.Do(req)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // the address may be a signed one
	}
	if err == nil && c.answered != nil && r.owns(resp.Request.URL) {
		c.answered(r, resp.Header)
	}
	return resp, err
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	if !pause.For(ctx, d) {
		return context.Cause(ctx)
	}
	return nil
}
