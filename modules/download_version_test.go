package modules

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// TestDownloadAsksByETag fetches from a server that names versions and knows no
// times.
func TestDownloadAsksByETag(t *testing.T) {
	t.Parallel()
	for way, host := range ways(t) {
		if way == "wget" {
			continue // tells nothing of headers
		}
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			var version, sent atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tag := fmt.Sprintf(`"v%d"`, version.Load())
				w.Header().Set("Etag", tag)
				if r.Header.Get("If-None-Match") == tag {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				if r.Method == http.MethodGet {
					sent.Add(1)
				}
				fmt.Fprintf(w, "content %d", version.Load())
			}))
			t.Cleanup(srv.Close)
			dest := filepath.Join(t.TempDir(), "f")
			for i, want := range []struct {
				need engine.Need
				sent int32
			}{{engine.Create, 1}, {engine.Matched, 1}, {engine.Modify, 2}, {engine.Matched, 2}} {
				if i == 2 {
					version.Add(1)
				}
				m := download{URL: srv.URL + "/?secret", Dest: filePath(dest), Force: true}
				p, _, err := enact(t, &m, &engine.Host{Conn: host})
				if err != nil || p.Need != want.need || sent.Load() != want.sent {
					t.Fatalf("run %d: %v, %v, sent %d times; want %v", i, p, err, sent.Load(), want)
				}
			}
			if got := read(t, dest); got != "content 1" {
				t.Errorf("the file holds %q", got)
			}
			if kept := read(t, filepath.Join(filepath.Dir(dest), storeName)); strings.Contains(kept, "secret") {
				t.Errorf("kept %s", kept)
			}
			// A file that someone changed is fetched, whatever the server says of it.
			write(t, dest, "content X")
			m := download{URL: srv.URL + "/?secret", Dest: filePath(dest), Force: true}
			if p, _, err := enact(t, &m, &engine.Host{Conn: host}); err != nil || p.Need != engine.Modify {
				t.Errorf("a changed file: %v, %v", p, err)
			}
		})
	}
}

func TestDownloadChecksumFromList(t *testing.T) {
	t.Parallel()
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("content")))
	other := strings.Repeat("0", 64)
	var token atomic.Value
	lists := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("X-Token"))
		switch r.URL.Path {
		case "/SHA256SUMS":
			fmt.Fprintf(w, "%s  other\n%s *app.bin\n", other, sum)
		case "/renamed":
			fmt.Fprintf(w, "%s  other\n%s  f\n", other, sum)
		case "/wrong":
			fmt.Fprintf(w, "%s  app.bin\n", other)
		case "/silent":
			fmt.Fprintf(w, "%s  a\n%s  b\n", other, sum)
		case "/huge":
			fmt.Fprint(w, strings.Repeat("x", maxText+1))
		case "/app.bin":
			fmt.Fprint(w, "content")
		default:
			http.NotFound(w, r)
		}
	})
	srv, elsewhere := httptest.NewServer(lists), httptest.NewServer(lists)
	t.Cleanup(srv.Close)
	t.Cleanup(elsewhere.Close)
	cases := []struct{ list, err string }{
		{srv.URL + "/SHA256SUMS", ""},
		{srv.URL + "/renamed", ""},
		{elsewhere.URL + "/SHA256SUMS", ""},
		{srv.URL + "/wrong", "the checksum is another one"},
		{srv.URL + "/silent", "/silent: the checksum file does not speak of it"},
		{srv.URL + "/none", "/none: the server answered 404"},
		{srv.URL + "/huge", "learning the checksum from " + srv.URL + "/huge"},
	}
	for way, host := range ways(t) {
		for _, c := range cases {
			headers := map[string]string{"X-Token": "s3cret"}
			if way == "wget" {
				headers = nil // else the runner would do it
				if strings.HasSuffix(c.list, "/none") || strings.HasSuffix(c.list, "/huge") {
					continue // wget says little
				}
			}
			u, err := parseURL(c.list)
			if err != nil {
				t.Fatal(err)
			}
			dest := filepath.Join(t.TempDir(), "f")
			m := download{URL: srv.URL + "/app.bin", Dest: filePath(dest), Headers: headers, Checksum: checksumSource{url: u}}
			_, _, err = enact(t, &m, &engine.Host{Conn: host})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%s: %s: error is %v, want %q", way, c.list, err, c.err)
			}
			if err == nil {
				m = download{URL: srv.URL + "/app.bin", Dest: filePath(dest), Headers: headers, Checksum: checksumSource{url: u}}
				p, _, err := enact(t, &m, &engine.Host{Conn: host})
				if err != nil || p.Need != engine.Matched {
					t.Errorf("%s: %s: again: %v, %v", way, c.list, p, err)
				}
				if got, same := token.Load(), strings.HasPrefix(c.list, srv.URL); way != "wget" && (got == "s3cret") != same {
					t.Errorf("%s: %s was sent the header %q", way, c.list, got)
				}
			}
		}
	}
}

