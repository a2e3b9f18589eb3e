package webhook_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// authority issues certificates.
type authority struct {
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a certificate for a use and names, until a time.
func (a authority) issue(t *testing.T, use x509.ExtKeyUsage, until time.Time, name string, dns ...string) *x509.Certificate {
	t.Helper()
	form := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: dns, NotBefore: time.Now().Add(-2 * time.Hour),
		NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A certificate counts only if the hook's own authorities issued it, for clients, for now,
// and for a name that the hook takes.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	hook := webhook.Hook{
		Name: "partner", Kind: webhook.CloudEvents, Clients: &webhook.Clients{CAs: ours.pool, Names: []string{"*.partner.example", "build"}},
	}
	both := hook
	both.Name, both.Secrets = "both", [][]byte{[]byte(secret)}
	h, err := webhook.New([]webhook.Hook{hook, both}, &store{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !h.WantCertificates() {
		t.Error("no certificates are wanted")
	}
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	for name, tc := range map[string]struct {
		cert *x509.Certificate
		want int
	}{
		"by DNS name":       {ours.issue(t, client, soon, "x", "a.partner.example"), 202},
		"by common name":    {ours.issue(t, client, soon, "Build"), 202},
		"DNS name aside":    {ours.issue(t, client, soon, "a.partner.example", "a.other.example"), 401},
		"deeper name":       {ours.issue(t, client, soon, "x", "a.b.partner.example"), 401},
		"the name's end":    {ours.issue(t, client, soon, "partner.example"), 401},
		"another name":      {ours.issue(t, client, soon, "x", "partner.example.evil"), 401},
		"of others":         {others.issue(t, client, soon, "x", "a.partner.example"), 401},
		"of a server":       {ours.issue(t, server, soon, "x", "a.partner.example"), 401},
		"expired":           {ours.issue(t, client, past, "x", "a.partner.example"), 401},
		"the authority":     {ours.cert, 401},
		"none":              {nil, 401},
		"token in its name": {ours.issue(t, client, soon, secret), 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, hook := range []string{"partner", "both"} {
				for token, want := range map[string]int{"": tc.want, secret: tc.want, "wrong " + secret: tc.want} {
					if hook == "both" && token == secret {
						want = 202
					}
					body := fmt.Sprintf(`{"specversion":"1.0","id":"%s %s %s","source":"/p","type":"com.example.p"}`, name, hook, token)
					r := httptest.NewRequest(http.MethodPost, "/hooks/"+hook, strings.NewReader(body))
					r.Header.Set("Content-Type", "application/cloudevents+json")
					if token != "" {
						r.Header.Set("Authorization", "Bearer "+token)
					}
					r.TLS = &tls.ConnectionState{}
					if tc.cert != nil {
						r.TLS.PeerCertificates = []*x509.Certificate{tc.cert}
					}
					if status, answer, _ := do(h, r); status != want {
						t.Errorf("%s, token %q: %d %v, want %d", hook, token, status, answer, want)
					}
				}
			}
		})
	}
}

// The address that counts is the rightmost which is no proxy's; what a stranger says of
// himself counts for nothing.
func TestAllow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		peer  string
		told  []string
		allow bool
	}{
		"itself":                   {"192.0.2.7:1234", nil, true},
		"mapped into IPv6":         {"[::ffff:192.0.2.7]:1234", nil, true},
		"another":                  {"198.51.100.7:1234", nil, false},
		"a stranger who lies":      {"198.51.100.7:1234", []string{"192.0.2.7"}, false},
		"by a proxy":               {"127.0.0.1:1", []string{"192.0.2.7"}, true},
		"by a proxy with a port":   {"127.0.0.1:1", []string{"192.0.2.7:55"}, true},
		"by two proxies":           {"127.0.0.1:1", []string{"192.0.2.7, 10.9.9.9"}, true},
		"in two headers":           {"127.0.0.1:1", []string{"198.51.100.7, 192.0.2.7", " 10.9.9.9"}, true},
		"a lie by a proxy":         {"127.0.0.1:1", []string{"192.0.2.7, 198.51.100.7"}, false},
		"nonsense by a proxy":      {"127.0.0.1:1", []string{"192.0.2.7, unknown"}, false},
		"only proxies":             {"127.0.0.1:1", []string{"10.1.1.1"}, false},
		"a proxy that says naught": {"127.0.0.1:1", nil, false},
		"no address":               {"@", nil, false},
		"IPv6":                     {"[2001:db8::1]:1", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook := webhook.Hook{
				Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)},
				Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			}
			h, err := webhook.New(nil, &store{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
			if err := h.Use([]webhook.Hook{hook}, proxies); err != nil {
				t.Fatal(err)
			}
			r := event("ci", "1")
			r.RemoteAddr = tc.peer
			r.Header["X-Forwarded-For"] = tc.told
			want := 403
			if tc.allow {
				want = 202
			}
			if status, answer, _ := do(h, r); status != want {
				t.Errorf("%d %v, want %d", status, answer, want)
			}
		})
	}
}

