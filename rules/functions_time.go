package rules

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones for machines that have none; 450 KB of the program
)

// timeParam is a time that may be text; zoneParam is a zone.
func timeParam() param {
	return param{kind: timeKind, prepare: func(s string) (any, error) { return timeOf(s) }}
}

func zoneParam() param { return param{kind: textKind, prepare: prepareZone} }

func timeFunctions() []function {
	list := []function{
		{
			Function: Function{
				"date", "date(value[, layout[, zone]]) time",
				"The time that a text or a number means: RFC 3339, a date alone (its midnight), or seconds since 1970. Other " +
					"texts need a layout, written as [Go does](https://pkg.go.dev/time#Layout): how 2006-01-02 15:04:05 would " +
					"stand there. What names no zone is in the given one, or in UTC. Times compare by `<`, `==` and so on; " +
					"time minus time is a duration, time plus or minus a duration a time.",
				[]Example{
					{`date(event.data.at)`, `{"at": "2026-03-01T08:30:00+02:00"}`, `"2026-03-01T06:30:00Z"`},
					{`date("2026-03-01") < now`, ``, `true`},
					{`date(1767225600)`, ``, `"2026-01-01T00:00:00Z"`},
					{`date("1 Jul 2026, 14:00", "2 Jan 2006, 15:04", "Europe/Berlin")`, ``, `"2026-07-01T12:00:00Z"`},
				},
			},
			params: []param{{kind: timeKind}, {kind: textKind}, zoneParam()}, least: 1,
			returns: returns[time.Time](), body: date,
		},
		{
			Function: Function{
				"age", "age(value) duration",
				"How long ago a time was when the event was stored, which is `now`; less than nothing for a time to come. The " +
					"time may be anything that `date` takes alone.",
				[]Example{
					{`age(event.data.created) > duration("7d")`, `{"created": "2026-02-20T00:00:00Z"}`, `true`},
					{`age("2026-03-02T09:30:00Z")`, ``, `"30m0s"`},
				},
			},
			clock: true, params: []param{timeParam()}, least: 1, returns: returns[time.Duration](),
			body: func(c *call) (any, error) {
				t, err := timeOf(c.args[1])
				if err != nil {
					return nil, err
				}
				return c.args[0].(time.Time).Sub(t), nil
			},
		},
		{
			Function: Function{
				"duration", "duration(text) duration",
				"A length of time, such as `90s`, `1h30m` or `7d`; the units are `ns`, `us`, `ms`, `s`, `m`, `h`, `d` of 24 " +
					"hours, and `w`. Durations compare, add and subtract, and a number times a duration is one.",
				[]Example{
					{`duration("1d12h") == duration("36h")`, ``, `true`},
					{`now - duration("1w")`, ``, `"2026-02-23T10:00:00Z"`},
					{`2 * duration("45m")`, ``, `"1h30m0s"`},
				},
			},
			params: []param{{kind: textKind, prepare: prepareDuration}}, least: 1, returns: returns[time.Duration](),
			body: func(c *call) (any, error) { return c.args[0], nil },
		},
		{
			Function: Function{
				"inZone", "inZone(time, zone) time",
				"The same moment as the clocks of a zone show it. Zones have the names of the tz database, such as " +
					"`Europe/Berlin`, or are `UTC`.",
				[]Example{{`inZone("2026-07-01T10:00:00Z", "Europe/Berlin")`, ``, `"2026-07-01T12:00:00+02:00"`}},
			},
			params: []param{timeParam(), zoneParam()}, least: 2, returns: returns[time.Time](),
			body: func(c *call) (any, error) { return c.moment(1) },
		},
		{
			Function: Function{
				"format", "format(time, layout[, zone]) text",
				"A time as text, by a layout as `date` has.",
				[]Example{
					{`format(now, "2006-01-02")`, ``, `"2026-03-02"`},
					{`format(now, "Mon 15:04", "America/New_York")`, ``, `"Mon 05:00"`},
				},
			},
			params: []param{timeParam(), {kind: textKind}, zoneParam()}, least: 2,
			returns: returns[string](), body: func(c *call) (any, error) {
				t, err := c.moment(2)
				if err != nil {
					return nil, err
				}
				if len(c.text(1)) > 256 {
					return nil, errors.New("a layout has at most 256 characters")
				}
				return t.Format(c.text(1)), nil
			},
		},
		{
			Function: Function{
				"unix", "unix(time) number", "The whole seconds from the beginning of 1970 to a time.",
				[]Example{{`unix("2026-01-01")`, ``, `1767225600`}},
			},
			params: []param{timeParam()}, least: 1, returns: returns[int](),
			body: timePart(func(t time.Time) any { return int(t.Unix()) }),
		},
		hoursFunction(),
	}
	return append(list, datePartFunctions()...)
}

