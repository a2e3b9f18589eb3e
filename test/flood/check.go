package flood

import (
	"bytes"
	"context"
	"strings"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// check compares what was accepted with what is on the bus.
func (l *load) check(ctx context.Context, r *Report, srv *server) error {
	b, err := bus.Connect(ctx, bus.Options{URL: srv.address.Bus, CredsFile: access.CredsFile(srv.data, "admin")})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(ctx) }() // nothing is written on it
	c := newComparison(r, l.accepted)
	for m, err := range b.Tail(ctx, bus.StreamEvents, bus.AllOfClass(bus.ClassExternal, ""), bus.TailOptions{}) {
		if err != nil {
			return err
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			r.faults.add("what is stored at %d cannot be read: %v", m.Seq, err)
			continue
		}
		c.add(event{e.Source(), e.ID()}, stored{m.Seq, e.Data()})
	}
	c.end()
	return nil
}

// comparison is of what was accepted with what is stored.
type comparison struct {
	report   *Report
	accepted map[event]stored
	times    map[event]int
}

func newComparison(r *Report, accepted map[event]stored) *comparison {
	return &comparison{report: r, accepted: accepted, times: map[event]int{}}
}

// add is told of every event that is stored.
func (c *comparison) add(key event, is stored) {
	r := c.report
	c.times[key]++
	want, ok := c.accepted[key]
	switch {
	case strings.HasPrefix(key.id, unsaid):
		r.faults.add("event %s was refused, and is stored at %d", key.id, is.seq)
	case !ok:
		r.Unanswered++ // its sender gave up before it was told
	case want.seq != is.seq:
		r.faults.add("event %s was accepted at %d, and is stored at %d", key.id, want.seq, is.seq)
	case !bytes.Equal(want.body, is.body):
		r.faults.add("event %s at %d is not what was sent", key.id, is.seq)
	default:
		r.Found++
	}
}

// end is told when those are all.
func (c *comparison) end() {
	r := c.report
	r.Accepted = len(c.accepted)
	for key, n := range c.times {
		if n > 1 {
			r.Doubled++
			r.faults.add("event %s is stored %d times", key.id, n)
		}
	}
	for key, want := range c.accepted {
		if c.times[key] == 0 {
			r.Lost++
			r.faults.add("event %s was accepted at %d and is lost", key.id, want.seq)
		}
	}
}
