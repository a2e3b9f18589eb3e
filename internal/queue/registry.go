package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// RunnerInfo is what a runner says of itself in the registry.
type RunnerInfo struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Slots   int               `json:"slots"`
	Busy    int               `json:"busy"`
	Version string            `json:"version,omitempty"`
	Started time.Time         `json:"started"`
	// Seen is when the bus last heard of it, by the server's clock; filled in by
	// [Queue.Runners].
	Seen time.Time `json:"seen,omitzero"`
}

// runnerSubject is where a runner's entry is. The first token is the user in the
// runner's credentials: no other user may write there.
func runnerSubject(user, name string) string {
	return "$KV." + bus.BucketRunners + "." + bus.Token(user) + "." + bus.Token(name)
}

// Register keeps a runner's entry in the registry alive until ctx ends, and
// removes it then. info is asked for its present state each time.
func (q *Queue) Register(ctx context.Context, info func() RunnerInfo) {
	tick := time.NewTicker(bus.RunnerTTL / 5)
	defer tick.Stop()
	for {
		if err := q.announce(ctx, info()); err != nil && ctx.Err() == nil {
			q.log.Warn("registry not updated", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			msg := &nats.Msg{Subject: runnerSubject(q.bus.User, info().Name), Header: nats.Header{"KV-Operation": {"DEL"}}}
			if _, _, err := q.bus.Publish(gone, msg); err != nil {
				q.log.Debug("registry entry not removed; it expires", slog.Any("err", err))
			}
			return
		case <-tick.C:
		}
	}
}

func (q *Queue) announce(ctx context.Context, info RunnerInfo) error {
	data, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("announce runner %s: %w", info.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, bus.RunnerTTL/5)
	defer cancel()
	msg := &nats.Msg{Subject: runnerSubject(q.bus.User, info.Name), Header: nats.Header{}, Data: data}
	if _, _, err := q.bus.Publish(ctx, msg); err != nil {
		return fmt.Errorf("announce runner %s: %w", info.Name, err)
	}
	return nil
}

// Runners returns the runners that have shown a sign of life of late.
func (q *Queue) Runners(ctx context.Context) ([]RunnerInfo, error) {
	var out []RunnerInfo
	for m, err := range q.bus.Tail(ctx, "KV_"+bus.BucketRunners, "$KV."+bus.BucketRunners+".*.*", bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list runners: %w", err)
		}
		if len(m.Data) == 0 { // a marker: it stopped, or was not heard of again
			continue
		}
		var info RunnerInfo
		if err := json.Unmarshal(m.Data, &info); err != nil {
			return nil, fmt.Errorf("list runners: decode %s: %w", m.Subject, err)
		}
		info.Seen = m.Time
		out = append(out, info)
	}
	return out, nil
}
