package modules

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// asking returns hosts for each way to make a request, nil for the runner's.
func asking(t *testing.T) map[string]*bare {
	t.Helper()
	out := map[string]*bare{fromRunner: nil}
	if _, err := exec.LookPath("curl"); err == nil {
		out[fromTarget] = &bare{here(t), "none", new(argvs)}
	}
	return out
}

// echoServer answers with what it was asked, as JSON.
func echoServer(t *testing.T) *httptest.Server {
	t.Helper()
	var busy atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"method": r.Method, "body": string(body), "query": r.URL.RawQuery, "type": r.Header.Get("Content-Type"),
			"auth": r.Header.Get("Authorization"), "x": r.Header.Get("X-Odd"), "n": 3, "f": 1.5,
		})
	})
	mux.HandleFunc("/moved", http.RedirectHandler("/echo?moved", http.StatusFound).ServeHTTP)
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			fmt.Fprint(w, "HTTP/1.1 200 OK\r\n\r\nchunk\n")
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswer+1)) })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) {
		if busy.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "at last")
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	srv := echoServer(t)
	odd := "it's \"quoted\" $(touch /tmp/owned) \\ `x` ünïcode\tand a tab"
	large := strings.Repeat("0123456789abcde\n", 1<<16) // 1 MB
	short := 300 * time.Millisecond
	no := false
	echoed := func(method, body, kind string) map[string]any {
		return map[string]any{
			"method": method, "body": body, "query": "", "type": kind, "auth": "", "x": "", "n": int64(3), "f": 1.5,
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:s3cr:et \""))
	with := func(m map[string]any, k string, v any) map[string]any { m[k] = v; return m }
	cases := []struct {
		name, path string
		m          httpModule
		need       engine.Need
		status     int64
		json       any
		body, err  string
	}{
		{name: "get", path: "/echo", need: engine.Passive, status: 200, json: echoed("GET", "", "")},
		{name: "head", path: "/echo", m: httpModule{Method: "HEAD"}, need: engine.Passive, status: 200},
		{name: "post", path: "/echo", m: httpModule{Body: new("@/etc/passwd"), Headers: map[string]string{"content-type": "text/x"}}, need: engine.Execute, status: 200, json: echoed("POST", "@/etc/passwd", "text/x")},
		{name: "post nothing", path: "/echo", m: httpModule{Method: "POST"}, need: engine.Execute, status: 200, json: echoed("POST", "", "")},
		{
			name: "put json", path: "/echo", m: httpModule{Method: "PUT", JSON: map[string]any{"a": []any{int64(1), nil, odd}}}, need: engine.Execute, status: 200,
			json: echoed("PUT", mustJSON(t, map[string]any{"a": []any{1, nil, odd}}), "application/json"),
		},
		{
			name: "form", path: "/echo", m: httpModule{Form: map[string]string{"a b": "c&d", "e": "é\n"}}, need: engine.Execute, status: 200,
			json: echoed("POST", "a+b=c%26d&e=%C3%A9%0A", "application/x-www-form-urlencoded"),
		},
		{name: "large body", path: "/echo", m: httpModule{Body: &large, Headers: map[string]string{"Content-Type": "t/t"}}, need: engine.Execute, status: 200, json: echoed("POST", large, "t/t")},
		{name: "body with NUL", path: "/echo", m: httpModule{Body: new("a\x00b"), Headers: map[string]string{"Content-Type": "t/t"}}, need: engine.Execute, status: 200, json: echoed("POST", "a\x00b", "t/t")},
		{name: "get with a body", path: "/echo", m: httpModule{Method: "GET", Body: new("q"), Headers: map[string]string{"Content-Type": "t/t"}}, need: engine.Passive, status: 200, json: echoed("GET", "q", "t/t")},
		{name: "delete", path: "/echo", m: httpModule{Method: "DELETE"}, need: engine.Execute, status: 200, json: echoed("DELETE", "", "")},
		{name: "odd header", path: "/echo", m: httpModule{Headers: map[string]string{"X-Odd": odd}}, need: engine.Passive, status: 200, json: with(echoed("GET", "", ""), "x", odd)},
		{name: "token", path: "/echo", m: httpModule{Token: new("t0ken")}, need: engine.Passive, status: 200, json: with(echoed("GET", "", ""), "auth", "Bearer t0ken")},
		{name: "user", path: "/echo", m: httpModule{User: new("ann"), Password: new("s3cr:et \"")}, need: engine.Passive, status: 200, json: with(echoed("GET", "", ""), "auth", basic)},
		{name: "query", path: "/echo?a={1,2}&b=[1-2]&c=%20'$(x)", need: engine.Passive, status: 200, json: with(echoed("GET", "", ""), "query", "a={1,2}&b=[1-2]&c=%20'$(x)")},
		{name: "query with blanks", path: "/echo?a=b c", need: engine.Passive, status: 200, json: with(echoed("GET", "", ""), "query", "a=b%20c")},
		{name: "redirected", path: "/moved", need: engine.Passive, status: 200, json: with(echoed("GET", "", ""), "query", "moved")},
		{name: "not followed", path: "/moved", m: httpModule{Follow: &no, Status: statusList{302}}, need: engine.Passive, status: 302, body: "<a href=\"/echo?moved\">Found</a>.\n\n"},
		{name: "redirected in a circle", path: "/loop", need: engine.Passive, err: "/loop: "},
		{name: "chunks that look like answers", path: "/chunks", m: httpModule{Search: pattern{regexp.MustCompile("(?m)^chunk$")}}, need: engine.Passive, status: 200, body: strings.Repeat("HTTP/1.1 200 OK\r\n\r\nchunk\n", 3)},
		{name: "too large", path: "/large", need: engine.Passive, err: "/large: "},
		{name: "empty", path: "/empty", need: engine.Passive, status: 204},
		{name: "other status", path: "/none?token=s3cret", need: engine.Passive, status: 404, body: "404 page not found\n", err: "/none: the server answered 404 Not Found"},
		{name: "expected status", path: "/none", m: httpModule{Status: statusList{200, 404}}, need: engine.Passive, status: 404, body: "404 page not found\n"},
		{name: "no match", path: "/none", m: httpModule{Status: statusList{404}, Search: pattern{regexp.MustCompile("^welcome")}, Retries: 5}, need: engine.Passive, status: 404, body: "404 page not found\n", err: "does not match search"},
		{name: "slow", path: "/slow", m: httpModule{Timeout: &short}, need: engine.Passive, err: "it took longer than the timeout of 300ms"},
		{name: "nobody there", path: "", need: engine.Passive, err: "127.0.0.1"},
	}
	for way, host := range asking(t) {
		for _, c := range cases {
			t.Run(way+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				m, h := c.m, &engine.Host{}
				m.URL, m.From = srv.URL+c.path, way
				if c.path == "" {
					m.URL = "http://127.0.0.1:1/"
				}
				if host != nil {
					h.Conn = bare{host.Conn, host.lacks, host.argv}
				}
				p, r, err := enact(t, &m, h)
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Fatalf("got error %v, want %q", err, c.err)
				}
				if err != nil && strings.Contains(err.Error(), "s3cret") {
					t.Errorf("the error tells a secret: %v", err)
				}
				if p.Need != c.need {
					t.Errorf("need %v, want %v", p.Need, c.need)
				}
				if c.status == 0 {
					if r.Data != nil {
						t.Errorf("got %v of no answer", r.Data)
					}
					return
				}
				if r.Data["status"] != c.status {
					t.Errorf("status %v, want %d", r.Data["status"], c.status)
				}
				if diff := cmp.Diff(c.json, r.Data["json"]); diff != "" {
					t.Errorf("json, -want +got:\n%s", diff)
				}
				if body := r.Data["body"]; c.json == nil && body != c.body {
					t.Errorf("body %q, want %q", body, c.body)
				}
				if two := r.Data["headers"].(map[string]any)["x-two"]; strings.HasPrefix(c.path, "/echo") && two != "a, b" {
					t.Errorf("header x-two is %v", two)
				}
			})
		}
	}
	t.Run("no secret is on a command line", func(t *testing.T) {
		t.Parallel()
		host := asking(t)[fromTarget]
		if host == nil {
			conntest.Missing(t, "needs curl")
		}
		m := httpModule{URL: srv.URL + "/echo", From: fromTarget, Token: new("t0ken"), Body: new("s3cret")}
		if _, _, err := enact(t, &m, &engine.Host{Conn: *host}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(host.argv.all, " "); got != "curl -q -K -" {
			t.Errorf("ran %q", got)
		}
	})
}

