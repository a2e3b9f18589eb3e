package doors

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/test/releases"
)

// every calls do again and again, until ctx ends.
func every(ctx context.Context, d time.Duration, do func(n int)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(n)
		}
	}
}

// other is somebody else's NATS server, with a stream.
type other struct {
	url  string
	conn *nats.Conn
	js   jetstream.JetStream

	mu        sync.Mutex
	acked     []uint64 // the sequences in the stream
	published int      // on the plain subject
}

func newOther(t *testing.T) *other {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()})
	must(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the other server does not start")
	}
	o := &other{url: fmt.Sprintf("nats://127.0.0.1:%d", s.Addr().(*net.TCPAddr).Port)}
	o.conn, err = nats.Connect(o.url)
	must(t, err)
	t.Cleanup(o.conn.Close)
	o.js, err = jetstream.New(o.conn)
	must(t, err)
	_, err = o.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}})
	must(t, err)
	return o
}

// send publishes to the stream and on the plain subject until ctx ends.
func (o *other) send(ctx context.Context, t *testing.T) {
	every(ctx, 100*time.Millisecond, func(n int) {
		data := fmt.Appendf(nil, `{"n": %d}`, n)
		ack, err := o.js.Publish(context.WithoutCancel(ctx), "orders.new", data)
		if err != nil {
			t.Errorf("the other server: %v", err)
			return
		}
		if err := o.conn.Publish("plain.new", data); err != nil {
			t.Errorf("the other server: %v", err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.acked, o.published = append(o.acked, ack.Sequence), n
	})
}

// host sends deliveries as GitHub does, but again and again until they are taken.
type host struct {
	url    string
	client *http.Client

	mu    sync.Mutex
	taken map[string]int // how often it was sent, by id
}

func newHost(t *testing.T, at string) *host {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &host{
		url: "http://" + at + "/hooks/app", taken: map[string]int{}, client: &http.Client{Transport: tr, Timeout: 10 * time.Second},
	}
}

// send makes a delivery every so often until ctx ends, each until it is taken.
func (h *host) send(ctx context.Context, t *testing.T, d time.Duration) {
	every(ctx, d, func(n int) {
		id := fmt.Sprintf("delivery-%d", n)
		for times := 1; ; times++ {
			err := h.deliver(id, n)
			if err == nil {
				h.mu.Lock()
				h.taken[id] = times
				h.mu.Unlock()
				return
			}
			if times > 600 {
				t.Errorf("%s is never taken: %v", id, err)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func (h *host) deliver(id string, n int) error {
	body := fmt.Appendf(nil, `{"ref": "refs/heads/main", "n": %d, "host": "h%d", "repository": {"full_name": "acme/app",
		"name": "app", "url": "https://api.github.com/repos/acme/app", "html_url": "https://github.com/acme/app"}}`, n, n%4+1)
	sum := hmac.New(sha256.New, []byte(hookSecret))
	sum.Write(body)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for key, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": id,
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(sum.Sum(nil)),
	} {
		req.Header.Set(key, value)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// drop is a directory in which files are dropped.
type drop struct {
	dir string

	mu      sync.Mutex
	dropped []string
	removed map[string]bool
}

func newDrop(t *testing.T, dir string) *drop {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	return &drop{dir: dir, removed: map[string]bool{}}
}

// put drops n files.
func (d *drop) put(t *testing.T, n int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for range n {
		name := fmt.Sprintf("f%05d.txt", len(d.dropped))
		must(t, os.WriteFile(filepath.Join(d.dir, name), []byte(name), 0o600))
		d.dropped = append(d.dropped, name)
	}
}

// take removes files.
func (d *drop) take(t *testing.T, names []string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		must(t, os.Remove(filepath.Join(d.dir, name)))
		d.removed[name] = true
	}
}

// publisher publishes releases of one repository.
type publisher struct {
	site *releases.Site

	mu   sync.Mutex
	list []releases.Release
}

const repository = "acme/tool"

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{site: releases.Start()}
	t.Cleanup(p.site.Close)
	p.publish()
	return p
}

func (p *publisher) publish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, releases.Release{Tag: fmt.Sprintf("v1.%d.0", len(p.list)), Published: time.Now().UTC().Truncate(time.Second)})
	p.site.Put(repository, p.list...)
}

// tags are those that were published after the first, which was there before.
func (p *publisher) tags() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, r := range p.list[1:] {
		out = append(out, r.Tag)
	}
	return out
}
