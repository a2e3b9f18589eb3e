package busd

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

var secret = []byte("0123456789abcdef")

// good is a content directory with one rule.
func good(t *testing.T) string {
	t.Helper()
	return tree(t, map[string]string{
		"rules/a.yml":          "rules:\n  - name: hello\n    on: [com.example.*]\n    run: {playbook: p.yml}\n",
		"p.yml":                "- name: p\n  groups: [web]\n  tasks:\n    - !echo\n      msg: hello\n",
		"inventory/groups/web": "hosts: [localhost]\n",
	})
}

// options are those of a bus of the test's own.
func options(t *testing.T) Options {
	t.Helper()
	return Options{
		Data: filepath.Join(t.TempDir(), "data"), Content: good(t), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0",
		Sync: busserver.Process, Hooks: []webhook.Hook{{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{secret}}},
	}
}

// run starts a bus that works until the test ends or stop is called.
func run(t *testing.T, o Options) (p *Process, stop func()) {
	t.Helper()
	p, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("jet-bus: %v", err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

// client is one that leaves no connection behind.
func client(t *testing.T, conf *tls.Config) *http.Client {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: conf}, Timeout: 20 * time.Second}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func do(t *testing.T, c *http.Client, method, url string, header http.Header, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const event = `{"specversion":"1.0","id":"e1","source":"/ci","type":"com.example.built","data":{"n":1}}`

// post sends an event as a sender that holds the key.
func post(t *testing.T, c *http.Client, base string, key []byte, body string) (int, string) {
	t.Helper()
	h := webhook.Sign(webhook.CloudEvents, key, []byte(body))
	h.Set("Content-Type", "application/cloudevents+json")
	return do(t, c, http.MethodPost, base+"/hooks/ci", h, body)
}

// ended waits for the end of the job of an event.
func ended(t *testing.T, p *Process, source, id string) queue.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for r, err := range p.Queue.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.Source == source && r.Event.ID == id && r.State.Terminal() {
			return r.Job
		}
	}
	t.Fatalf("no job of event %s ended", id)
	return queue.Job{}
}

func TestWebhookToResult(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Runner = &RunnerOptions{Dialer: local.Dialer{}}
	p, stop := run(t, o)
	c := client(t, nil)

	if code, text := do(t, c, http.MethodGet, p.Addr.HTTP+"/healthz", nil, ""); code != http.StatusOK || text != "ok\n" {
		t.Errorf("healthz: %d %s", code, text)
	}
	if code, text := post(t, c, p.Addr.HTTP, []byte("another secret!!"), event); code != http.StatusUnauthorized {
		t.Errorf("with another secret: %d %s", code, text)
	}
	if code, text := do(t, c, http.MethodPost, p.Addr.HTTP+"/hooks/none", nil, event); code != http.StatusNotFound {
		t.Errorf("another hook: %d %s", code, text)
	}
	forged := strings.Replace(event, "com.example.built", "dev.jet-bus.job.failed.v1", 1)
	if code, text := post(t, c, p.Addr.HTTP, secret, forged); code != http.StatusForbidden {
		t.Errorf("a type of ours: %d %s", code, text)
	}
	large := strings.Replace(event, `{"n":1}`, `"`+strings.Repeat("x", webhook.MaxEvent)+`"`, 1)
	if code, text := post(t, c, p.Addr.HTTP, secret, large); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large event: %d %s", code, text)
	}
	for range 2 { // the sender may send it again
		if code, text := post(t, c, p.Addr.HTTP, secret, event); code != http.StatusAccepted {
			t.Errorf("an event: %d %s", code, text)
		}
	}
	if j := ended(t, p, "/ci", "e1"); j.State != queue.Succeeded || j.Rule != "hello" || j.Results != 1 || j.Runner != "jet-bus" {
		t.Errorf("job %+v", j)
	}
	if jobs, err := p.Queue.List(t.Context(), queue.ListOptions{}); err != nil || len(jobs) != 1 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	if code, page := do(t, c, http.MethodGet, p.Addr.HTTP+"/", nil, ""); code != http.StatusOK || !strings.Contains(page, "com.example.built") {
		t.Errorf("status page: %d\n%s", code, page)
	}

	// All is there after a restart, and the event still makes no second job.
	stop()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(p.Addr.HTTP, "http://")); err == nil {
		_ = conn.Close()
		t.Error("the port is open after the end")
	}
	p, _ = run(t, o)
	if code, _ := post(t, c, p.Addr.HTTP, secret, event); code != http.StatusAccepted {
		t.Errorf("the event after a restart: %d", code)
	}
	later := strings.Replace(event, "e1", "e2", 1)
	if code, _ := post(t, c, p.Addr.HTTP, secret, later); code != http.StatusAccepted {
		t.Errorf("an event after a restart: %d", code)
	}
	ended(t, p, "/ci", "e2")
	if jobs, err := p.Queue.List(t.Context(), queue.ListOptions{}); err != nil || len(jobs) != 2 {
		t.Errorf("%d jobs after a restart, want 2, %v", len(jobs), err)
	}
}

