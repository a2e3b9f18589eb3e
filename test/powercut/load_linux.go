package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

const (
	posters    = 24 // so many that events are stored in batches
	publishers = 6
	source     = "/powercut"
	eventType  = "com.example.load"
	padding    = 700 // bytes, so that an event is about a KiB
)

// load sends events as fast as they are taken, until its context ends.
type load struct {
	secret []byte
	next   int // number of the next event, for all cuts

	mu    sync.Mutex
	acked map[string]int // how often an event was acknowledged, by its id
}

// run sends until ctx ends. Errors are what a cut looks like from outside: what counts is what was acknowledged.
func (l *load) run(ctx context.Context, p *process) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: posters}}
	defer client.CloseIdleConnections()
	for i := range posters {
		wg.Go(func() {
			l.send(ctx, func(ctx context.Context, e events.Event) error {
				return l.post(ctx, client, p.addr.HTTP+"/hooks/h", i, e)
			})
		})
	}
	for range publishers {
		b, err := bus.Connect(ctx, bus.Options{URL: p.addr.Bus, CredsFile: access.CredsFile(p.data, "publisher")})
		if err != nil {
			return err
		}
		wg.Go(func() {
			l.send(ctx, func(ctx context.Context, e events.Event) error {
				_, err := b.PublishEvent(ctx, bus.ClassExternal, e)
				return err
			})
			_ = b.Close(ctx) // its other side is gone
		})
	}
	<-ctx.Done()
	return nil
}

// send sends one event after the other.
func (l *load) send(ctx context.Context, one func(context.Context, events.Event) error) {
	for ctx.Err() == nil {
		l.mu.Lock()
		l.next++
		n := l.next
		l.mu.Unlock()
		id := "e" + strconv.Itoa(n)
		e, err := events.New(source, eventType, map[string]any{"n": n, "pair": n / 2, "padding": string(bytes.Repeat([]byte("x"), padding))})
		if err != nil {
			continue
		}
		e.SetID(id)
		if one(ctx, e) == nil {
			l.mu.Lock()
			l.acked[id]++
			l.mu.Unlock()
		}
	}
}

func (l *load) post(ctx context.Context, c *http.Client, base string, i int, e events.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	hook := (i + l.count()*posters) % hookCount
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+strconv.Itoa(hook), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = webhook.Sign(webhook.CloudEvents, l.secret, body)
	req.Header.Set("Content-Type", events.MediaType)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("post event %s: %s", e.ID(), resp.Status)
	}
	return nil
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// acknowledged returns the events acknowledged so far.
func (l *load) acknowledged() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

// settle forgets the acknowledged events that are not in the store, so that no later cut is blamed for them, and
// returns how many of them are not among those that counted.
func (l *load) settle(stored, counted map[string]int) (late int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.acked, func(id string, _ int) bool {
		if stored[id] == 0 && counted[id] == 0 {
			late++
		}
		return stored[id] == 0
	})
	return late
}
