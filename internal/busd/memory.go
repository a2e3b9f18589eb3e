package busd

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryGoal is what the process keeps to, in bytes, by collecting garbage sooner than
	// it would by itself, which is when that is as much as all that is in use.
	memoryGoal = 128 << 20
	// memoryCheck is how often it is looked at what is in use.
	memoryCheck = time.Second
)

// keepMemory keeps the process to memoryGoal until ctx ends, or, when it needs more, to that
// and half of it for garbage. What the operator has set for the runtime stays.
func keepMemory(ctx context.Context, getenv func(string) string) {
	if getenv("GOMEMLIMIT") != "" || getenv("GOGC") != "" {
		return
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryGoal))
	tick := time.NewTicker(memoryCheck)
	defer tick.Stop()
	for {
		debug.SetMemoryLimit(memoryLimit(memoryInUse()))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// memoryLimit is the limit for a process that has so much in use.
func memoryLimit(used uint64) int64 {
	if used > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return max(memoryGoal, int64(used+used/2))
}

// memoryInUse is what cannot be collected: what was live at the last collection, and all
// that is not for objects.
func memoryInUse() uint64 {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		// What of the total is for objects, and not in use by live ones:
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	used := samples[0].Value.Uint64() + samples[1].Value.Uint64()
	for _, s := range samples[2:] {
		used -= min(used, s.Value.Uint64())
	}
	return used
}