// An event that cannot be stored is not taken in.
func TestWebhookWithoutStore(t *testing.T) {
	t.Parallel()
	p, _ := run(t, options(t))
	s, err := p.Bus.JS.Stream(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	conf := s.CachedInfo().Config
	conf.MaxBytes = 10
	if _, err := p.Bus.JS.UpdateStream(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	code, text := post(t, client(t, nil), p.Addr.HTTP, secret, event)
	if code != http.StatusServiceUnavailable || strings.Contains(text, "nats") {
		t.Errorf("a full store: %d %s", code, text)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	rules := func(t *testing.T, text string) string {
		return tree(t, map[string]string{"rules/a.yml": text, "inventory/x": "", "p.yml": ""})
	}
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, o *Options)
		want   []string
		wrote  bool // the data directory may have been made
	}{
		{"no content", func(_ *testing.T, o *Options) { o.Content = "/nowhere" }, []string{"read content: stat /nowhere: no such file or directory"}, false},
		{"content is a file", func(_ *testing.T, o *Options) { o.Content = filepath.Join(o.Content, "p.yml") }, []string{"p.yml is not a directory"}, false},
		{"no rules", func(t *testing.T, o *Options) { o.Content = tree(t, map[string]string{"p.yml": ""}) }, []string{"reading rules from rules: "}, false},
		{
			"bad rules",
			func(t *testing.T, o *Options) {
				o.Content = rules(t, "rules:\n  - name: a\n    on: [x]\n    conditoin: x\n    run: {playbook: p.yml}\n  - name: a\n    on: [x]\n    run: {playbook: p.yml}\n")
			},
			[]string{`rules/a.yml:4:5: unknown key "conditoin"`, `rules/a.yml:6:11: duplicate rule name "a"`},
			false,
		},
		{
			"no playbook",
			func(t *testing.T, o *Options) {
				o.Content = rules(t, "rules:\n  - name: a\n    on: [x]\n    run: {playbook: q.yml}\n")
			},
			[]string{`rules/a.yml:2:5: rule a: q.yml is not in the content directory`},
			false,
		},
		{
			"webhooks for everybody", func(_ *testing.T, o *Options) { o.HTTP = "0.0.0.0:0" },
			[]string{"webhooks on 0.0.0.0:0 could be reached from other machines without TLS; give --tls-cert and --tls-key, or --insecure to insist"},
			false,
		},
		{"bus for everybody", func(_ *testing.T, o *Options) { o.Listen = "0.0.0.0:0" }, []string{"0.0.0.0 can be reached from other machines: that needs TLS"}, false},
		{"half of TLS", func(_ *testing.T, o *Options) { o.TLSCert = "/nowhere/cert.pem" }, []string{"TLS needs a certificate and a key"}, false},
		{"bus port in use", func(_ *testing.T, o *Options) { o.Listen = busy.Addr().String() }, []string{"port " + port + " on 127.0.0.1 is in use by another program"}, true},
		{"HTTP port in use", func(_ *testing.T, o *Options) { o.HTTP = busy.Addr().String() }, []string{"listen for webhooks: listen tcp " + busy.Addr().String()}, true},
		{
			"hook without a secret", func(_ *testing.T, o *Options) { o.Hooks = []webhook.Hook{{Name: "a", Kind: webhook.GitHub}} },
			[]string{`webhook "a": it has no secret`},
			true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			tc.change(t, &o)
			p, err := Start(t.Context(), o)
			if err == nil {
				p.close(t.Context())
				t.Fatal("started")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %s", err, want)
				}
			}
			if _, err := os.Stat(o.Data); !tc.wrote && !os.IsNotExist(err) {
				t.Errorf("the data directory was made: %v", err)
			}
			if _, err := access.ReadAddress(o.Data); err == nil {
				t.Error("an address was written")
			}
			// Nothing holds the directory: the next start with it works.
			sound := options(t)
			sound.Data = o.Data
			if p, err := Start(t.Context(), sound); err != nil {
				t.Errorf("start after it: %v", err)
			} else {
				p.close(t.Context())
			}
		})
	}
}

