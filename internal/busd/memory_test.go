package busd

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for used, want := range map[uint64]int64{
		0: memoryGoal, memoryGoal / 2: memoryGoal, memoryGoal: memoryGoal / 2 * 3, 1 << 40: 3 << 39, math.MaxUint64: math.MaxInt64,
	} {
		if got := memoryLimit(used); got != want {
			t.Errorf("in use %d: %d, want %d", used, got, want)
		}
	}
	if used := memoryInUse(); used < 1<<20 || used > 16<<30 {
		t.Errorf("%d bytes are in use", used)
	}
}

// The limit is kept while the process works, and is the operator's where there is one.
func TestKeepMemory(t *testing.T) { // not parallel: the limit is the process's
	before := debug.SetMemoryLimit(-1)
	for name, kept := range map[string]bool{"": true, "GOGC": false, "GOMEMLIMIT": false} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			keepMemory(ctx, func(n string) string {
				if n == name {
					return "off"
				}
				return ""
			})
		}()
		if kept {
			eventually(t, "a limit", func() bool { return debug.SetMemoryLimit(-1) < before })
		} else {
			<-ended
		}
		cancel()
		<-ended
		if after := debug.SetMemoryLimit(-1); after != before {
			t.Errorf("%s: the limit is %d afterwards, was %d", name, after, before)
		}
	}
}