// TestRedirected has a server redirect to another one, and in a circle.
func TestRedirected(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-Key"), r.Header.Get("Accept-Language"))
	})
	other := httptest.NewServer(echo)
	t.Cleanup(other.Close)
	mux := http.NewServeMux()
	mux.Handle("/echo", echo)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		to := other.URL
		if n, err := strconv.Atoi(r.URL.Path[1:]); err == nil {
			to = "/echo"
			if n > 1 {
				to = "/" + strconv.Itoa(n-1)
			}
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	for path, want := range map[string]string{
		"/away": "k", "/1": "Bearer s3cretcxk", "/10": "Bearer s3cretcxk", "/11": "",
	} {
		m := httpModule{URL: srv.URL + path, Token: new("s3cret"), Headers: map[string]string{"Cookie": "c", "X-Key": "x", "Accept-Language": "k"}}
		_, r, err := enact(t, &m, &engine.Host{})
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "more than 10 redirections") {
				t.Errorf("%s: error is %v", path, err)
			}
			continue
		}
		if err != nil || r.Data["body"] != want {
			t.Errorf("%s: %v, %v; want %q", path, r.Data["body"], err, want)
		}
	}
	to := httptest.NewRequest("GET", "http://a/", nil)
	to.Header.Set("Authorization", "Bearer s3cret")
	err := redirected(to, []*http.Request{httptest.NewRequest("GET", "https://a/", nil)})
	if err != nil || to.Header.Get("Authorization") != "" {
		t.Errorf("without encryption: %v, %v", to.Header, err)
	}
}