func TestDataDirectoryInUse(t *testing.T) {
	t.Parallel()
	o := options(t)
	run(t, o)
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is used by another jet-bus") {
		t.Errorf("got %v", err)
	}
	if a, err := access.ReadAddress(o.Data); err != nil || a.Bus == "" {
		t.Errorf("the address of the first is gone: %v", err)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Runner = &RunnerOptions{Dialer: local.Dialer{}}
	p, _ := run(t, o)
	c := client(t, nil)
	send := func(id string) queue.Job {
		t.Helper()
		if code, text := post(t, c, p.Addr.HTTP, secret, strings.Replace(event, "e1", id, 1)); code != http.StatusAccepted {
			t.Fatalf("%d %s", code, text)
		}
		return ended(t, p, "/ci", id)
	}
	change := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Content, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rule := func(name string) string {
		return "rules:\n  - name: " + name + "\n    on: [com.example.*]\n    run: {playbook: p.yml}\n"
	}
	if j := send("e1"); j.Rule != "hello" {
		t.Errorf("rule %s", j.Rule)
	}
	change("rules/a.yml", rule("bad name"))
	if err := p.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "rules/a.yml:2:11: ") {
		t.Errorf("a bad set: %v", err)
	}
	if j := send("e2"); j.Rule != "hello" || j.State != queue.Succeeded {
		t.Errorf("after a bad set: rule %s, %s", j.Rule, j.State)
	}
	change("rules/a.yml", rule("better"))
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := send("e3")
	// A playbook of the same rules is content as well.
	change("p.yml", "- name: p\n  groups: [web]\n  tasks:\n    - !fail\n      msg: as asked\n")
	if j := send("e4"); j.Rule != "better" || j.State != queue.Succeeded || j.Bundle != first.Bundle {
		t.Errorf("content that was not reloaded is used: %+v", j)
	}
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j := send("e5"); j.State != queue.Failed || j.RuleSet != first.RuleSet {
		t.Errorf("the new playbook is not used: %+v", j)
	}
	if all, err := dispatch.Activations(t.Context(), p.Bus); err != nil || len(all) != 3 {
		t.Errorf("%d activations, want 3: %v", len(all), err)
	}
}

// Over TLS, and beyond loopback, there is no status page: it asks for no login.
func TestTLS(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Listen, o.HTTP = "0.0.0.0:0", "0.0.0.0:0"
	var pool *x509.CertPool
	o.TLSCert, o.TLSKey, pool = certificate(t)
	p, _ := run(t, o)
	if !strings.HasPrefix(p.Addr.Bus, "tls://127.0.0.1:") || !strings.HasPrefix(p.Addr.HTTP, "https://") {
		t.Fatalf("addresses %+v", p.Addr)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.Addr.HTTP, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	base, c := "https://127.0.0.1:"+port, client(t, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	if code, text := post(t, c, base, secret, event); code != http.StatusAccepted {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := do(t, c, http.MethodGet, base+"/", nil, ""); code != http.StatusNotFound {
		t.Errorf("status page: %d", code)
	}
	if code, _ := do(t, c, http.MethodGet, base+"/healthz", nil, ""); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	b, err := bus.Connect(t.Context(), bus.Options{URL: p.Addr.Bus, CredsFile: access.CredsFile(o.Data, "viewer"), RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// certificate makes one for 127.0.0.1.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := tree(t, map[string]string{
		"cert.pem": string(public), "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), pool
}

// What a process logs tells no secret.
func TestLogTellsNoSecret(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var out bytes.Buffer
	o := options(t)
	o.Logger = slog.New(slog.NewJSONHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	p, stop := run(t, o)
	post(t, client(t, nil), p.Addr.HTTP, secret, event)
	post(t, client(t, nil), p.Addr.HTTP, []byte("another secret!!"), event)
	stop()
	text := out.String()
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if !strings.Contains(text, "jet-bus is ready") {
		t.Errorf("nothing of interest in the log\n%s", text)
	}
	for _, s := range []string{string(secret), "another secret", "SUA", "BEGIN USER NKEY SEED", "eyJ0eXAi"} {
		if strings.Contains(text, s) {
			t.Errorf("the log tells %q\n%s", s, text)
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
