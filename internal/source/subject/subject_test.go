package subject

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// other is somebody else's NATS server, and a client of theirs.
type other struct {
	*testing.T
	server *server.Server
	opts   *server.Options
	conn   *nats.Conn
	js     jetstream.JetStream
}

// theirs starts a server with JetStream.
func theirs(t *testing.T, change ...func(*server.Options)) *other {
	t.Helper()
	o := &other{T: t, opts: &server.Options{
		Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
	}}
	for _, f := range change {
		f(o.opts)
	}
	o.start()
	t.Cleanup(func() { o.stop() })
	return o
}

func (o *other) start() {
	o.Helper()
	s, err := server.NewServer(o.opts.Clone())
	if err != nil {
		o.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		o.Fatal("their server does not start")
	}
	o.server = s
	o.opts.Port = s.Addr().(*net.TCPAddr).Port
}

func (o *other) stop() {
	o.server.Shutdown()
	o.server.WaitForShutdown()
}

func (o *other) url() string { return o.server.ClientURL() }

// client connects as one of theirs, in process.
func (o *other) client(opts ...nats.Option) *other {
	o.Helper()
	conn, err := nats.Connect(o.url(), append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))...)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(conn.Close)
	o.conn = conn
	if o.js, err = jetstream.New(conn); err != nil {
		o.Fatal(err)
	}
	return o
}

func (o *other) stream(name string, subjects ...string) jetstream.Stream {
	o.Helper()
	s, err := o.js.CreateStream(o.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects})
	if err != nil {
		o.Fatal(err)
	}
	return s
}

// put stores messages in a stream.
func (o *other) put(subject string, data ...string) {
	o.Helper()
	for _, d := range data {
		if _, err := o.js.Publish(o.Context(), subject, []byte(d)); err != nil {
			o.Fatal(err)
		}
	}
}

// send publishes a message that nobody keeps.
func (o *other) send(m *nats.Msg) {
	o.Helper()
	if err := errors.Join(o.conn.PublishMsg(m), o.conn.Flush()); err != nil {
		o.Fatal(err)
	}
}

// lab is a source at work.
type lab struct {
	*testing.T
	feed *sourcetest.Feed
	done chan error
	stop func() error
}

func begin(t *testing.T, c Config, f *sourcetest.Feed) lab {
	t.Helper()
	s, err := c.Source()
	if err != nil {
		t.Fatal(err)
	}
	return run1(t, s, f)
}

func run1(t *testing.T, s source.Source, f *sourcetest.Feed) lab {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := lab{T: t, feed: f, done: make(chan error, 1)}
	go func() { l.done <- s.Run(ctx, f) }()
	l.stop = sync.OnceValue(func() error { cancel(); return l.end() })
	t.Cleanup(func() { _ = l.stop() })
	return l
}

