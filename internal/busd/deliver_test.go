package busd

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ceclient "github.com/cloudevents/sdk-go/v2/client"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/deliver"
)

// sink is a CloudEvents receiver of the SDK's.
func sink(t *testing.T) (url string, got func() []string) {
	t.Helper()
	var mu sync.Mutex
	var ids []string
	p, err := cehttp.New()
	if err != nil {
		t.Fatal(err)
	}
	h, err := ceclient.NewHTTPReceiveHandler(t.Context(), p, func(_ context.Context, e events.Event) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, e.ID())
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.Handler(h))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), ids...)
	}
}

// Events go to the sinks of the content in force, from when it came into force on, and
// to nobody once they are gone; a file with faults changes nothing.
func TestDeliver(t *testing.T) {
	t.Parallel()
	one, first := sink(t)
	two, second := sink(t)
	o := options(t)
	content := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Content, deliver.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(p *Process, id string) {
		t.Helper()
		e, err := events.New("/s", "com.acme.a", nil)
		if err != nil {
			t.Fatal(err)
		}
		e.SetID(id)
		if _, err := p.Bus.PublishEvent(t.Context(), bus.ClassExternal, e); err != nil {
			t.Fatal(err)
		}
	}
	arrives := func(got func() []string, want string) {
		t.Helper()
		for until := time.Now().Add(20 * time.Second); strings.Join(got(), " ") != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("got %v, want %s", got(), want)
			}
		}
	}
	content("subscriptions: {ops: {url: \"" + one + "\", on: com.acme.*}}")
	p, stop := run(t, o)
	publish(p, "e1")
	arrives(first, "e1")
	content("subscriptions: {ops: {uri: x}}")
	if err := p.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), `subscriptions.yml:1:23: unknown key "uri"`) {
		t.Errorf("a bad file: %v", err)
	}
	publish(p, "e2")
	arrives(first, "e1 e2")
	content("subscriptions: {ops: {url: \"" + two + "\", mode: binary, on: com.acme.*}}")
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(p, "e3")
	arrives(second, "e3")
	stop()
	p, stop = run(t, o)
	publish(p, "e4")
	arrives(second, "e3 e4")
	if err := os.Remove(filepath.Join(o.Content, deliver.File)); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := p.Bus.JS.Consumer(t.Context(), bus.StreamEvents, "sub-ops"); err != nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the consumer stays")
		}
	}
	stop()
	if got := strings.Join(first(), " "); got != "e1 e2" {
		t.Errorf("the first sink got %s", got)
	}
}