// event is a request with an event for a hook of kind CloudEvents.
func event(hook, id string) *http.Request {
	body := `{"specversion":"1.0","id":"` + id + `","source":"/p","type":"com.example.p"}`
	r := httptest.NewRequest(http.MethodPost, "/hooks/"+hook, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/cloudevents+json")
	r.Header.Set("Authorization", "Bearer "+secret)
	return r
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		patterns   []string
		repository string
		want       int
	}{
		{nil, "any/thing", 202},
		{[]string{"acme/app"}, "acme/app", 202},
		{[]string{"acme/app"}, "ACME/App", 202},
		{[]string{"acme/app"}, "acme/application", 403},
		{[]string{"acme/app"}, "evil/acme/app", 403},
		{[]string{"acme/*", "x/y"}, "x/y", 202},
		{[]string{"acme/*"}, "acme/app", 202},
		{[]string{"acme/*"}, "acme/group/app", 403},
		{[]string{"acme/*"}, "acme", 403},
		{[]string{"acme/**"}, "acme/group/app", 202},
		{[]string{"acme/**"}, "acmecorp/app", 403},
		{[]string{"acme/**"}, "acme", 403},
		{[]string{"acme/*"}, "", 403},
		{nil, "", 202},
	} {
		t.Run(fmt.Sprintf("%v %s", tc.patterns, tc.repository), func(t *testing.T) {
			t.Parallel()
			hook := webhook.Hook{Name: "g", Kind: webhook.GitHub, Secrets: [][]byte{[]byte(secret)}, Repositories: tc.patterns}
			s := &store{}
			h, err := webhook.New([]webhook.Hook{hook}, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			body := `{"organization":{"url":"https://api.example/orgs/acme"}}`
			if tc.repository != "" {
				body = `{"repository":{"full_name":"` + tc.repository + `","url":"https://api.example/x"}}`
			}
			status, answer, _ := send(h, "g", []byte(body), webhook.Sign(webhook.GitHub, []byte(secret), []byte(body)),
				headers("X-GitHub-Event", "star", "X-GitHub-Delivery", "1"))
			if status != tc.want || (tc.want == 202) != (len(s.list) == 1) {
				t.Errorf("%d %v, %d stored, want %d", status, answer, len(s.list), tc.want)
			}
		})
	}
}

// slow is a body that gives what it has and then waits.
type slow struct {
	io.Reader
	ended chan struct{}
}

func (s slow) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		<-s.ended
		return n, errors.New("gone")
	}
	return n, err
}

// What only announces a large body has none of the memory.
func TestAnnouncedBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := webhook.Hook{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)}}
		h, err := webhook.New([]webhook.Hook{hook}, &store{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				r := event("ci", "large")
				r.Body, r.ContentLength = io.NopCloser(slow{strings.NewReader("{"), ended}), 4<<20
				do(h, r)
			})
		}
		synctest.Wait()
		body := `{"specversion":"1.0","id":"l","source":"/p","type":"com.example.p","data":"` + strings.Repeat("x", 200<<10) + `"}`
		r := event("ci", "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if status, answer, _ := do(h, r); status != 202 {
			t.Errorf("%d %v", status, answer)
		}
		close(ended)
		wg.Wait()
	})
}

