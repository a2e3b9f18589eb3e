package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// mark is when the stations of one event were reached: sent, its result and its end seen by the
// viewer.
type mark struct {
	sent, result, end time.Time
}

// view follows the stream of runs as a viewer does, and notes when it sees what became of events.
type view struct {
	mu sync.Mutex
	// open are the events on their way, by the subjects on which their result and their end come.
	open   map[string]*mark
	failed int           // jobs that did not succeed
	idle   chan struct{} // closed when open is empty
	gone   chan struct{} // closed when nothing is seen any more
}

func newView() *view {
	return &view{open: make(map[string]*mark), gone: make(chan struct{})}
}

// expect has the view note what becomes of the jobs in marks, by id. It must be called before
// their events are sent, and not before those of the last call are through.
func (v *view) expect(marks map[string]*mark) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = 0
	v.idle = make(chan struct{})
	for id, m := range marks {
		v.open[bus.ResultSubject(id)] = m
		v.open[bus.StateSubject(id)] = m
	}
}

// wait returns when all that is expected has been seen.
func (v *view) wait(ctx context.Context) error {
	select {
	case <-v.idle:
	case <-v.gone:
		return errors.New("wait for the results: nothing is seen any more")
	case <-ctx.Done():
		v.mu.Lock()
		defer v.mu.Unlock()
		return fmt.Errorf("wait for the results: %d results and ends missing: %w", len(v.open), context.Cause(ctx))
	}
	if v.failed > 0 {
		return fmt.Errorf("%d jobs did not succeed", v.failed)
	}
	return nil
}

// follow notes what is seen until ctx ends.
func (v *view) follow(ctx context.Context, b *bus.Bus) error {
	defer close(v.gone)
	for m, err := range b.Tail(ctx, bus.StreamRuns, "run.>", bus.TailOptions{Follow: true}) {
		if err != nil {
			return err
		}
		if err := v.see(m, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// see notes one message.
func (v *view) see(m bus.Msg, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.open[m.Subject]
	if !ok {
		return nil
	}
	if m.Subject[len(m.Subject)-1] == 's' {
		var j struct {
			State queue.State `json:"state"`
		}
		if err := json.Unmarshal(m.Data, &j); err != nil {
			return fmt.Errorf("decode the state at sequence %d: %w", m.Seq, err)
		}
		if !j.State.Terminal() {
			return nil
		}
		if j.State != queue.Succeeded {
			v.failed++
		}
		at.end = now
	} else {
		at.result = now
	}
	delete(v.open, m.Subject)
	if len(v.open) == 0 {
		close(v.idle)
	}
	return nil
}
