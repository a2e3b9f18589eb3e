package busd

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The memory of the start is given back once, buffers in pools included, unless jet-bus ends before.
func TestSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if settle(ended); time.Since(start) != 0 {
			t.Errorf("it outlasts the process by %s", time.Since(start))
		}
		var pool sync.Pool
		pool.Put(new([1 << 20]byte))
		if settle(t.Context()); time.Since(start) != settleAfter {
			t.Errorf("it took %s, want %s", time.Since(start), settleAfter)
		}
		if pool.Get() != nil {
			t.Error("what a pool held is still there")
		}
	})
}