func TestHTTPRetries(t *testing.T) {
	t.Parallel()
	srv := echoServer(t)
	for _, c := range []struct {
		retries uint
		err     string
	}{{2, ""}, {1, "503 Service Unavailable"}} {
		m := httpModule{URL: srv.URL + "/busy", Retries: c.retries, pause: time.Millisecond}
		_, r, err := enact(t, &m, &engine.Host{})
		if c.err == "" && (err != nil || r.Data["body"] != "at last") || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("with %d retries: %v, %v, want %q", c.retries, r.Data, err, c.err)
		}
	}
	m := httpModule{URL: "http://127.0.0.1:1/", From: fromTarget, Retries: 3}
	if _, _, err := enact(t, &m, &engine.Host{Conn: bare{here(t), "curl", nil}}); err == nil || !strings.Contains(err.Error(), "the host has no curl") {
		t.Errorf("without curl: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("stopped"))
	m = httpModule{URL: srv.URL + "/slow"}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Apply(ctx, &engine.Host{}, engine.Plan{}); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("stopped: %v", err)
	}
}

func TestHTTPRefuses(t *testing.T) {
	t.Parallel()
	zero := time.Duration(0)
	for name, c := range map[string]struct {
		m    httpModule
		want string
	}{
		"scheme":        {httpModule{URL: "file:///etc/passwd"}, "must begin with http://"},
		"secret in it":  {httpModule{URL: "http://ann:s3/cret@web1/"}, "url cannot be understood; in its user"},
		"port":          {httpModule{URL: "http://web1:x/"}, `invalid port ":x"`},
		"header":        {httpModule{Headers: map[string]string{"A": "b\r\nC: d"}}, "more than one line"},
		"header name":   {httpModule{Headers: map[string]string{"A: b": "c"}}, "cannot name a header"},
		"from":          {httpModule{From: "moon"}, "from must be"},
		"two bodies":    {httpModule{Body: new("a"), JSON: 1}, "exclude each other"},
		"no password":   {httpModule{User: new("a")}, "go together"},
		"colon":         {httpModule{User: new("a:b"), Password: new("c")}, "colon"},
		"two ways":      {httpModule{User: new("a"), Password: new("c"), Token: new("t")}, "token and user"},
		"header too":    {httpModule{Headers: map[string]string{"authorization": "x"}, Token: new("t")}, "two ways"},
		"token":         {httpModule{Token: new("a\r\nX: y")}, "what a token cannot hold"},
		"head and body": {httpModule{Method: "HEAD", Body: new("a")}, "HEAD sends nothing"},
		"timeout":       {httpModule{Timeout: &zero}, "more than nothing"},
	} {
		if c.m.URL == "" {
			c.m.URL = "http://web1/"
		}
		if err := c.m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\n0"))
	f.Add([]byte("HTTP/1.1 302 Found\r\n\r\nHTTP/2 100\r\n\r\nHTTP/2 204\n\n\n1"))
	f.Add([]byte("HTTP/1.1 200\n\n\n-1"))
	f.Fuzz(func(t *testing.T, printed []byte) {
		r, err := readReply(printed)
		if err != nil {
			return
		}
		end := bytes.LastIndexByte(printed, '\n')
		if !bytes.HasSuffix(printed[:end], r.body) {
			t.Errorf("the body %q is not the end of %q", r.body, printed)
		}
		_ = r.data()
	})
}
