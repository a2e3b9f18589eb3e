package busd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// TestManyWebhooksAtOnce posts many events at the same time: each is stored where its sender is told,
// and they share syncs where there are any.
func TestManyWebhooksAtOnce(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]busserver.SyncMode{"power": busserver.Power, "process": busserver.Process} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Sync = mode
			p, _ := run(t, o)
			c := client(t, nil)
			const senders = 150
			seqs := make([]uint64, senders)
			errs := make([]error, senders)
			var wg sync.WaitGroup
			for i := range senders {
				wg.Go(func() { seqs[i], errs[i] = postOne(t, c, p.Addr.HTTP, i) })
			}
			wg.Wait()
			batched := 0
			for i, seq := range seqs {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				m, err := p.Bus.Get(t.Context(), bus.StreamEvents, seq)
				if err != nil {
					t.Fatal(err)
				}
				e, err := bus.DecodeEvent(m.Header, m.Data)
				if err != nil || e.ID() != fmt.Sprint(i) {
					t.Errorf("event %d is said to be message %d, which is %q, %v", i, seq, e.ID(), err)
				}
				if m.Header.Get("Nats-Batch-Id") != "" {
					batched++
				}
			}
			if (mode == busserver.Power) != (batched > 0) {
				t.Errorf("%d of %d events came in batches", batched, senders)
			}
		})
	}
}

// postOne posts event i and returns the sequence in the answer.
func postOne(t *testing.T, c *http.Client, base string, i int) (uint64, error) {
	body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/many","type":"org.example.many"}`, i)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/hooks/ci", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = webhook.Sign(webhook.CloudEvents, secret, []byte(body))
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct{ Seq uint64 }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusAccepted {
		return 0, fmt.Errorf("event %d: %s, %w", i, resp.Status, err)
	}
	return answer.Seq, nil
}
