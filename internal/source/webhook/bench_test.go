package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
)

// nowhere takes every event.
type nowhere struct{}

func (nowhere) PublishEvent(context.Context, events.Event, string) (uint64, bool, error) {
	return 1, false, nil
}

// BenchmarkReceive is what one delivery of a kilobyte costs, without the connection and without
// storing it.
func BenchmarkReceive(b *testing.B) {
	secret := []byte("0123456789abcdef")
	filling := strings.Repeat("-", 800)
	structured, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "7", "source": "/bench", "type": "com.example.bench", "time": "2026-01-02T03:04:05Z",
		"datacontenttype": "application/json", "data": map[string]any{"host": "web-1", "filling": filling},
	})
	if err != nil {
		b.Fatal(err)
	}
	push, err := json.Marshal(map[string]any{
		"ref": "refs/heads/main", "after": "0123", "sender": map[string]any{"login": "alice"}, "filling": filling,
		"repository": map[string]any{"url": "https://example.com/a/b", "html_url": "https://example.com/a/b", "full_name": "a/b"},
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		kind    Kind
		body    []byte
		headers map[string]string
	}{
		{CloudEvents, structured, map[string]string{"Content-Type": events.MediaType}},
		{GitHub, push, map[string]string{
			"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "8",
		}},
	} {
		b.Run(string(bb.kind), func(b *testing.B) {
			h, err := New([]Hook{{Name: "bench", Kind: bb.kind, Secrets: [][]byte{secret}}}, nowhere{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			h.live.Load().endpoints["bench"].limit = newBucket(1e12, 1e12)
			header := Sign(bb.kind, secret, bb.body)
			for name, v := range bb.headers {
				header.Set(name, v)
			}
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequest(http.MethodPost, "/hooks/bench", bytes.NewReader(bb.body))
				req.Header = header
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				if w.Code != http.StatusAccepted {
					b.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
		})
	}
}