// end waits for Run to end.
func (l lab) end() error {
	l.Helper()
	select {
	case err := <-l.done:
		l.done <- err
		return err
	case <-time.After(30 * time.Second):
		l.Error("Run does not end")
		return nil
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// health waits until the n-th word of the source on itself, and returns it.
func (l lab) health(n int) sourcetest.Health {
	l.Helper()
	until(l.T, fmt.Sprintf("word %d of the source", n), func() bool {
		select {
		case err := <-l.done:
			l.done <- err
			l.Fatalf("Run has ended: %v", err)
		default:
		}
		return len(l.feed.Health()) >= n
	})
	return l.feed.Health()[n-1]
}

func data(f *sourcetest.Feed) []string {
	out := []string{}
	for _, e := range f.Stored() {
		out = append(out, string(e.Data()))
	}
	return out
}

func (l lab) stored(want ...string) {
	l.Helper()
	until(l.T, fmt.Sprintf("%d events", len(want)), func() bool { return len(l.feed.Stored()) >= len(want) })
	if diff := cmp.Diff(want, data(l.feed)); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	f := &sourcetest.Feed{Title: "sensors"}
	l := begin(t, Config{Server: Servers{o.url()}, Subject: "sensors.>", Type: "com.example.sensor"}, f)
	if h := l.health(1); h.Err != nil {
		t.Fatal(h.Err)
	}
	o.send(&nats.Msg{Subject: "sensors.7.temperature", Data: []byte(`{"celsius": 21}`)})
	o.send(&nats.Msg{Subject: "sensors.7.temperature", Data: []byte(`{"celsius":`)})
	o.send(&nats.Msg{Subject: "elsewhere", Data: []byte(`0`)})
	o.send(&nats.Msg{Subject: "sensors.8", Data: []byte(`[]`)})
	l.stored(`{"celsius":21}`, `[]`)
	e := f.Stored()[0]
	if e.Type() != "com.example.sensor" || e.Source() != "/sources/sensors" || e.Subject() != "sensors.7.temperature" || e.ID() == f.Stored()[1].ID() {
		t.Errorf("event %v", e)
	}
	if err := l.stop(); err != nil || len(f.Health()) != 1 {
		t.Errorf("Run: %v, health %v", err, f.Health())
	}
}

// Each content becomes an event of its form.
func TestContent(t *testing.T) {
	t.Parallel()
	header := func(kv ...string) nats.Header {
		h := nats.Header{}
		for i := 0; i < len(kv); i += 2 {
			h[kv[i]] = []string{kv[i+1]}
		}
		return h
	}
	const attrs = `"specversion":"1.0","id":"1","source":"/s","type":"com.example.t"`
	binary := []string{"CE-SpecVersion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "com.example.t"}
	for name, tt := range map[string]struct {
		content string
		header  nats.Header
		data    string
		want    string // the event's source, subject, datacontenttype and data; the error if there is none
	}{
		"text":           {contentText, nil, "hé\n", "/sources/n x.y text/plain hé\n"},
		"no text":        {contentText, nil, "\xff\x00", "/sources/n x.y application/octet-stream \xff\x00"},
		"empty text":     {contentText, nil, "", "/sources/n x.y text/plain "},
		"json":           {contentJSON, nil, ` {"a": 1}`, `/sources/n x.y application/json {"a":1}`},
		"no json":        {contentJSON, nil, "", "the message is not JSON"},
		"bad text":       {contentJSON, nil, "\"\xff\"", "the message is not JSON"},
		"structured":     {contentCloudEvents, header("content-type", "application/cloudevents+json"), `{` + attrs + `,"data":[1]}`, "/s   [1]"},
		"without header": {contentCloudEvents, nil, `{` + attrs + `,"data":[1]}`, "/s   [1]"},
		"binary": {
			contentCloudEvents, header(append(binary, "Ce-Subject", "a%20b%E2%82%AC", "CONTENT-TYPE", "text/plain")...), "x",
			"/s a b€ text/plain x",
		},
		"not one": {contentCloudEvents, nil, `{"a":1}`, "specversion"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &subject{Config: Config{Content: tt.content, Type: "com.example.t"}}
			e, err := s.event("n", message{subject: "x.y", header: tt.header, data: []byte(tt.data)})
			if err == nil {
				err = events.Check(e)
			}
			got := fmt.Sprintf("%s %s %s %s", e.Source(), e.Subject(), e.DataContentType(), e.Data())
			if err != nil {
				got = err.Error()
			}
			if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// An event of our own types is refused, and no more than that.
func TestOwnType(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	f := &sourcetest.Feed{}
	l := begin(t, Config{Server: Servers{o.url()}, Subject: "x", Content: contentCloudEvents}, f)
	l.health(1)
	for i, typ := range []string{"dev.jet-bus.job.failed.v1", "com.example.t"} {
		o.send(&nats.Msg{Subject: "x", Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/s","type":"%s","data":%d}`, i, typ, i)})
	}
	l.stored("1")
}

// What comes faster than it can be stored is lost without a stream, and told.
func TestTooFast(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	hold, held := make(chan struct{}), make(chan struct{}, 100)
	f := &sourcetest.Feed{Refuse: func(events.Event) error { held <- struct{}{}; <-hold; return nil }}
	s := &subject{Config: Config{Server: Servers{o.url()}, Subject: "x", Content: contentJSON, Type: "com.example.t"}, pending: 10}
	link, err := s.connect(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer link.close()
	l := run1(t, listening{&run{subject: s, feed: f, link: link}}, f)
	l.health(1)
	o.send(&nats.Msg{Subject: "x", Data: []byte("0")})
	<-held // it is being stored
	for n := 1; n <= 50; n++ {
		o.send(&nats.Msg{Subject: "x", Data: fmt.Append(nil, n)})
	}
	until(t, "all to be with the source", func() bool { return link.conn.Stats().InMsgs >= 51 })
	close(hold)
	h := l.health(2)
	if h.Err == nil || !strings.Contains(h.Err.Error(), "messages were lost") {
		t.Errorf("health %v", h)
	}
	until(t, "those that were kept", func() bool { return len(f.Stored()) >= 10 })
	if n := len(f.Stored()); n > 14 {
		t.Errorf("%d of 51 were stored with room for 10", n)
	}
	if len(f.Health()) != 2 {
		t.Errorf("health %v: all is well only when nothing was lost for a while", f.Health())
	}
	_ = l.stop()
}

// listening is a source of a connection that is there already.
type listening struct{ *run }

func (l listening) Run(ctx context.Context, _ source.Feed) error {
	if err := l.listen(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// The connection comes back by itself, and with it the subscription.
func TestServerAway(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	o.stream("S", "s")
	plain, stored := &sourcetest.Feed{}, &sourcetest.Feed{Title: "two"}
	a := begin(t, Config{Server: Servers{o.url()}, Subject: "x", Type: "com.example.t"}, plain)
	b := begin(t, Config{Server: Servers{o.url()}, Subject: "s", Stream: "S", Type: "com.example.t"}, stored)
	a.health(1)
	b.health(1)
	o.put("s", "1")
	b.stored("1")
	o.stop()
	for _, l := range []lab{a, b} {
		if h := l.health(2); h.Err == nil || !strings.Contains(h.Err.Error(), "the connection to the server is lost") {
			t.Errorf("health %v", h)
		}
	}
	o.start()
	for _, l := range []lab{a, b} {
		until(t, "the connection to come back", func() bool { h := l.feed.Health(); return h[len(h)-1].Err == nil })
	}
	until(t, "our own connection", func() bool { return o.conn.IsConnected() })
	o.send(&nats.Msg{Subject: "x", Data: []byte("2")})
	a.stored("2")
	o.put("s", "2")
	b.stored("1", "2")
	for _, l := range []lab{a, b} {
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	}
}

// The queue shares messages between two sources.
func TestQueue(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	c := Config{Server: Servers{o.url()}, Subject: "x", Queue: "q", Type: "com.example.t"}
	f, g := &sourcetest.Feed{}, &sourcetest.Feed{}
	begin(t, c, f).health(1)
	begin(t, c, g).health(1)
	want := []string{}
	for n := range 20 {
		o.send(&nats.Msg{Subject: "x", Data: fmt.Append(nil, 10+n)})
		want = append(want, fmt.Sprint(10+n))
	}
	until(t, "all messages", func() bool { return len(f.Stored())+len(g.Stored()) >= 20 })
	got := slices.Sorted(slices.Values(append(data(f), data(g)...)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A server that cannot be used says why.
func TestCannotConnect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	o := theirs(t, func(o *server.Options) { o.Username, o.Password = "u", "s3cret" })
	plain := theirs(t, func(o *server.Options) {
		o.JetStream = false
		o.Users = []*server.User{
			{Username: "u", Password: "p", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"a", "_INBOX.>"}}}},
		}
	})
	closed := theirs(t)
	closed.stop()
	for name, tt := range map[string]struct {
		c    Config
		want string
	}{
		"away":       {Config{Server: Servers{closed.url()}}, "connect to " + closed.url()},
		"nobody":     {Config{Server: Servers{o.url()}}, "it refuses who we say we are"},
		"wrong":      {Config{Server: Servers{o.url()}, User: "u", PasswordFile: secret("wrong", "x\n", 0o600)}, "it refuses who we say we are"},
		"open file":  {Config{Server: Servers{o.url()}, User: "u", PasswordFile: secret("open", "s3cret", 0o644)}, "chmod 600"},
		"no file":    {Config{Server: Servers{o.url()}, TokenFile: filepath.Join(dir, "none")}, "read secret: "},
		"no creds":   {Config{Server: Servers{o.url()}, CredsFile: secret("creds", "s3cret", 0o600)}, "is no credentials file"},
		"no TLS":     {Config{Server: Servers{o.url()}, CAFile: secret("ca", "x", 0o600)}, "secure connection not available"},
		"forbidden":  {Config{Server: Servers{plain.url()}, User: "u", PasswordFile: secret("p", "p", 0o600)}, `subscribe to x: nats: permissions violation: Permissions Violation for Subscription to "x"`},
		"no storage": {Config{Server: Servers{plain.url()}, User: "u", PasswordFile: secret("p2", "p", 0o600), Stream: "S"}, "look at stream S: "},
		"no stream":  {Config{Server: Servers{o.url()}, User: "u", PasswordFile: secret("p3", "s3cret", 0o600), Stream: "S"}, "the server has no stream S"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.c.Subject, tt.c.Type = "x", "com.example.t"
			f := &sourcetest.Feed{}
			err := begin(t, tt.c, f).end()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if len(f.Health()) > 0 {
				t.Errorf("health %v", f.Health())
			}
		})
	}
}

// Credentials are read again for each connection: they may be replaced meanwhile.
func TestSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]Config{"token": {TokenFile: file}, "password": {User: "u", PasswordFile: file}} {
		o := theirs(t, func(o *server.Options) {
			o.JetStream = false
			if o.Authorization = "old"; name == "password" {
				o.Authorization, o.Username, o.Password = "", "u", "old"
			}
		})
		write("old\n")
		c.Server, c.Subject, c.Type = Servers{o.url()}, "x", "com.example.t"
		l := begin(t, c, &sourcetest.Feed{})
		l.health(1)
		o.stop()
		write("new\n")
		if o.opts.Authorization = "new"; name == "password" {
			o.opts.Authorization, o.opts.Password = "", "new"
		}
		o.start()
		until(t, name+" to be read again", func() bool { h := l.feed.Health(); return len(h) > 2 && h[len(h)-1].Err == nil })
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	}
}

// A credentials file as NATS issues it.
func TestCreds(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	creds, err := s.Keys().Issue(busserver.RoleAdmin, "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.creds")
	if err := os.WriteFile(file, creds, 0o600); err != nil {
		t.Fatal(err)
	}
	f := &sourcetest.Feed{}
	l := begin(t, Config{Server: Servers{s.URL()}, CredsFile: file, Subject: "their.>", Type: "com.example.t"}, f)
	l.health(1)
	admin := bustest.Connect(t, s, busserver.RoleAdmin, "b")
	if err := errors.Join(admin.Conn.Publish("their.x", []byte("1")), admin.Conn.Flush()); err != nil {
		t.Fatal(err)
	}
	l.stored("1")
}
