package busserver_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// What a server does to its files under the scrub is no damage: it begins blocks,
// compacts and removes them.
func TestScrubBesideTheServer(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 30 << 20, RunsMaxBytes: 60 << 20}))
	runs, err := b.JS.Stream(t.Context(), bus.StreamRuns)
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	written := make(chan error, 1)
	go func() {
		defer done.Store(true)
		written <- func() error {
			for i := range 400 {
				m := &nats.Msg{Subject: fmt.Sprintf("run.%d.t", i%7), Data: make([]byte, 100<<10)}
				if _, _, err := b.Publish(t.Context(), m); err != nil {
					return err
				}
				if i%40 == 39 {
					if err := runs.Purge(t.Context(), jetstream.WithPurgeSubject(fmt.Sprintf("run.%d.t", i%5))); err != nil {
						return err
					}
				}
			}
			return runs.Purge(t.Context(), jetstream.WithPurgeSequence(100))
		}()
	}()
	ledger := busserver.Ledger{}
	what := busserver.Scrub{Dir: s.Options().Dir, Rate: 1 << 40}
	var read int64
	for last := false; ; last = done.Load() {
		what.Since = time.Now() // all of them, each time
		n, err := ledger.Scrub(t.Context(), what)
		if err != nil {
			t.Error(err)
			break
		}
		read += n
		if last {
			break
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if n := len(ledger[bus.StreamRuns]); n < 3 {
		t.Errorf("%d blocks were checked, the test wants three", n)
	}
	if read < 3<<20 {
		t.Errorf("it says that it read %d bytes, and these are more", read)
	}
}
