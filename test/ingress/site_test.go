package ingress

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/test/process"
)

// site is a jet-bus with the endpoints of a hooks file, and an operator's shell beside it.
type site struct {
	content, data, home string
	bus                 *process.Process
	addr                access.Address
	client              *http.Client
	args                []string
	stream              jetstream.Stream // of the events; nil until somebody asks
}

// newSite lays out a site with a hooks file and the secrets of all senders, each in a file called
// <endpoint>.secret. Nothing is started.
func newSite(t *testing.T, hooks string, args ...string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		content: filepath.Join(dir, "content"), data: filepath.Join(dir, "data"), home: filepath.Join(dir, "home"),
		client: newClient(t, ""), args: args,
	}
	must(t, os.Mkdir(s.home, 0o700))
	s.write(t, filepath.Join(s.content, "rules", "none.yml"), "rules: []\n")
	s.write(t, filepath.Join(s.content, "inventory", "groups", "web"), "hosts:\n  - web1\n")
	for _, from := range senders() {
		s.write(t, filepath.Join(s.data, from.hook+".secret"), from.secretFile()+"\n")
	}
	s.write(t, filepath.Join(s.data, "hooks.yml"), hooks)
	return s
}

// newClient returns a client that sends from an address of this machine; empty means any.
func newClient(t *testing.T, from string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	// With Expect: 100-continue, an answer is waited for before the body is sent.
	transport := &http.Transport{DialContext: dialer.DialContext, ExpectContinueTimeout: process.Patience}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: process.Patience}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file that only its owner can read, as a whole.
func (s *site) write(t *testing.T, file, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file+".new", []byte(text), 0o600))
	must(t, os.Rename(file+".new", file))
}

// start starts jet-bus and returns when it takes events.
func (s *site) start(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.data, "address.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	args := append([]string{"--content", s.content, "--data", s.data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, s.args...)
	s.bus = process.Start(t, process.Environment(s.home), "jet-bus", "jet-bus", args...)
	process.Eventually(t, "the bus", func() bool {
		if !s.bus.Running() {
			t.Fatalf("jet-bus ended: %s", s.bus.Errors(t))
		}
		addr, err := access.ReadAddress(s.data)
		s.addr = addr
		return err == nil
	})
}

// jetBusSays waits for a line of its log.
func (s *site) jetBusSays(t *testing.T, what string) {
	t.Helper()
	process.Eventually(t, "jet-bus to say: "+what, func() bool { return strings.Contains(s.bus.Errors(t), what) })
}

// jet runs a command of the operator, which must end well.
func (s *site) jet(t *testing.T, args ...string) string {
	t.Helper()
	out := process.Run(t, append(process.Environment(s.home), "JET_DATA="+s.data), "jet", args...)
	if out.Code != 0 {
		t.Fatalf("jet %s: exit code %d: %s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	}
	return out.Stdout
}

// stored is an event as jet events --json shows it.
type stored struct {
	Seq   uint64                     `json:"seq"`
	Event map[string]json.RawMessage `json:"event"`
	Error string                     `json:"error"`
}

// text returns an attribute as text, "" if it is missing.
func (e stored) text(name string) string {
	var s string
	if err := json.Unmarshal(e.Event[name], &s); err != nil {
		return string(e.Event[name]) // a number or a boolean
	}
	return s
}

// content returns the data as bytes.
func (e stored) content(t *testing.T) []byte {
	t.Helper()
	if in64 := e.text("data_base64"); in64 != "" {
		data, err := base64.StdEncoding.DecodeString(in64)
		must(t, err)
		return data
	}
	return e.Event["data"]
}

// events returns the stored events by sequence, from the first that is asked for.
func (s *site) events(t *testing.T, from uint64, flags ...string) map[uint64]stored {
	t.Helper()
	all := map[uint64]stored{}
	args := append([]string{"events", "--json", "--from", strconv.FormatUint(max(from, 1), 10)}, flags...)
	for line := range strings.Lines(s.jet(t, args...)) {
		var e stored
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Error != "" {
			t.Fatalf("jet events: %v %s in %s", err, e.Error, line)
		}
		all[e.Seq] = e
	}
	return all
}

// answer is what came back of a request.
type answer struct {
	status  int
	header  http.Header
	text    string
	stored  []storedAt // of a 202
	message string     // of a refusal
}

// storedAt is what a 202 says of an event.
type storedAt struct {
	ID, Source, Type string
	Seq              uint64
	Duplicate        bool
}

// post sends a request to an endpoint. The answer must be of the documented form.
func (s *site) post(t *testing.T, r request) answer {
	t.Helper()
	return s.postBy(t, s.client, r)
}

func (s *site) postBy(t *testing.T, c *http.Client, r request) answer {
	t.Helper()
	a, err := s.try(t.Context(), c, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return a
}

// try is postBy for a server that may be gone.
func (s *site) try(ctx context.Context, c *http.Client, r request) (answer, error) {
	var body io.Reader = bytes.NewReader(r.body)
	if r.chunked {
		body = io.MultiReader(body) // of which nobody knows the length
	}
	req, err := http.NewRequestWithContext(ctx, r.method, s.addr.HTTP+r.path, body)
	if err != nil {
		return answer{}, err
	}
	req.Header = r.header
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: strings.TrimSpace(string(text))}
	return a, a.parse()
}

// parse reads the answer, whose form is documented.
func (a *answer) parse() error {
	if kind := a.header.Get("Content-Type"); kind != "application/json" {
		return fmt.Errorf("the answer %d is %s: %s", a.status, kind, a.text)
	}
	switch {
	case a.status == http.StatusAccepted && strings.HasPrefix(a.text, "["):
		return json.Unmarshal([]byte(a.text), &a.stored)
	case a.status == http.StatusAccepted:
		a.stored = make([]storedAt, 1)
		return json.Unmarshal([]byte(a.text), &a.stored[0])
	case a.status >= http.StatusBadRequest:
		var refusal struct{ Error string }
		if err := json.Unmarshal([]byte(a.text), &refusal); err != nil {
			return err
		}
		if a.message = refusal.Error; a.message == "" || strings.Contains(a.message, "\n") {
			return fmt.Errorf("the refusal %d is not one sentence: %s", a.status, a.text)
		}
	}
	return nil
}
