package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// bounded is how long one request to the cluster may take.
const bounded = 5 * time.Second

// load publishes events all the time, and remembers which were accepted.
type load struct {
	site  *site
	kind  string // of its events
	notes string
	next  atomic.Int64

	mu       sync.Mutex
	accepted map[string]int // number, by id
	refused  map[string]int
}

func newLoad(s *site) *load {
	return &load{
		site: s, kind: "com.example.tick", notes: filepath.Join(s.dir, "notes"), accepted: map[string]int{}, refused: map[string]int{},
	}
}

// source is where all events come from.
const source = "/cluster"

func (l *load) event(t *testing.T) (events.Event, int) {
	n := int(l.next.Add(1))
	e, err := events.New(source, l.kind, map[string]any{
		"n": n, "host": fmt.Sprintf("h%d", n%6+1), "notes": l.notes,
	})
	must(t, err)
	e.SetID(fmt.Sprintf("e%d", n))
	return e, n
}

func (l *load) note(id string, n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.accepted[id] = n
	} else {
		l.refused[id] = n
	}
}

// publish publishes an event every so often until ctx ends.
func (l *load) publish(ctx context.Context, t *testing.T, b *bus.Bus, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		e, n := l.event(t)
		_, err := b.PublishEvent(context.WithoutCancel(ctx), bus.ClassExternal, e)
		l.note(e.ID(), n, err)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// post sends webhooks to both jet-bus in turn, as a sender that tries again for as
// long as an event is not accepted.
func (l *load) post(ctx context.Context, t *testing.T, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	turn := 0
	for ctx.Err() == nil {
		l.deliver(t, client, func() string {
			turn++
			return fmt.Sprintf("bus%d", turn%2+1)
		})
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// deliver sends a new event to the jet-bus that to names, again and again for as
// long as it is not accepted.
func (l *load) deliver(t *testing.T, client *http.Client, to func() string) {
	e, n := l.event(t)
	body, err := json.Marshal(e)
	must(t, err)
	until := time.Now().Add(patience)
	for {
		err = l.send(client, l.site.http(to()), body)
		if err == nil || time.Now().After(until) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	l.note(e.ID(), n, err)
}

// count is how many events were accepted.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

func (l *load) send(client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+hookToken)
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}
