package schedule

import (
	"context"
	"time"
)

// times are the due times of a schedule: instants on whole seconds, in UTC.
type times interface {
	// next returns the first one after an instant, false if there is none.
	next(after time.Time) (time.Time, bool)
}

// every are the multiples of an interval since 1970, so that all lives of a schedule
// agree on them. It is whole seconds.
type every time.Duration

func (e every) next(after time.Time) (time.Time, bool) {
	step := int64(time.Duration(e) / time.Second)
	now := after.Unix()
	n := now / step
	if now < 0 && now%step != 0 {
		n--
	}
	return time.Unix((n+1)*step, 0).UTC(), true
}

// dates are given times, the earliest first.
type dates []time.Time

func (d dates) next(after time.Time) (time.Time, bool) {
	for _, t := range d {
		if t.After(after) {
			return t, true
		}
	}
	return time.Time{}, false
}

// past is which due times have passed: how many, the first, and the latest of them.
type past struct {
	first  time.Time
	count  int
	latest []time.Time
}

// passed returns the due times after one instant and not after another, of the latest
// at least keep, if there are as many.
func passed(ctx context.Context, of times, after, until time.Time, keep int) (past, error) {
	var p past
	for t, ok := of.next(after); ok && !t.After(until); t, ok = of.next(t) {
		if p.count == 0 {
			p.first = t
		}
		p.count++
		if len(p.latest) >= 2*keep {
			p.latest = append(p.latest[:0], p.latest[keep:]...)
		}
		p.latest = append(p.latest, t)
		if p.count%(1<<16) == 0 && ctx.Err() != nil {
			return past{}, context.Cause(ctx)
		}
	}
	return p, nil
}
