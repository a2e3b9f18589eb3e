package modules

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// bare is a host that lacks some programs, and notes the arguments of the others.
type bare struct {
	conn.Conn
	lacks string
	argv  *argvs
}

// argvs are the arguments of all commands, one after the other.
type argvs struct {
	mu  sync.Mutex
	all []string
}

func (a *argvs) add(argv []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, argv...)
}

func (b bare) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	if strings.Contains(b.lacks, c.Argv[0]) {
		return conn.Output{Code: 127}, nil
	}
	b.argv.add(c.Argv)
	return b.Conn.Run(ctx, c)
}

// ways returns hosts that fetch in each way that this machine can show.
func ways(t *testing.T) map[string]bare {
	t.Helper()
	all := map[string]string{"curl": "none", "wget": "curl", "runner": "curl wget"}
	out := make(map[string]bare)
	for name, lacks := range all {
		if _, err := exec.LookPath(name); err != nil && name != "runner" {
			continue
		}
		out[name] = bare{here(t), lacks, new(argvs)}
	}
	return out
}

func TestDownload(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	mux.HandleFunc("/moved", http.RedirectHandler("/file", http.StatusFound).ServeHTTP)
	mux.HandleFunc("/query", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.RawQuery) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "some")
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	sum256, sum512 := sha256.Sum256([]byte("content")), sha512.Sum512([]byte("content"))
	cases := []struct {
		name, path, before string
		m                  download
		want, err          string
	}{
		{name: "new", path: "/file", want: "content"},
		{name: "redirected", path: "/moved", want: "content"},
		{name: "kept", path: "/file", before: "old", want: "old"},
		{name: "forced", path: "/file", before: "old", m: download{Force: true}, want: "content"},
		{name: "verbatim", path: `/query?a={1,2}&b=[1-2]&c=$(x)"'&d=%20`, want: `a={1,2}&b=[1-2]&c=$(x)"'&d=%20`},
		{name: "missing", path: "/none?token=secret", err: "/none: the server answered 404 Not Found"},
		{name: "cut off", path: "/broken", before: "old", m: download{Force: true}, want: "old", err: "downloading"},
		{name: "checksum", path: "/file", before: "old", m: download{Checksum: checksumSource{sum: sum256[:]}}, want: "content"},
		{name: "long checksum", path: "/file", before: "old", m: download{Checksum: checksumSource{sum: sum512[:]}}, want: "content"},
		{name: "other checksum", path: "/query", before: "old", m: download{Checksum: checksumSource{sum: sum256[:]}}, want: "old", err: "checksum"},
		{name: "other long checksum", path: "/query", before: "old", m: download{Checksum: checksumSource{sum: sum512[:]}}, want: "old", err: "checksum"},
	}
	for way, host := range ways(t) {
		for _, c := range cases {
			t.Run(way+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				if way == "wget" && c.name == "verbatim" {
					t.Skip("wget escapes some characters")
				}
				dir := t.TempDir()
				dest := filepath.Join(dir, "it's a file")
				if c.before != "" {
					write(t, dest, c.before)
					if err := os.Chmod(dest, 0o640); err != nil {
						t.Fatal(err)
					}
				}
				m := c.m
				m.URL, m.Dest = srv.URL+c.path, filePath(dest)
				_, _, err := enact(t, &m, &engine.Host{Conn: bare{host.Conn, host.lacks, new(argvs)}})
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					if way != "wget" || err == nil { // wget says little
						t.Fatalf("error is %v, want %q", err, c.err)
					}
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("error tells a secret: %v", err)
				}
				if c.want == "" {
					dest = "none"
				} else if got := read(t, dest); got != c.want {
					t.Errorf("the file holds %q, want %q", got, c.want)
				}
				names, _ := os.ReadDir(dir)
				if (c.want != "") != (len(names) == 1) || len(names) > 1 {
					t.Errorf("the directory holds %v", names)
				}
				if info, _ := os.Stat(dest); c.before != "" && info.Mode().Perm() != 0o640 {
					t.Errorf("the mode is %v", info.Mode())
				}
				if err == nil {
					again := c.m
					again.Force = again.Force && len(again.Checksum.sum) > 0
					again.URL, again.Dest = m.URL, m.Dest
					if p, _, err := enact(t, &again, &engine.Host{Conn: host}); err != nil || p.Need != engine.Matched {
						t.Errorf("second run: %v, %v", p, err)
					}
				}
			})
		}
	}
}

