package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// onTime is how late a time may be found that does not count as missed: about as
	// long as another jet-bus takes to go on with the work of one that is gone.
	onTime = 15 * time.Second
	// mostRuns is how many missed times are made up for at once.
	mostRuns = 1000
	// look is how long the clock goes unwatched: it may step, and the machine sleep.
	look = time.Minute
	// farAhead is from when on a cursor in the future is that of a clock that was
	// wrong. One below is waited for, so that nothing is told twice.
	farAhead = 48 * time.Hour
)

// schedule is a source.
type schedule struct {
	times times
	// spec tells the times from others.
	spec         string
	missed       string
	jitter       time.Duration
	typ, subject string
	data         json.RawMessage
}

// cursor is what a schedule remembers.
type cursor struct {
	// For is the spec that the cursor belongs to.
	For string `json:"for"`
	// Last is the last due time that was dealt with; for a new schedule, its beginning.
	Last time.Time `json:"last"`
	// Missed are times that are given up but not told. They stand here first, so that
	// one who is stopped while telling them tells the same again.
	Missed *span `json:"missed,omitempty"`
}

type span struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

// Run tells the times as they come.
func (s *schedule) Run(ctx context.Context, f source.Feed) error {
	err := s.run(ctx, f)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // whatever failed failed since it was to stop
	}
	return err
}

func (s *schedule) run(ctx context.Context, f source.Feed) error {
	c, err := s.begin(ctx, f)
	if err != nil {
		return err
	}
	for {
		if err := s.deal(ctx, f, &c); err != nil {
			return err
		}
		due, ok := s.times.next(c.Last)
		if !ok {
			f.OK(time.Time{})
			if _, err := f.Wait(ctx, time.Time{}); err != nil {
				return err
			}
			continue
		}
		at := s.at(f.Name(), due)
		f.OK(at)
		if soon := f.Now().Add(look); soon.Before(at) {
			at = soon
		}
		if _, err := f.Wait(ctx, at); err != nil {
			return err
		}
	}
}

// begin returns the cursor of the last life, or a new one: a schedule that is new, or
// that was changed, makes up for nothing.
func (s *schedule) begin(ctx context.Context, f source.Feed) (cursor, error) {
	var c cursor
	found, err := f.Load(ctx, &c)
	if err != nil {
		return cursor{}, fmt.Errorf("reading the cursor: %w", err)
	}
	if found && c.For == s.spec {
		return c, nil
	}
	c.For, c.Last = s.spec, f.Now().UTC()
	return c, s.save(ctx, f, c)
}

func (s *schedule) save(ctx context.Context, f source.Feed, c cursor) error {
	if err := f.Save(ctx, c); err != nil {
		return fmt.Errorf("saving the cursor: %w", err)
	}
	return nil
}

// deal deals with all times that have come.
func (s *schedule) deal(ctx context.Context, f source.Feed, c *cursor) error {
	for {
		if c.Missed != nil {
			if err := s.tellMissed(ctx, f, *c.Missed); err != nil {
				return err
			}
			if c.Missed.Last.After(c.Last) {
				c.Last = c.Missed.Last
			}
			c.Missed = nil
			if err := s.save(ctx, f, *c); err != nil {
				return err
			}
		}
		now := f.Now()
		if c.Last.Sub(now) > farAhead {
			f.Log().Warn("the clock was far ahead when the schedule last ran; it begins anew", "last", c.Last)
			c.Last = now.UTC()
			if err := s.save(ctx, f, *c); err != nil {
				return err
			}
		}
		runs, missed, err := s.come(ctx, f.Name(), c.Last, now)
		if err != nil || len(runs) == 0 && missed == nil {
			return err
		}
		if missed != nil {
			c.Missed = missed
			if err := s.save(ctx, f, *c); err != nil {
				return err
			}
			continue
		}
		for _, due := range runs {
			if err := s.tell(ctx, f, due); err != nil {
				return err
			}
			c.Last = due
			if err := s.save(ctx, f, *c); err != nil {
				return err
			}
		}
	}
}

