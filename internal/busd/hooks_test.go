package busd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// put writes a file for its owner only, in one step.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".tmp", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		t.Fatal(err)
	}
}

// status posts an event to a hook, and returns the status of the answer.
func status(t *testing.T, c *http.Client, base, hook string, key []byte) int {
	t.Helper()
	h := webhook.Sign(webhook.CloudEvents, key, []byte(event))
	h.Set("Content-Type", "application/cloudevents+json")
	code, _ := do(t, c, http.MethodPost, base+"/hooks/"+hook, h, event)
	return code
}

// The webhooks file is taken over when it appears, when it changes and when a secret that
// it names changes; as a whole, and not while it has faults.
func TestHooksReload(t *testing.T) {
	t.Parallel()
	o := options(t)
	var log lockedText
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	o.HooksFile, o.HooksOptional = filepath.Join(o.Data, "hooks.yml"), true
	p, _ := run(t, o)
	c := client(t, nil)
	key, next := []byte("a secret of sixteen"), []byte("its successor is here")
	const one = "hooks:\n- {name: one, kind: cloudevents, secret_files: [one.secret]}\n"
	is := func(what, hook string, key []byte, want int) {
		t.Helper()
		eventually(t, what, func() bool { return status(t, c, p.Addr.HTTP, hook, key) == want })
	}

	if code := status(t, c, p.Addr.HTTP, "one", key); code != http.StatusNotFound {
		t.Fatalf("before there is a file: %d", code)
	}
	put(t, filepath.Join(o.Data, "one.secret"), string(key)+"\n")
	put(t, o.HooksFile, one)
	is("a file that appears is taken", "one", key, http.StatusAccepted)
	if code := status(t, c, p.Addr.HTTP, "ci", secret); code != http.StatusAccepted {
		t.Errorf("a hook that is not of the file: %d", code)
	}

	// Faulty: told once, and the hooks before stay, also after a secret is mended that
	// only the faulty file names.
	if err := os.WriteFile(filepath.Join(o.Data, "two.secret"), next, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(o.Data, "two.secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	put(t, o.HooksFile, one+"- {name: two, kind: cloudevents, secret_files: [two.secret]}\n")
	eventually(t, "the fault is told", func() bool { return strings.Contains(log.String(), "two.secret can be read by others; chmod 600 it") })
	if code := status(t, c, p.Addr.HTTP, "one", key); code != http.StatusAccepted {
		t.Errorf("with faults in the file: %d", code)
	}
	refused := func() bool {
		all, err := intake.States(t.Context(), p.Bus)
		return err == nil && slices.ContainsFunc(all, func(s intake.State) bool {
			return s.Title() == "webhook hooks.yml" && s.State == intake.Failing && strings.Contains(s.Error, "two.secret can be read by others")
		})
	}
	eventually(t, "whoever asks how webhooks fare is told", refused)
	if err := os.Chmod(filepath.Join(o.Data, "two.secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	is("what was mended is taken", "two", next, http.StatusAccepted)
	eventually(t, "that is not told any more", func() bool { return !refused() })

	put(t, filepath.Join(o.Data, "one.secret"), string(next)+"\n")
	is("a new secret is taken", "one", next, http.StatusAccepted)
	if code := status(t, c, p.Addr.HTTP, "one", key); code != http.StatusUnauthorized {
		t.Errorf("the old secret: %d", code)
	}

	// Gone: the hooks stay, as that may be an editor at work.
	if err := os.Remove(o.HooksFile); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that is told", func() bool {
		return strings.Contains(log.String(), "is gone; if there are to be no webhooks, write hooks: []")
	})
	if code := status(t, c, p.Addr.HTTP, "one", next); code != http.StatusAccepted {
		t.Errorf("with the file gone: %d", code)
	}
	put(t, o.HooksFile, "hooks: []\n")
	is("no hooks are taken", "one", next, http.StatusNotFound)
	if n := strings.Count(log.String(), "webhooks not reloaded"); n != 2 {
		t.Errorf("told %d times what was wrong\n%s", n, log.String())
	}
	if strings.Contains(log.String(), string(key)) || strings.Contains(log.String(), string(next)) {
		t.Error("the log tells a secret")
	}
}

// The hook that has content looked at goes on doing so after a reload, and a file without
// it is refused.
func TestHooksReloadKeepsGitHook(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	o := u.options()
	var log lockedText
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	dir := tree(t, map[string]string{
		"hooks.yml": "hooks: [{name: content, kind: cloudevents, secret_files: [a.secret]}]", "a.secret": string(secret),
	})
	o.Git.Every, o.Git.Hook = 0, "content"
	o.HooksFile = filepath.Join(dir, "hooks.yml")
	p, _ := run(t, o)
	c := client(t, nil)
	put(t, o.HooksFile, "hooks: [{name: other, kind: cloudevents, secret_files: [a.secret]}]")
	p.reloadHooks(false)
	if !strings.Contains(log.String(), `there is no webhook \"content\" in the webhooks file`) {
		t.Errorf("a file without the hook is taken\n%s", log.String())
	}
	put(t, o.HooksFile, "hooks: [{name: content, kind: cloudevents, secret_files: [a.secret], burst: 7}, {name: other, kind: cloudevents, secret_files: [a.secret]}]")
	p.reloadHooks(false)
	u.push("second")
	if code := status(t, c, p.Addr.HTTP, "other", secret); code != http.StatusAccepted {
		t.Fatal(code)
	}
	if n := len(p.contents.pull); n != 0 {
		t.Error("another hook has content looked at")
	}
	if code := status(t, c, p.Addr.HTTP, "content", secret); code != http.StatusAccepted {
		t.Fatal(code)
	}
	eventually(t, "the second commit is in force", func() bool { return p.ruleInForce() == "second" })
	if health := p.receiver.Health(); len(health) != 3 || health[1].Name != "content" || health[1].Duplicate != 1 {
		t.Errorf("health %+v", health)
	}
}

// Certificates are asked for while a hook takes some, and only shown to that.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	o := options(t)
	var pool *x509.CertPool
	o.TLSCert, o.TLSKey, pool = certificate(t)
	ca, err := os.ReadFile(o.TLSCert)
	if err != nil {
		t.Fatal(err)
	}
	// The test's certificate is its own authority, and good for clients too.
	dir := tree(t, map[string]string{"hooks.yml": "hooks: []", "ca.pem": string(ca)})
	o.HooksFile = filepath.Join(dir, "hooks.yml")
	p, _ := run(t, o)
	pair, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	conf := &tls.Config{
		RootCAs: pool, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked++
			return &pair, nil
		},
	}
	with, without := client(t, conf), client(t, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	if code := status(t, with, p.Addr.HTTP, "ci", secret); code != http.StatusAccepted || asked != 0 {
		t.Errorf("without such a hook: %d, asked %d times", code, asked)
	}
	put(t, o.HooksFile, "hooks: [{name: partner, kind: cloudevents, client_certificates: {ca_file: ca.pem}}]")
	p.reloadHooks(false)
	for range 2 { // the second time with whatever the first session left
		if code := status(t, with, p.Addr.HTTP, "partner", []byte("no token")); code != http.StatusAccepted {
			t.Errorf("with a certificate: %d", code)
		}
	}
	if code := status(t, without, p.Addr.HTTP, "partner", secret); code != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d", code)
	}
	if code := status(t, without, p.Addr.HTTP, "ci", secret); code != http.StatusAccepted {
		t.Errorf("a hook that wants none: %d", code)
	}
}