// cutOff is a host whose curl reaches nothing.
type cutOff struct{ conn.Conn }

func (cutOff) Run(context.Context, conn.Cmd) (conn.Output, error) {
	return conn.Output{Code: 7, Stdout: []byte("\n000"), Stderr: []byte("curl: (7) Failed to connect\n")}, nil
}

// TestDownloadHandsOver asks whether the runner fetches what the host cannot. That it
// then does is for the suite over real hosts: here both are one machine.
func TestDownloadHandsOver(t *testing.T) {
	t.Parallel()
	cases := []struct {
		via, host string
		want      bool
	}{
		{"", "192.0.2.1", true},
		{viaAuto, "localhost.example.org", true},
		{viaHost, "192.0.2.1", false},
		{"", "127.0.0.1", false},
		{"", "LOCALHOST.", false},
		{"", "x.localhost", false},
		{"", "[::1]:80", false},
		{"", "0.0.0.0", false},
	}
	for _, c := range cases {
		m := download{URL: "http://" + c.host + "/x", Via: c.via}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		_, err := m.request.onHost(t.Context(), cutOff{}, "/f")
		if err == nil || !strings.Contains(err.Error(), "the host cannot reach the server: exit status 7: curl: (7)") {
			t.Errorf("%+v: error is %v", c, err)
		}
		if got := m.handsOver(err); got != c.want {
			t.Errorf("%+v: hands over: %v", c, got)
		}
	}
}

func TestCurlOutcome(t *testing.T) {
	t.Parallel()
	const redirected = "HTTP/1.1 302 Found\r\nETag: \"old\"\r\n\r\nHTTP/1.1 200 OK\r\nEtag: \"new\"\r\nLast-Modified: x\r\n\r\n"
	cases := map[string]struct {
		out  conn.Output
		want version
		err  string
	}{
		"redirected":   {out: conn.Output{Stdout: []byte(redirected + "\n200")}, want: version{`"new"`, "x"}},
		"no headers":   {out: conn.Output{Stdout: []byte("\n200")}},
		"odd headers":  {out: conn.Output{Stdout: []byte("HTTP/1.1 200 OK\r\nnone\r\n\r\n\n200")}},
		"not modified": {out: conn.Output{Stdout: []byte("\n304")}, err: "not modified"},
		"missing":      {out: conn.Output{Code: 22, Stdout: []byte("\n404")}, err: "the server answered 404 Not Found"},
		"cut off":      {out: conn.Output{Code: 18, Stdout: []byte("\n200"), Stderr: []byte("curl: (18)")}, err: "exit status 18: curl: (18)"},
		"killed":       {out: conn.Output{Code: 137}, err: "exit status 137"},
		"slow":         {out: conn.Output{Code: 28, Stdout: []byte("\n200")}, err: "exit status 28"},
	}
	for name, c := range cases {
		headers, err := curlOutcome(c.out)
		if got := lastVersion(headers); got != c.want || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