func TestDownloadHeadersStayOutOfProcessLists(t *testing.T) {
	t.Parallel()
	const token = `s3"cr\et`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Token"))
	}))
	t.Cleanup(srv.Close)
	for way, host := range ways(t) {
		dest := filepath.Join(t.TempDir(), "f")
		m := download{URL: srv.URL, Dest: filePath(dest), Headers: map[string]string{"X-Token": token}}
		if _, _, err := enact(t, &m, &engine.Host{Conn: host}); err != nil {
			t.Fatal(err)
		}
		if got := read(t, dest); got != token {
			t.Errorf("%s: the header came as %q", way, got)
		}
		if strings.Contains(strings.Join(host.argv.all, " "), token) {
			t.Errorf("%s: arguments are %q", way, host.argv.all)
		}
	}
}

func TestDownloadForceAsksForNewer(t *testing.T) {
	t.Parallel()
	changed := time.Now().Add(-time.Hour)
	var sent atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			sent.Add(1)
		}
		http.ServeContent(w, r, "f", changed, strings.NewReader("content"))
	}))
	t.Cleanup(srv.Close)
	for way, host := range ways(t) {
		if way == "wget" {
			continue // asks by way of the runner
		}
		for _, via := range []string{"", viaRunner} {
			dest := filepath.Join(t.TempDir(), "f")
			write(t, dest, "content")
			m := download{URL: srv.URL, Dest: filePath(dest), Force: true, Via: via}
			if p, _, err := enact(t, &m, &engine.Host{Conn: host}); err != nil || p.Need != engine.Matched {
				t.Errorf("%s: not newer: %v, %v", way, p, err)
			}
			if err := os.Chtimes(dest, changed, changed.Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
			m = download{URL: srv.URL, Dest: filePath(dest), Force: true, Via: via}
			p, res, err := enact(t, &m, &engine.Host{Conn: host})
			if err != nil || p.Need != engine.Modify || !res.Passive {
				t.Errorf("%s: newer, with the same content: %v, %v, %v", way, p, res, err)
			}
		}
	}
	if sent.Load() == 0 {
		t.Error("nothing was fetched")
	}
}

func TestDownloadRetries(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int32{503: 3, 429: 3, 404: 1} {
		var asked atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) < 3 {
				w.WriteHeader(status)
			}
			fmt.Fprint(w, "content")
		}))
		t.Cleanup(srv.Close)
		for _, via := range []string{"", viaRunner} {
			asked.Store(0)
			m := download{URL: srv.URL, Dest: filePath(t.TempDir() + "/f"), Retries: 2, Via: via, pause: time.Millisecond}
			_, _, err := enact(t, &m, &engine.Host{Conn: ways(t)["runner"]})
			if (err == nil) != (want == 3) || asked.Load() != want {
				t.Errorf("%d: asked %d times, %v", status, asked.Load(), err)
			}
		}
	}
}

func TestDownloadTimeout(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(stop) })
	for way, host := range ways(t) {
		dir := t.TempDir()
		m := download{URL: srv.URL, Dest: filePath(dir + "/f"), Timeout: 50 * time.Millisecond}
		_, _, err := enact(t, &m, &engine.Host{Conn: host})
		if err == nil || !strings.Contains(err.Error(), "longer than the timeout of 50ms") {
			t.Errorf("%s: %v", way, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left behind: %v", way, left)
		}
	}
}

func TestDownloadOnlyViaHost(t *testing.T) {
	t.Parallel()
	m := download{URL: "http://127.0.0.1:1/x", Dest: filePath(t.TempDir() + "/f"), Via: viaHost}
	if _, _, err := enact(t, &m, &engine.Host{Conn: bare{here(t), "curl wget", nil}}); !errors.Is(err, errNoTool) {
		t.Errorf("error is %v", err)
	}
}

func TestDownloadThroughLink(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") }))
	t.Cleanup(srv.Close)
	for way, host := range ways(t) {
		dir := t.TempDir()
		if err := os.Symlink("real", dir+"/link"); err != nil {
			t.Fatal(err)
		}
		m := download{URL: srv.URL, Dest: filePath(dir + "/link"), Mode: engine.Mode{Given: true, Perm: 0o600}}
		if _, _, err := enact(t, &m, &engine.Host{Conn: host}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(dir + "/real")
		if err != nil || info.Mode() != 0o600 || read(t, dir+"/link") != "content" {
			t.Errorf("%s: %v, %v", way, info, err)
		}
	}
}
