package queue

import "time"

// Timing is how the hold of a runner on its jobs is kept and lost. All of it follows
// from Lease, which is a setting of the queue; runners read it from there.
//
// Nobody compares two clocks. A runner counts from when it sent its last confirmed
// sign of life, a [Scheduler] from when it saw that sign, which is later; and the one
// stops well before the other begins.
type Timing struct {
	// Lease is how long after the last sign of life that a scheduler saw it takes
	// a job back from its runner.
	Lease time.Duration
}

// DefaultTiming notices a dead runner within twelve seconds.
var DefaultTiming = Timing{Lease: 12 * time.Second}

// Heartbeat is how often a runner shows that it lives.
func (t Timing) Heartbeat() time.Duration { return t.Lease / 5 }

// Limit is how long a runner works on without a confirmed heartbeat. The rest of the
// lease is for the commands it runs to be killed.
func (t Timing) Limit() time.Duration { return t.Lease * 2 / 3 }

// Attempt is how long one write of a runner may take before it is tried again.
func (t Timing) Attempt() time.Duration { return t.Lease / 4 }