// When all connections are taken, the one that has owed a request for longest goes, and
// none that is being served.
func TestGuard(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(listener, 4)
	working, finish := make(chan struct{}), make(chan struct{})
	srv := &http.Server{ReadHeaderTimeout: readHeaderTimeout, ConnContext: g.remember, Handler: g.watch(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			working <- struct{}{}
			<-finish
		}
		if r.URL.Path == "/read" {
			_, err := r.Body.Read(make([]byte, 100))
			for err == nil {
				_, err = r.Body.Read(make([]byte, 100))
			}
		}
		_, _ = w.Write([]byte("done"))
	}))}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(g) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	dial := func(text string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	waiting := func(open, owing int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d open, %d owing", open, owing), func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.open == open && g.waiting.Len() == owing
		})
	}
	get := func() {
		t.Helper()
		c := client(t, nil)
		if code, text := do(t, c, http.MethodPost, "http://"+listener.Addr().String()+"/read", nil, "body"); code != http.StatusOK || text != "done" {
			t.Errorf("%d %s", code, text)
		}
	}
	dial("POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	<-working
	waiting(1, 0)
	header := dial("POST /read HTTP/1.1\r\nHost: a\r\nX-Sl")
	waiting(2, 1)
	body := dial("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
	waiting(3, 2)
	silent := dial("")
	waiting(4, 3)
	// The three who are slow go in their turn, as often as room is needed.
	for _, slow := range []net.Conn{header, body, silent} {
		get()
		if _, err := slow.Read(make([]byte, 1)); err == nil {
			t.Error("a connection that is slow is answered")
		}
		eventually(t, "one more that is slow", func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.open == 3
		})
		dial("")
		waiting(4, 3)
	}
	close(finish)
	waiting(4, 4)
}

// When all connections are being served, one more waits for the first that ends.
func TestGuardAtWork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(listener, 1)
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	conn, err := g.Accept()
	if err != nil {
		t.Fatal(err)
	}
	first, ok := conn.(*guarded)
	if !ok {
		t.Fatal("not guarded")
	}
	first.complete()
	dial()
	accepted := make(chan error, 1)
	go func() {
		_, err := g.Accept()
		accepted <- err
	}()
	select {
	case err := <-accepted:
		t.Fatalf("let in beside the one at work: %v", err)
	case <-time.After(50 * time.Millisecond): // it is not to come
	}
	if err := errors.Join(first.Close(), <-accepted); err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // twice does no harm
	if g.open != 1 {
		t.Errorf("%d are open", g.open)
	}
	g.waiting.Front().Value.(*guarded).complete()
	dial()
	go func() {
		_, err := g.Accept()
		accepted <- err
	}()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
