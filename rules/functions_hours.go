package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// weekdayNames are the days as rules name them, by [time.Weekday].
var weekdayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// weekdays tells for each [time.Weekday] whether it is meant.
type weekdays [7]bool

// hours are spans of a day.
type hours struct{ spans []hourSpan }

// hourSpan is from one minute of a day to before another; the second is the
// smaller one if midnight lies between.
type hourSpan struct{ from, to int }

const dayMinutes = 24 * 60

func hoursFunction() function {
	return function{
		Function: Function{
			"businessHours", "businessHours(time, zone, days, hours) bool",
			"Whether a time is in certain hours of certain days, by the clocks of a zone. Days are names and ranges of names, " +
				"such as `mon-fri` or `mon-wed,sat`; hours are spans such as `09:00-17:00` or `08:00-12:00,13:00-17:00`, whose " +
				"end is not in them. A span over midnight, such as `22:00-06:00`, belongs to the day on which it begins.",
			[]Example{
				{`businessHours(now, "Europe/Berlin", "mon-fri", "09:00-17:00")`, ``, `true`},
				{`businessHours("2026-03-07T12:00:00Z", "UTC", "mon-fri", "09:00-17:00")`, ``, `false`},
				{`businessHours("2026-03-07T03:00:00Z", "UTC", "mon-fri", "22:00-06:00")`, ``, `true`},
			},
		},
		params: []param{
			timeParam(), zoneParam(), {kind: textKind, prepare: prepareDays}, {kind: textKind, prepare: prepareHours},
		},
		least: 4, returns: returns[bool](), body: businessHours,
	}
}

func businessHours(c *call) (any, error) {
	t, err := c.moment(1)
	if err != nil {
		return nil, err
	}
	days, open := c.args[2].(weekdays), c.args[3].(*hours)
	day, minute := int(t.Weekday()), t.Hour()*60+t.Minute()
	before := (day + 6) % 7
	for _, s := range open.spans {
		switch {
		case s.from < s.to && days[day] && minute >= s.from && minute < s.to,
			s.from >= s.to && days[day] && minute >= s.from,
			s.from >= s.to && days[before] && minute < s.to:
			return true, nil
		}
	}
	return false, nil
}

func prepareDays(s string) (any, error) {
	fault := fmt.Errorf("%q does not name days such as mon-fri or mon,wed", short(s))
	if len(s) > 256 {
		return nil, fault
	}
	var days weekdays
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from := weekdayOf(first)
		to := from
		if isRange {
			to = weekdayOf(last)
		}
		if from < 0 || to < 0 {
			return nil, fault
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func weekdayOf(name string) int {
	for i, n := range weekdayNames {
		if n == name {
			return i
		}
	}
	return -1
}

func prepareHours(s string) (any, error) {
	fault := fmt.Errorf("%q does not name hours such as 09:00-17:00", short(s))
	if len(s) > 256 {
		return nil, fault
	}
	h := &hours{}
	for part := range strings.SplitSeq(s, ",") {
		first, last, _ := strings.Cut(strings.TrimSpace(part), "-")
		from, ok := minuteOf(first)
		to, ok2 := minuteOf(last)
		if !ok || !ok2 || from == to || from == dayMinutes {
			return nil, fault
		}
		h.spans = append(h.spans, hourSpan{from, to})
	}
	return h, nil
}

// minuteOf returns the minute of the day that HH:MM is, up to 24:00.
func minuteOf(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	hour, err := strconv.ParseUint(s[:2], 10, 8)
	minute, err2 := strconv.ParseUint(s[3:], 10, 8)
	m := int(hour*60 + minute)
	return m, err == nil && err2 == nil && minute < 60 && m <= dayMinutes
}
