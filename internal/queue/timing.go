package queue

import "time"

// Timing is how a lease is kept. All of it follows from AckWait, which is a
// setting of the queue; runners read it from there.
type Timing struct {
	// AckWait is how long after the last sign of life the bus hands a job to
	// another runner.
	AckWait time.Duration
}

// DefaultTiming notices a dead runner within ten seconds.
var DefaultTiming = Timing{AckWait: 10 * time.Second}

// Heartbeat is how often a runner shows that it lives.
func (t Timing) Heartbeat() time.Duration { return t.AckWait / 4 }

// Limit is how long a runner works on without a confirmed heartbeat. It stops
// before the job can be handed to another: Limit < AckWait + Grace, with room
// for the commands it runs to be killed.
func (t Timing) Limit() time.Duration { return t.AckWait * 8 / 10 }

// Loss is how long after the last sign of life that it saw a scheduler takes a job
// back. It does not know when the sign was sent, only that it was before; so it need
// not be longer than AckWait + Grace.
func (t Timing) Loss() time.Duration { return t.AckWait + t.Grace() }

// Grace is how long a successor waits before its first task.
func (t Timing) Grace() time.Duration { return t.AckWait * 2 / 10 }
