package schedule

import (
	"math/bits"
	"time"
)

// cycle is after how many years the calendar repeats itself, weekdays included.
// What has not come by then never comes.
const cycle = 400

// cron is the times of a cron line. It is not changed after [parseCron].
type cron struct {
	minute, hour, day, month, weekday set
	// anyDay and anyWeekday say that the field begins with a *.
	anyDay, anyWeekday bool
	// fixed says that the hours are written out, see the package comment.
	fixed bool
	zone  *time.Location
}

// set holds small numbers, as bits.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// from returns the least member that is not below n.
func (s set) from(n int) (int, bool) {
	rest := s >> n
	if n > 63 || rest == 0 {
		return 0, false
	}
	return n + bits.TrailingZeros64(uint64(rest)), true
}

// next returns the first due time after an instant, false if there is none.
func (c *cron) next(after time.Time) (time.Time, bool) {
	if c.fixed {
		return c.nextFixed(after)
	}
	return c.nextReal(after)
}

// nextFixed goes along the calendar, and asks of each time that the fields name when
// a clock in the zone first shows it, or a later one. That never decreases.
func (c *cron) nextFixed(after time.Time) (time.Time, bool) {
	for shown := c.shown(after); ; {
		var ok bool
		if shown, ok = c.following(shown); !ok {
			return time.Time{}, false
		}
		if t := c.reached(shown); t.After(after) {
			return t, true
		}
	}
}

// nextReal goes along the time itself, from one change of the zone's offset to the
// next, and finds the first minute in which the clock shows what the fields name.
func (c *cron) nextReal(after time.Time) (time.Time, bool) {
	from := c.shown(after)
	for t := after; t.Year() <= after.Year()+cycle; {
		shown, ok := c.following(from)
		if !ok {
			return time.Time{}, false
		}
		offset, _, end := c.stretch(t)
		at := shown.Add(-offset)
		if end.IsZero() || at.Before(end) {
			return at, true
		}
		t = end
		from = c.shown(end).Add(-1) // the first moment counts
	}
	return time.Time{}, false
}

// stretch returns the zone's offset at t, and from when until when it surely is that:
// a zero time means for ever.
func (c *cron) stretch(t time.Time) (offset time.Duration, start, end time.Time) {
	local := t.In(c.zone)
	_, seconds := local.Zone()
	start, end = local.ZoneBounds()
	// In a leap year, a stretch that the standard library takes to the end of the year
	// ends a day early, before t.
	if !end.IsZero() && !end.After(t) {
		end = t.Add(time.Hour)
	}
	return time.Duration(seconds) * time.Second, start, end
}

// shown returns what a clock in the zone shows at t, as a time in UTC.
func (c *cron) shown(t time.Time) time.Time {
	_, offset := t.In(c.zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// reached returns when a clock in the zone first shows the given time, or a later one.
func (c *cron) reached(shown time.Time) time.Time {
	const farthest = 26 * time.Hour // no offset is as large
	for t := shown.Add(-farthest); ; {
		offset, start, end := c.stretch(t)
		at := shown.Add(-offset)
		switch {
		case !start.IsZero() && at.Before(start):
			return start.UTC()
		case end.IsZero() || at.Before(end):
			return at
		}
		t = end
	}
}

// following returns the first time after shown that the fields name. Both are what a
// clock shows, written as times in UTC.
func (c *cron) following(shown time.Time) (time.Time, bool) {
	t := shown.Truncate(time.Minute).Add(time.Minute)
	hour, minute := t.Hour(), t.Minute()
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	for last := t.Year() + cycle; day.Year() <= last; hour, minute = 0, 0 {
		if !c.month.has(int(day.Month())) {
			day = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.onDay(day) {
			if h, m, ok := c.inDay(hour, minute); ok {
				return day.Add(time.Duration(h*60+m) * time.Minute), true
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// onDay reports whether the fields name the day, whatever its month.
func (c *cron) onDay(day time.Time) bool {
	inMonth, inWeek := c.day.has(day.Day()), c.weekday.has(int(day.Weekday()))
	if c.anyDay || c.anyWeekday {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// inDay returns the first time of a day that is not before the given one.
func (c *cron) inDay(hour, minute int) (h, m int, ok bool) {
	h, ok = c.hour.from(hour)
	if !ok {
		return 0, 0, false
	}
	if h > hour {
		minute = 0
	}
	if m, ok = c.minute.from(minute); ok {
		return h, m, true
	}
	if h, ok = c.hour.from(h + 1); !ok {
		return 0, 0, false
	}
	m, ok = c.minute.from(0)
	return h, m, ok
}
