package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// kind is a kind of fault.
type kind string

// The kinds of faults.
const (
	killBus     kind = "kill-bus"
	termBus     kind = "term-bus"
	stopBus     kind = "stop-bus" // SIGSTOP, later SIGCONT
	jumpBus     kind = "jump-bus" // its wall clock
	fillDisk    kind = "fill-disk"
	killRunner  kind = "kill-runner"
	drainRunner kind = "drain-runner" // SIGTERM
	stopRunner  kind = "stop-runner"
	jumpRunner  kind = "jump-runner"
	cutRunner   kind = "cut-runner" // its network
	killSSHD    kind = "kill-sshd"
	killAll     kind = "kill-all"
)

// weights say how often each kind is chosen, in the order they are shown in. A full disk costs jet-bus
// half a minute until it ends itself, so it is rare.
func weights() []struct {
	kind   kind
	weight int
} {
	return []struct {
		kind   kind
		weight int
	}{
		{killBus, 16},
		{termBus, 4},
		{stopBus, 6},
		{jumpBus, 5},
		{fillDisk, 1},
		{killRunner, 28},
		{drainRunner, 8},
		{stopRunner, 12},
		{jumpRunner, 4},
		{cutRunner, 8},
		{killSSHD, 8},
		{killAll, 3},
	}
}

func kinds() []kind {
	var all []kind
	for _, w := range weights() {
		all = append(all, w.kind)
	}
	return all
}

func kindNames() []string {
	var all []string
	for _, k := range kinds() {
		all = append(all, string(k))
	}
	return all
}

// kills reports whether the fault is a SIGKILL.
func (k kind) kills() bool {
	return k == killBus || k == killRunner || k == killSSHD || k == killAll
}

// fault is one thing that is done to a part.
type fault struct {
	At     time.Duration `json:"at"` // after the start of the load
	Kind   kind          `json:"kind"`
	Target string        `json:"target"` // bus, r1, host1, all
	// For is how long it lasts: how long the part is down, frozen, cut off, full.
	For time.Duration `json:"for"`
	// Jump is by how much a clock is set off from the machine's; a fault with
	// none sets it right.
	Jump time.Duration `json:"jump,omitempty"`
}

func (f fault) String() string {
	s := fmt.Sprintf("%s %s", f.Kind, f.Target)
	switch f.Kind {
	case jumpBus, jumpRunner:
		return fmt.Sprintf("%s to %+v", s, f.Jump)
	default:
		return fmt.Sprintf("%s for %s", s, f.For)
	}
}

const (
	busName = "bus"
	allName = "all"
)

func runnerName(i int) string { return fmt.Sprintf("r%d", i+1) }
func hostName(i int) string   { return fmt.Sprintf("host%d", i+1) }

// plan returns the faults of a run. The same settings give the same faults.
func plan(s settings) []fault {
	rng := rand.New(rand.NewPCG(s.Seed, 1)) //nolint:gosec // the same for the same seed
	var from []kind
	for _, w := range weights() {
		for _, k := range s.Faults {
			for range w.weight {
				if k == w.kind {
					from = append(from, k)
				}
			}
		}
	}
	var faults []fault
	at := firstFault
	for kills := 0; s.Kills == 0 || kills < s.Kills; {
		at += min(time.Duration(rng.ExpFloat64()*float64(s.Pace)), 4*s.Pace)
		if s.For > 0 && at > s.For {
			break
		}
		f := fault{At: at, Kind: from[rng.IntN(len(from))]}
		f.aim(rng, s)
		faults = append(faults, f)
		if f.Kind.kills() {
			kills++
		}
	}
	return faults
}

// firstFault leaves the first jobs time to start.
const firstFault = 2 * time.Second

// aim chooses the target and the size of a fault.
func (f *fault) aim(rng *rand.Rand, s settings) {
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(rng.Int64N(int64(high-low))) }
	switch f.Kind {
	case killBus, termBus, stopBus, jumpBus, fillDisk:
		f.Target = busName
	case killRunner, drainRunner, stopRunner, jumpRunner, cutRunner:
		f.Target = runnerName(rng.IntN(s.Runners))
	case killSSHD:
		f.Target = hostName(rng.IntN(s.Hosts))
	case killAll:
		f.Target = allName
	}
	switch f.Kind {
	case stopBus, stopRunner, cutRunner:
		f.For = between(s.Lease/4, s.Lease*5/2)
	case jumpBus, jumpRunner:
		f.Jump = jump(rng)
	case fillDisk:
		f.For = between(s.Lease/2, 2*s.Lease)
	default:
		// Mostly it is back at once, as whoever supervises it does; sometimes it stays away for longer
		// than the lease.
		if f.For = between(0, s.Lease/4); rng.IntN(4) == 0 {
			f.For = between(s.Lease/4, s.Lease*3/2)
		}
	}
}

// farthest is how wrong a clock may be: less than half of what EVENTS keeps, so that an event does not
// become too old by a jump.
const farthest = 3 * 24 * time.Hour

// jump returns how far off a clock is from now on; every third time it is right again.
func jump(rng *rand.Rand) time.Duration {
	if rng.IntN(3) == 0 {
		return 0
	}
	unit := []time.Duration{time.Minute, time.Hour, farthest}[rng.IntN(3)]
	d := unit/8 + time.Duration(rng.Int64N(int64(unit*7/8)))
	if rng.IntN(2) == 0 {
		return -d
	}
	return d
}