// datePartFunctions are those that take one part of a time.
func datePartFunctions() []function {
	var list []function
	for _, part := range []struct {
		name, text, example, result string
		of                          func(time.Time) any
	}{
		{"year", "The year of a time", `year(now)`, `2026`, func(t time.Time) any { return t.Year() }},
		{"month", "The month of a time, 1 to 12", `month("2026-12-31T23:30:00Z", "Europe/Berlin")`, `1`, func(t time.Time) any { return int(t.Month()) }},
		{"day", "The day of the month, 1 to 31", `day(now)`, `2`, func(t time.Time) any { return t.Day() }},
		{"hour", "The hour of a time, 0 to 23", `hour(now, "Asia/Kolkata")`, `15`, func(t time.Time) any { return t.Hour() }},
		{"minute", "The minute of a time, 0 to 59", `minute(now, "Asia/Kolkata")`, `30`, func(t time.Time) any { return t.Minute() }},
		{
			"weekday", "The day of the week: `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`", `weekday(now) in ["sat", "sun"]`, `false`,
			func(t time.Time) any { return weekdayNames[t.Weekday()] },
		},
	} {
		f := function{
			Function: Function{
				part.name, part.name + "(time[, zone]) number",
				part.text + "; in UTC, unless a zone is given or the time came from `inZone`.",
				[]Example{{part.example, ``, part.result}},
			},
			params: []param{timeParam(), zoneParam()}, least: 1, returns: returns[int](), body: timePart(part.of),
		}
		if part.name == "weekday" {
			f.Signature, f.returns = "weekday(time[, zone]) text", returns[string]()
		}
		list = append(list, f)
	}
	return list
}

func timePart(of func(time.Time) any) func(*call) (any, error) {
	return func(c *call) (any, error) {
		t, err := c.moment(1)
		if err != nil {
			return nil, err
		}
		return of(t), nil
	}
}

// moment returns argument 0, a time, in the zone that argument zone may give.
func (c *call) moment(zone int) (time.Time, error) {
	t, err := timeOf(c.args[0])
	if err != nil {
		return t, err
	}
	if c.given(zone) {
		t = t.In(c.args[zone].(*time.Location))
	}
	return t, nil
}

// timeOf returns the time that v, of kind time, means.
func timeOf(v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
			if t, err := time.Parse(layout, v); err == nil {
				return t.UTC(), nil
			}
		}
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-03-02T10:00:00Z or 2026-03-02", short(v))
	case float64:
		if !(math.Abs(v) < 1<<37) {
			break
		}
		whole, part := math.Modf(v)
		return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), nil
	default:
		if n, ok := whole(v); ok && n > -1<<37 && n < 1<<37 {
			return time.Unix(n, 0).UTC(), nil
		}
	}
	return time.Time{}, errors.New("the number is too large for seconds since 1970")
}

func date(c *call) (any, error) {
	s, ok := c.args[0].(string)
	if !ok || !c.given(1) {
		return timeOf(c.args[0])
	}
	zone := time.UTC
	if c.given(2) {
		zone = c.args[2].(*time.Location)
	}
	t, err := time.ParseInLocation(c.text(1), s, zone)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time like %q", short(s), short(c.text(1)))
	}
	return t.UTC(), nil
}

func prepareZone(s string) (any, error) {
	if s != "" && s != "Local" && len(s) <= 64 {
		if zone, err := time.LoadLocation(s); err == nil {
			return zone, nil
		}
	}
	return nil, fmt.Errorf("%q is not a time zone such as Europe/Berlin or UTC", short(s))
}

// prepareDuration takes what [time.ParseDuration] takes, and weeks and days
// before it.
func prepareDuration(s string) (any, error) {
	fault := fmt.Errorf("%q is not a duration such as 90s, 1h30m or 7d", short(s))
	if len(s) > 64 {
		return nil, fault
	}
	rest, negative := strings.CutPrefix(s, "-")
	var sum time.Duration
	for _, unit := range []struct {
		name string
		days float64
	}{{"w", 7}, {"d", 1}} {
		n, after, ok := strings.Cut(rest, unit.name)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(n, 64)
		if err != nil || strings.Trim(n, "0123456789.") != "" || x*unit.days > 50_000 {
			return nil, fault
		}
		sum += time.Duration(x * unit.days * float64(24*time.Hour))
		rest = after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || strings.ContainsAny(rest[:1], "+-") && rest != s || d > 100*365*24*time.Hour {
			return nil, fault
		}
		sum += d
	} else if strings.Trim(s, "-") == "" {
		return nil, fault
	}
	if negative {
		sum = -sum
	}
	return sum, nil
}
