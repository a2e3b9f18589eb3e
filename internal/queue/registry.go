package queue

import (
	"context"
	"encoding/json"
	"errors"
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
	var rev uint64 // of the entry as we wrote it
	for {
		next, err := q.announce(ctx, info(), rev)
		if errors.Is(err, bus.ErrConflict) {
			q.tellTwin(ctx, info())
			next, err = q.announce(ctx, info(), 0)
		}
		if err != nil && ctx.Err() == nil {
			q.log.Warn("registry not updated", slog.Any("err", err))
		}
		rev = next
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

// announce writes a runner's entry, if it is still at rev; zero writes it anyway. It
// returns the revision.
func (q *Queue) announce(ctx context.Context, info RunnerInfo, rev uint64) (uint64, error) {
	data, err := json.Marshal(info)
	if err != nil {
		return 0, fmt.Errorf("announce runner %s: %w", info.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, bus.RunnerTTL/5)
	defer cancel()
	subject := runnerSubject(q.bus.User, info.Name)
	msg := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
	if rev > 0 {
		bus.ExpectSubjectSeq(msg, subject, rev)
	}
	next, _, err := q.bus.Publish(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("announce runner %s: %w", info.Name, err)
	}
	return next, nil
}

// tellTwin warns if it is another runner who has written the entry of this one. (It may
// also have expired.) Who of the two dies would not be seen.
func (q *Queue) tellTwin(ctx context.Context, own RunnerInfo) {
	m, err := q.bus.Last(ctx, "KV_"+bus.BucketRunners, runnerSubject(q.bus.User, own.Name))
	var other RunnerInfo
	if err != nil || json.Unmarshal(m.Data, &other) != nil || other.Started.Equal(own.Started) {
		return
	}
	q.log.Warn("another runner has the same name; give each its own with --name", slog.String("runner", own.Name),
		slog.Time("started", other.Started))
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