// A body over the hook's own limit is refused, unread where its size is announced.
func TestMaxBody(t *testing.T) {
	t.Parallel()
	hook := webhook.Hook{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)}, MaxBody: 1000}
	h, err := webhook.New([]webhook.Hook{hook}, &store{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, announced := range []bool{true, false} {
		read := &counting{}
		r := event("ci", "")
		r.Body, r.ContentLength = io.NopCloser(read), -1
		if announced {
			r.ContentLength = 1001
		}
		status, answer, header := do(h, r)
		if status != 413 || !strings.Contains(sentence(answer), "1000 bytes") {
			t.Errorf("%d %v", status, answer)
		}
		if most := 2000; announced && (read.n != 0 || header.Get("Connection") != "close") || read.n > most {
			t.Errorf("%d bytes were read, %v", read.n, header)
		}
	}
}

// counting is a body without end.
type counting struct{ n int }

func (c *counting) Read(p []byte) (int, error) {
	n := min(len(p), 100)
	c.n += n
	return n, nil
}

// A flood of refusals is in the log some times, and counted.
func TestFloodInLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		hook := webhook.Hook{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)}}
		other := hook
		other.Name = "other"
		h, err := webhook.New([]webhook.Hook{hook, other}, &store{}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		flood := func(hook string) {
			r := event(hook, "1")
			r.Header.Set("Authorization", "Bearer wrong")
			if status, _, _ := do(h, r); status != 401 && status != 404 {
				t.Fatal(status)
			}
		}
		for range 1000 {
			flood("ci")
			flood("nothing")
		}
		if n := strings.Count(log.String(), "hook=ci"); n != 10 {
			t.Errorf("%d lines of a thousand refusals", n)
		}
		if n := strings.Count(log.String(), "hook=nothing"); n != 10 {
			t.Errorf("%d lines of a thousand refusals at no hook", n)
		}
		flood("other")
		if !strings.Contains(log.String(), "hook=other") {
			t.Error("another hook's refusal is not logged")
		}
		log.Reset()
		time.Sleep(time.Second)
		flood("ci")
		if !strings.Contains(log.String(), "not_logged=990") {
			t.Errorf("how many were not logged is not told: %s", log.String())
		}
		if health := h.Health(); health[0].Refused != 1001 || health[0].Refusal.Status != 401 || health[1].Refused != 1 {
			t.Errorf("%+v", health)
		}
	})
}

// Other hooks are taken over as a whole, what goes on keeps its counts, and a request that
// is being served ends with the hook it began with.
func TestUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := func(name string, kind webhook.Kind, key string) webhook.Hook {
			return webhook.Hook{Name: name, Kind: kind, Secrets: [][]byte{[]byte(key)}}
		}
		h, err := webhook.New([]webhook.Hook{hook("a", webhook.CloudEvents, secret), hook("b", webhook.CloudEvents, secret)}, &store{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"1", "1", "2"} {
			if status, answer, _ := do(h, event("a", id)); status != 202 {
				t.Fatal(status, answer)
			}
		}
		before := h.Health()[0]
		if before.Accepted != 2 || before.Duplicate != 1 || before.Event.ID != "2" || before.Event.Type != "com.example.p" || !before.Event.At.Equal(time.Now()) {
			t.Errorf("%+v", before)
		}
		// One is on its way.
		r, w := io.Pipe()
		late := event("a", "3")
		body := late.Body
		late.Body, late.ContentLength = r, -1
		status := make(chan int, 1)
		go func() {
			code, _, _ := do(h, late)
			status <- code
		}()
		synctest.Wait()

		if err := h.Use([]webhook.Hook{hook("a", webhook.CloudEvents, second), hook("c", webhook.CloudEvents, "short")}, nil); err == nil {
			t.Fatal("a faulty hook is taken")
		}
		if code, _, _ := do(h, event("b", "1")); code != 202 {
			t.Errorf("after what was refused: %d", code)
		}
		if err := h.Use([]webhook.Hook{hook("a", webhook.CloudEvents, second), hook("c", webhook.CloudEvents, secret)}, nil); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int{"a": 401, "b": 404, "c": 202} {
			if code, answer, _ := do(h, event(name, "4")); code != want {
				t.Errorf("%s: %d %v, want %d", name, code, answer, want)
			}
		}
		_, err = io.Copy(w, body)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		if code := <-status; code != 202 {
			t.Errorf("the request that was on its way: %d", code)
		}
		if now := h.Health()[0]; now.Name != "a" || now.Accepted != 3 || now.Refused != 1 || !now.Since.Equal(before.Since) {
			t.Errorf("%+v", now)
		}
	})
}

// Who may tell of one repository must not tell of another's releases under its name.
func TestReleaseOfAnother(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]int{
		"https://api.github.com/repos/acme/app":         202,
		"https://ghe.example.com/api/v3/repos/Acme/App": 202,
		"https://api.github.com/repos/acme/other":       403,
		"https://api.github.com/repos/acme/app/x":       403,
		"https://api.github.com/repos/notacme/app":      403,
	} {
		one := hook(webhook.GitHub)
		one.Repositories = []string{"acme/app"}
		h, _ := serve(t, one)
		body := fmt.Appendf(nil, `{"action":"published","release":{"id":7,"tag_name":"v1"},"repository":{"full_name":"acme/app","url":%q}}`, url)
		about := headers("X-GitHub-Event", "release", "X-GitHub-Delivery", "d")
		if status, answer, _ := send(h, "hook", body, about, proof(webhook.GitHub, body, time.Now())); status != want {
			t.Errorf("%s: status %d, answer %v", url, status, answer)
		}
	}
}
