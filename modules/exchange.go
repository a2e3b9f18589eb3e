package modules

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxAnswer is how large the body of an answer may be, in bytes.
const maxAnswer = 16 << 20

var errNoCurl = errors.New("the host has no curl; let the runner ask with from: runner")

// exchange is a request over HTTP whose answer is read.
type exchange struct {
	request
	method string
	body   string
	// follow is true when redirections are followed, timeout is how long all of it
	// may take.
	follow  bool
	timeout time.Duration
}

// reply is what a server said.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// run makes the request from the host, or from this machine if c is nil.
func (x exchange) run(ctx context.Context, c conn.Conn) (reply, error) {
	limited, cancel := context.WithTimeoutCause(ctx, x.timeout, fmt.Errorf("it took longer than the timeout of %s", x.timeout))
	defer cancel()
	ask := x.fromHere
	if c != nil {
		ask = func(ctx context.Context) (reply, error) { return x.fromHost(ctx, c) }
	}
	a, err := ask(limited)
	switch {
	case err == nil:
		return a, nil
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	case limited.Err() != nil:
		return a, context.Cause(limited)
	default:
		return a, err
	}
}

// fromHere makes the request from this machine.
func (x exchange) fromHere(ctx context.Context) (reply, error) {
	client := newClient()
	defer client.CloseIdleConnections()
	if !x.follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	var body io.Reader
	if x.body != "" {
		body = strings.NewReader(x.body)
	}
	req, err := http.NewRequestWithContext(ctx, x.method, x.url.String(), body)
	if err != nil {
		return reply{}, err
	}
	req.Header = x.header()
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := client.Do(req)
	if err != nil {
		if bad, ok := errors.AsType[*url.Error](err); ok {
			err = bad.Err // the error holds all of the address
		}
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return reply{}, fmt.Errorf("reading the answer: %w", err)
	}
	return reply{resp.StatusCode, resp.Header, text}.checked()
}

func (a reply) checked() (reply, error) {
	if len(a.body) > maxAnswer {
		return reply{}, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	return a, nil
}

// fromHost lets the host make the request with curl.
func (x exchange) fromHost(ctx context.Context, c conn.Conn) (a reply, err error) {
	if x.body == "" {
		return x.curl(ctx, c, "")
	}
	err = scratch(ctx, c, programDir, "the body of the request", func(dir string) error {
		private, name := fs.FileMode(0o600), dir+"/body"
		if err := c.WriteFile(ctx, name, strings.NewReader(x.body), conn.Attr{Mode: &private}); err != nil {
			return err
		}
		a, err = x.curl(ctx, c, name)
		return err
	})
	return a, err
}

// curl runs curl on the host; the file called body holds what is sent.
func (x exchange) curl(ctx context.Context, c conn.Conn, body string) (reply, error) {
	out, err := c.Run(ctx, conn.Cmd{
		Argv: []string{"curl", "-q", "-K", "-"}, Stdin: strings.NewReader(x.curlConfig(body)),
	})
	switch {
	case err != nil:
		return reply{}, err
	case out.Code == 127:
		return reply{}, errNoCurl
	case out.Code != 0:
		return reply{}, &engine.CommandError{CommandResult: commandResult("curl", conn.Output{Code: out.Code, Stderr: out.Stderr})}
	}
	a, err := readReply(out.Stdout)
	if err != nil {
		return reply{}, fmt.Errorf("reading what curl printed: %w", err)
	}
	return a.checked()
}

// curlConfig is what curl reads instead of arguments, which other users of the
// host could see.
func (x exchange) curlConfig(body string) string {
	var b strings.Builder
	line := func(name, value string) { curlLine(&b, name, value) }
	b.WriteString("silent\nshow-error\ngloboff\npath-as-is\nsuppress-connect-headers\n")
	line("proto", "=http,https")
	line("proto-redir", "=http,https")
	line("connect-timeout", strconv.Itoa(int(connectTime.Seconds())))
	line("max-time", strconv.FormatFloat(x.timeout.Seconds(), 'f', 3, 64))
	line("max-filesize", strconv.Itoa(maxAnswer))
	if x.follow {
		b.WriteString("location\n")
		line("max-redirs", strconv.Itoa(maxRedirects))
	}
	if x.method != http.MethodHead { // which has curl print the header anyway
		line("dump-header", "-")
	}
	line("write-out", "\\n%{num_redirects}")
	if body != "" {
		line("data-binary", "@"+body)
		line("header", "Expect:") // it would come to one more round, or to a wait
	}
	switch {
	case x.method == http.MethodHead:
		b.WriteString("head\n")
	case x.method == http.MethodGet && body == "", x.method == http.MethodPost && body != "":
	default:
		line("request", x.method)
	}
	header := x.header()
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if header.Get(name) == "" {
			line("header", name+";")
			continue
		}
		line("header", name+": "+header.Get(name))
	}
	if body != "" && header.Get("Content-Type") == "" {
		line("header", "Content-Type:")
	}
	line("url", x.url.String())
	return b.String()
}

// readReply takes apart what curl printed: the header of each redirection and of
// the answer, its body, and on a line of its own how many redirections there were.
func readReply(printed []byte) (reply, error) {
	end := bytes.LastIndexByte(printed, '\n')
	if end < 0 {
		return reply{}, errors.New("there is no answer")
	}
	redirects, err := strconv.Atoi(string(printed[end+1:]))
	if err != nil {
		return reply{}, errors.New("its end is missing")
	}
	rest := printed[:end]
	for left := redirects + 1; ; {
		// A line ends in a line feed alone where curl or the server are careless.
		head, body, ok := cutHeader(rest)
		if !ok {
			return reply{}, errors.New("a header is missing")
		}
		first, fields, _ := strings.Cut(string(head), "\n")
		words := strings.Fields(first)
		if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/") {
			return reply{}, fmt.Errorf("%.80q is no answer over HTTP", first)
		}
		status, err := strconv.Atoi(words[1])
		if err != nil {
			return reply{}, fmt.Errorf("%.80q is no answer over HTTP", first)
		}
		rest = body
		if status < 200 && status != http.StatusSwitchingProtocols {
			continue // only said that there is more to come
		}
		if left--; left > 0 {
			continue
		}
		header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields + "\r\n\r\n"))).ReadMIMEHeader()
		if err != nil {
			return reply{}, fmt.Errorf("reading the header: %w", err)
		}
		return reply{status, http.Header(header), body}, nil
	}
}

// cutHeader parts a header from what follows the empty line at its end.
func cutHeader(b []byte) (head, rest []byte, ok bool) {
	crlf, lf := bytes.Index(b, []byte("\r\n\r\n")), bytes.Index(b, []byte("\n\n"))
	switch {
	case crlf >= 0 && (lf < 0 || crlf < lf):
		return b[:crlf], b[crlf+4:], true
	case lf >= 0:
		return b[:lf], b[lf+2:], true
	default:
		return nil, nil, false
	}
}
