package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// publisher publishes on the bus, on a connection for each publisher.
type publisher []*bus.Bus

func newPublisher(ctx context.Context, keys *busserver.Keys, url string, n int) (publisher, error) {
	var p publisher
	for i := range n {
		b, err := connect(ctx, keys, url, busserver.RolePublisher, fmt.Sprintf("publisher-%d", i))
		if err != nil {
			_ = closeAll(ctx, p) // the error at hand says more
			return nil, err
		}
		p = append(p, b)
	}
	return p, nil
}

func (p publisher) send(ctx context.Context, i int, e events.Event) error {
	_, err := p[i%len(p)].PublishEvent(ctx, bus.ClassExternal, e)
	return err
}

func (p publisher) close(ctx context.Context) error { return closeAll(ctx, p) }

// hookCount is over how many webhooks the events are spread: each takes only so many a second.
const hookCount = 1024

func newSecret() []byte { return []byte(rand.Text()) }

func hookName(i int) string { return fmt.Sprintf("flow-%04d", i%hookCount) }

func hooks(secret []byte) []webhook.Hook {
	list := make([]webhook.Hook, hookCount)
	for i := range list {
		list[i] = webhook.Hook{Name: hookName(i), Kind: webhook.CloudEvents, Secrets: [][]byte{secret}}
	}
	return list
}

// poster posts to the webhooks, signed, keeping its connections.
type poster struct {
	base   string
	secret []byte
	client *http.Client
}

func newPoster(base string, secret []byte, n int) *poster {
	return &poster{base: base, secret: secret, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}}
}

func (p *poster) send(ctx context.Context, i int, e events.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("post event %s: %w", e.ID(), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/hooks/"+hookName(i), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post event %s: %w", e.ID(), err)
	}
	req.Header = webhook.Sign(webhook.CloudEvents, p.secret, body)
	req.Header.Set("Content-Type", events.MediaType)
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("post event %s: %w", e.ID(), err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("post event %s: %w", e.ID(), err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("post event %s: %s: %s", e.ID(), resp.Status, bytes.TrimSpace(answer))
	}
	return nil
}

func (p *poster) close(context.Context) error {
	p.client.CloseIdleConnections()
	return nil
}
