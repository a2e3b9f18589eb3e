package busd

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// Headers are read before anybody is known: a stranger who sends many on all connections
// must not have all the memory.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	p, _ := run(t, options(t))
	for size, want := range map[int]int{32 << 10: http.StatusAccepted, 128 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		h := webhook.Sign(webhook.CloudEvents, secret, []byte(event))
		h.Set("Content-Type", "application/cloudevents+json")
		h.Set("X-Long", strings.Repeat("x", size))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Addr.HTTP+"/hooks/ci", strings.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		resp, err := client(t, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%d bytes of headers: %d, want %d", size, resp.StatusCode, want)
		}
	}
}