// come returns which of the times that have come by now are to be told, and which
// before them are given up.
func (s *schedule) come(ctx context.Context, name string, last, now time.Time) ([]time.Time, *span, error) {
	p, err := passed(ctx, s.times, last, now, mostRuns+2)
	if err != nil || p.count == 0 {
		return nil, nil, err
	}
	end := len(p.latest) - 1
	latest := s.at(name, p.latest[end])
	if latest.After(now) { // only the latest can be, since the next one is due after it
		p.latest = p.latest[:end]
		if p.count--; p.count == 0 {
			return nil, nil, nil
		}
		latest = s.at(name, p.latest[end-1])
	}
	keep := 1
	switch {
	case s.missed == missedAll:
		keep = min(p.count, mostRuns)
	case s.missed == missedSkip && now.Sub(latest) > onTime:
		keep = 0
	}
	cut := len(p.latest) - keep
	if p.count == keep {
		return p.latest, nil, nil
	}
	return p.latest[cut:], &span{First: p.first, Last: p.latest[cut-1], Count: p.count - keep}, nil
}

// at returns when a due time is told: later by its jitter, which is always the same,
// and never as late as the next one is due.
func (s *schedule) at(name string, due time.Time) time.Time {
	most := s.jitter
	if most == 0 {
		return due
	}
	if next, ok := s.times.next(due); ok {
		most = min(most, next.Sub(due))
	}
	sum := sha256.Sum256([]byte(id(name, due)))
	part := time.Duration(binary.BigEndian.Uint64(sum[:])>>1) % most
	return due.Add(part.Truncate(time.Millisecond))
}

func id(name string, due time.Time) string { return name + ":" + due.UTC().Format(time.RFC3339) }

// tell publishes the event of one due time. Its time is when it was due.
func (s *schedule) tell(ctx context.Context, f source.Feed, due time.Time) error {
	typ, publish := s.typ, f.Publish
	var data any
	if s.data != nil {
		data = s.data
	}
	if typ == "" {
		late := max(0, f.Now().Sub(s.at(f.Name(), due)))
		typ, publish = events.TypeScheduleDue, f.Tell
		data = events.ScheduleDue{Schedule: f.Name(), Due: due.UTC(), LateMS: late.Milliseconds(), Data: s.data}
	}
	e, err := s.event(f.Name(), id(f.Name(), due), typ, due, data)
	if err != nil {
		return err
	}
	if err := publish(ctx, e); err != nil {
		return fmt.Errorf("telling that %s is due: %w", due.UTC().Format(time.RFC3339), err)
	}
	return nil
}

// tellMissed tells the times that are given up.
func (s *schedule) tellMissed(ctx context.Context, f source.Feed, m span) error {
	data := events.ScheduleMissed{Schedule: f.Name(), First: m.First.UTC(), Last: m.Last.UTC(), Count: m.Count}
	e, err := s.event(f.Name(), id(f.Name()+":missed", m.First), events.TypeScheduleMissed, f.Now(), data)
	if err != nil {
		return err
	}
	if err := f.Tell(ctx, e); err != nil {
		return fmt.Errorf("telling what was missed: %w", err)
	}
	return nil
}

func (s *schedule) event(name, id, typ string, at time.Time, data any) (events.Event, error) {
	e, err := events.New(source.Of(name), typ, data)
	if err != nil {
		return events.Event{}, err
	}
	e.SetID(id)
	e.SetTime(at.UTC())
	e.SetSubject(name)
	if s.subject != "" {
		e.SetSubject(s.subject)
	}
	return e, nil
}

// digest tells one list of times from another.
func digest(list []time.Time) string {
	h := sha256.New()
	for _, t := range list {
		_, _ = fmt.Fprintln(h, t.Unix()) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
