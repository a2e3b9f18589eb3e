package busd

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/notify"
)

// told is a server that notes what it is told, and the content that names it.
type told struct {
	mu    sync.Mutex
	texts []string
}

func (s *told) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, r.Header.Get("Authorization")+" "+string(data))
}

func (s *told) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.texts...)
}

// inform stores a message and waits until none is left on the bus.
func inform(t *testing.T, p *Process, id string) {
	t.Helper()
	m := notify.Message{ID: id, To: "ops", Text: id + " is silent", Rule: "silent", At: time.Now()}
	if err := notify.Store(t.Context(), p.Bus, m); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := p.Bus.JS.Stream(t.Context(), bus.StreamNotify)
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.Msgs == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("not sent in time")
		}
	}
}

// What a rule has to say is sent, with what is in force; a store from which all was
// sent is sound at the next start, after a crash too.
func TestNotify(t *testing.T) {
	t.Parallel()
	first, second := new(told), new(told)
	one, two := httptest.NewServer(first), httptest.NewServer(second)
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var log bytes.Buffer
	o := options(t)
	o.Logger = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	targets := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Content, notify.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	targets("targets: {ops: {webhook: {url: \"" + one.URL + "/hidden\", token_file: \"" + token + "\"}}}")
	p, stop := run(t, o)
	inform(t, p, "web1")
	if got := first.all(); len(got) != 1 || !strings.HasPrefix(got[0], "Bearer s3cret {") || !strings.Contains(got[0], `"text":"web1 is silent"`) {
		t.Errorf("told %q", got)
	}
	targets("targets: {ops: {webhook: {uri: x}}}")
	if err := p.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), `notify.yml:1:27: unknown key "uri"`) {
		t.Errorf("a bad file: %v", err)
	}
	inform(t, p, "web2")
	targets("targets: {ops: {webhook: {url: \"" + two.URL + "\"}}}")
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	inform(t, p, "web3")
	if n, m := len(first.all()), len(second.all()); n != 2 || m != 1 {
		t.Errorf("told %d and %d, want 2 and 1", n, m)
	}
	stop()
	mu.Lock()
	text := log.String()
	mu.Unlock()
	for _, s := range []string{"s3cret", "hidden"} {
		if strings.Contains(text, s) {
			t.Errorf("the log tells %q\n%s", s, text)
		}
	}

	crash := copied(t, o.Data)
	crashed(t, crash)
	for _, dir := range []string{o.Data, crash} {
		o.Data = dir
		p, stop := run(t, o)
		inform(t, p, "web4")
		stop()
	}
	if n := len(second.all()); n != 3 {
		t.Errorf("told %d, want 3", n)
	}
}

// What could not be sent is an event that rules may be for.
func TestNotifyFailed(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	o := options(t)
	if err := os.WriteFile(filepath.Join(o.Content, notify.File), []byte("targets: {ops: {webhook: {url: \""+gone.URL+"\"}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := run(t, o)
	inform(t, p, "web1")
	subject := bus.EventSubject(bus.ClassOwn, events.TypeNotificationFailed)
	n := 0
	for _, err := range p.Bus.Tail(t.Context(), bus.StreamEvents, subject, bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}
