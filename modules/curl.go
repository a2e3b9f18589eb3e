package modules

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// What curl is asked for instead of a file's name.
const (
	toNowhere = ""  // only whether there is something to fetch
	toOutput  = "-" // a short text
)

// maxText is how long a text may be that is fetched to be read, in bytes.
const maxText = 1 << 20

// onHost lets the host fetch the file itself, into the file called to, and returns
// what the server says of its version.
func (r request) onHost(ctx context.Context, c conn.Conn, to string) (version, error) {
	out, err := r.curl(ctx, c, to)
	if err != nil {
		return version{}, err
	}
	if out.Code != 127 {
		headers, err := curlOutcome(out)
		return lastVersion(headers), err
	}
	// Other users of the host can read wget's arguments.
	if len(r.headers) > 0 || r.url.User != nil || to == toNowhere {
		return version{}, errNoTool
	}
	_, err = r.wget(ctx, c, to)
	return version{}, err
}

// textOnHost lets the host fetch a short text.
func (r request) textOnHost(ctx context.Context, c conn.Conn) ([]byte, error) {
	out, err := r.curl(ctx, c, toOutput)
	if err != nil {
		return nil, err
	}
	if out.Code != 127 {
		return curlOutcome(out)
	}
	if len(r.headers) > 0 || r.url.User != nil {
		return nil, errNoTool
	}
	return r.wget(ctx, c, toOutput)
}

func (r request) curl(ctx context.Context, c conn.Conn, to string) (conn.Output, error) {
	return c.Run(ctx, conn.Cmd{
		Argv:  []string{"curl", "-q", "-K", "-"},
		Stdin: strings.NewReader(r.curlConfig(to)), ReadOnly: to == toNowhere || to == toOutput,
	})
}

func (r request) wget(ctx context.Context, c conn.Conn, to string) ([]byte, error) {
	argv := []string{"wget", "-q", "-t", "1", "-T", strconv.Itoa(int(stallTime.Seconds())), "-O", to, "--", r.url.String()}
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, ReadOnly: to == toOutput})
	switch {
	case err != nil:
		return nil, err
	case out.Code == 127:
		return nil, errNoTool
	case out.Code == 4:
		return nil, fmt.Errorf("%w: %w", errNoWay, &engine.CommandError{CommandResult: commandResult("wget", out)})
	case out.Code != 0:
		return nil, &engine.CommandError{CommandResult: commandResult("wget", out)}
	}
	return out.Stdout, nil
}

// curlConfig is what curl reads instead of arguments, which other users of the
// host could see. It prints the server's headers, or the text, and then a line with
// the status.
func (r request) curlConfig(to string) string {
	var b strings.Builder
	line := func(name, value string) { curlLine(&b, name, value) }
	b.WriteString("silent\nshow-error\nfail\nlocation\ngloboff\npath-as-is\n")
	line("proto", "=http,https")
	line("proto-redir", "=http,https")
	line("connect-timeout", strconv.Itoa(int(connectTime.Seconds())))
	line("speed-limit", "1")
	line("speed-time", strconv.Itoa(int(stallTime.Seconds())))
	line("write-out", "\n%{http_code}")
	switch to {
	case toNowhere:
		b.WriteString("head\n")
		line("output", "/dev/null")
		line("dump-header", "-")
	case toOutput:
		line("max-filesize", strconv.Itoa(maxText))
	default:
		line("output", to)
		line("dump-header", "-")
	}
	header := r.header()
	for _, name := range slices.Sorted(maps.Keys(header)) {
		line("header", name+": "+header.Get(name))
	}
	line("url", r.url.String())
	return b.String()
}

// curlOutcome says what came of curl, and returns what it printed before the
// status.
func curlOutcome(out conn.Output) ([]byte, error) {
	end := max(0, bytes.LastIndexByte(out.Stdout, '\n'))
	printed := out.Stdout[:end]
	code, _ := strconv.Atoi(string(bytes.TrimSpace(out.Stdout[end:])))
	switch {
	case code == http.StatusNotModified:
		return printed, errNotModified
	case out.Code == 0 && code == http.StatusOK:
		return printed, nil
	case code != 0 && (out.Code == 22 || out.Code == 0):
		return printed, statusError(code)
	}
	out.Stdout = nil
	failed := &engine.CommandError{CommandResult: commandResult("curl", out)}
	// 5 and 6: a name that is not known; 7: no connection; 28: it took too long.
	if code == 0 && (out.Code >= 5 && out.Code <= 7 || out.Code == 28) {
		return printed, fmt.Errorf("%w: %w", errNoWay, failed)
	}
	return printed, failed
}

// lastVersion reads the headers of the last of several answers, as of redirections.
func lastVersion(headers []byte) version {
	blocks := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(headers), "\r\n", "\n")), "\n\n")
	_, last, _ := strings.Cut(blocks[len(blocks)-1], "\n")
	// What is no header behind others does not undo them.
	h, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(last + "\n\n"))).ReadMIMEHeader()
	return versionOf(http.Header(h))
}

// curlLine writes an option as curl reads it from a file.
func curlLine(b *strings.Builder, name, value string) {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`).Replace(value)
	fmt.Fprintf(b, "%s = \"%s\"\n", name, quoted)
}
