package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	// OK means that nothing is to be done.
	OK Level = "ok"
	// Warning means that all works, and that something may come of it.
	Warning Level = "warning"
	// Fault means that something does not work.
	Fault Level = "fault"
)

// Finding is the result of one check.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	// Text says what is so, Do what to do about it; Do is empty if all is well.
	Text string `json:"text"`
	Do   string `json:"do,omitempty"`
}

// Options says what is known beside the connection.
type Options struct {
	// CredsFile is the credentials file in use.
	CredsFile string
	// Data is the data directory of this bus, if it is on this machine.
	Data string
}

// examination is one visit.
type examination struct {
	o     Options
	bus   *bus.Bus
	queue *queue.Queue

	check string
	found []Finding
	// clock is how far the server's clock is ahead of ours.
	clock time.Duration
	// jobs are those that have not ended, room is how much more the streams may grow.
	jobs []queue.Record
	room int64
}

// Examine makes every check. A check that cannot be made is a fault of its own; ctx
// ends the waiting for a bus that does not answer.
func Examine(ctx context.Context, b *bus.Bus, o Options) []Finding {
	e := &examination{o: o, bus: b, queue: queue.New(b, nil)}
	for _, c := range []struct {
		name string
		make func(context.Context) error
	}{
		{"connection", e.connection},
		{"credentials", e.credentials},
		{"server", e.server},
		{"clock", e.clocks},
		{"store", e.store},
		{"streams", e.streams},
		{"fill", e.fill},
		{"disk", e.disk},
		{"durability", e.durability},
		{"rules", e.rules},
		{"content", e.content},
		{"events", e.events},
		{"unreadable", e.unreadable},
		{"jobs", e.running},
		{"runners", e.runners},
		{"queues", e.queues},
		{"notify", e.notifications},
		{"delivery", e.subscriptions},
		{"sources", e.sources},
		{"paused", e.paused},
	} {
		e.check = c.name
		if err := c.make(ctx); err != nil {
			e.fault("look at the bus with credentials of the role admin or viewer, and see that it answers", "cannot be seen: %s", err)
		}
		if c.name == "connection" && Count(e.found, Fault) > 0 {
			break // the rest would only wait for answers that do not come
		}
	}
	return e.found
}

func (e *examination) ok(format string, args ...any) {
	e.found = append(e.found, Finding{Check: e.check, Level: OK, Text: fmt.Sprintf(format, args...)})
}

func (e *examination) warn(do, format string, args ...any) {
	e.found = append(e.found, Finding{Check: e.check, Level: Warning, Text: fmt.Sprintf(format, args...), Do: do})
}

func (e *examination) fault(do, format string, args ...any) {
	e.found = append(e.found, Finding{Check: e.check, Level: Fault, Text: fmt.Sprintf(format, args...), Do: do})
}

// age is how long ago the server stored something, by its own clock.
func (e *examination) age(stored time.Time) time.Duration {
	return max(time.Since(stored)+e.clock, 0).Round(time.Second)
}

// Count returns how many findings are of a level.
func Count(found []Finding, l Level) int {
	n := 0
	for _, f := range found {
		if f.Level == l {
			n++
		}
	}
	return n
}
