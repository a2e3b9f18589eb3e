package queue

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// TestKnownLocks has two workers take turns on a host: a lock that a worker freed it
// takes again without reading it, unless the other had it meanwhile.
func TestKnownLocks(t *testing.T) {
	t.Parallel()
	needs := map[string]map[string]string{"a": {"is": "a"}, "b": {"is": "b"}}
	l := newLab(t, needs["a"], needs["b"])
	var reads atomic.Int64
	sub, err := l.bus.Conn.Subscribe("$JS.API.STREAM.MSG.GET."+bus.StreamRuns, func(m *nats.Msg) {
		var asked struct {
			Last string `json:"last_by_subj"`
		}
		if json.Unmarshal(m.Data, &asked) == nil && asked.Last == bus.HostLockSubject("h") {
			reads.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for name, labels := range needs {
		// With one slot, nothing is claimed before the job before is done with.
		w := &Worker{
			Queue: l.queue, Name: name, Labels: labels, Slots: 1,
			Prepare: func(_ context.Context, j Job) (Prepared, error) {
				return Prepared{Hosts: j.Limit, Run: func(context.Context, *Lease) Outcome { return Outcome{State: Succeeded} }}, nil
			},
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Work(ctx, nil) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	for i, step := range []struct {
		on    string
		reads int64
	}{{"a", 1}, {"a", 0}, {"a", 0}, {"b", 1}, {"b", 0}, {"a", 1}, {"a", 0}} {
		reads.Store(0)
		j := l.submit(Job{Playbook: "p", Limit: []string{"h"}, Needs: needs[step.on]})
		if got, _ := l.end(j.ID); got.State != Succeeded || got.Runner != step.on || got.Attempt != 1 {
			t.Fatalf("step %d: %s on %s, attempt %d", i, got.State, got.Runner, got.Attempt)
		}
		if n := reads.Load(); n != step.reads {
			t.Errorf("step %d on %s: the lock was read %d times, want %d", i, step.on, n, step.reads)
		}
	}
}
