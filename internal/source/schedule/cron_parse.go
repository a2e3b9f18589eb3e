package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is what one field of a cron line may hold.
type field struct {
	name        string
	least, most int
	// words are what the values may be called, the first for the least.
	words []string
}

// cronFields returns the five fields, in their order.
func cronFields() [5]field {
	months := strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")
	days := strings.Fields("sun mon tue wed thu fri sat")
	return [...]field{
		{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day", 1, 31, nil}, {"month", 1, 12, months}, {"weekday", 0, 7, days},
	}
}

// cronShort are the lines that have a name.
func cronShort(name string) (string, bool) {
	switch name {
	case "@yearly", "@annually":
		return "0 0 1 1 *", true
	case "@monthly":
		return "0 0 1 * *", true
	case "@weekly":
		return "0 0 * * 0", true
	case "@daily", "@midnight":
		return "0 0 * * *", true
	case "@hourly":
		return "0 * * * *", true
	default:
		return "", false
	}
}

// maxCron is the most bytes of a cron line.
const maxCron = 1024

// parseCron reads a cron line; its times are those of the zone.
func parseCron(text string, zone *time.Location) (*cron, error) {
	if len(text) > maxCron {
		return nil, fmt.Errorf("is longer than %d characters", maxCron)
	}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "@") {
		long, ok := cronShort(strings.ToLower(text))
		if !ok {
			return nil, fmt.Errorf("%q is unknown; there are @hourly, @daily, @weekly, @monthly and @yearly, and every for an interval", text)
		}
		text = long
	}
	parts := strings.Fields(text)
	if len(parts) > 0 && strings.Contains(parts[0], "TZ=") {
		return nil, errors.New("a zone has a key of its own: zone")
	}
	if len(parts) != 5 {
		return nil, fmt.Errorf("%q has %d fields; there are five: minute, hour, day of the month, month, weekday", text, len(parts))
	}
	c := &cron{zone: zone, fixed: !strings.ContainsAny(parts[1], "*/")}
	c.anyDay, c.anyWeekday = strings.HasPrefix(parts[2], "*"), strings.HasPrefix(parts[4], "*")
	into := [5]*set{&c.minute, &c.hour, &c.day, &c.month, &c.weekday}
	var errs []error
	for i, f := range cronFields() {
		s, err := f.parse(parts[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", f.name, parts[i], err))
		}
		*into[i] = s
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.weekday.has(7) {
		c.weekday |= 1 // Sunday has two numbers
	}
	// Any moment would do: what comes once comes in every cycle.
	if _, ok := c.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return nil, fmt.Errorf("%q never comes", text)
	}
	return c, nil
}

// parse reads a list of values, ranges and steps.
func (f field) parse(text string) (set, error) {
	var all set
	for term := range strings.SplitSeq(text, ",") {
		s, err := f.parseTerm(term)
		if err != nil {
			return 0, err
		}
		all |= s
	}
	return all, nil
}

// parseTerm reads *, a value or a range, with or without a step.
func (f field) parseTerm(term string) (set, error) {
	span, stepText, stepped := strings.Cut(term, "/")
	from, to, err := f.parseSpan(span, stepped)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if step, err = number(stepText); err != nil || step == 0 {
			return 0, fmt.Errorf("%q is no step", stepText)
		}
		// It would come as often as the first value, which nobody means who writes it.
		if step > f.most-f.least {
			return 0, fmt.Errorf("a step of %d leads out of the %s at once; an interval is told by every", step, f.name)
		}
	}
	var s set
	for n := from; n <= to; n += step {
		s |= 1 << n
	}
	return s, nil
}

func (f field) parseSpan(span string, stepped bool) (from, to int, err error) {
	if span == "*" {
		to = f.most
		if f.name == "weekday" {
			to = 6 // 7 is Sunday again
		}
		return f.least, to, nil
	}
	low, high, isRange := strings.Cut(span, "-")
	if from, err = f.value(low); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		if to, err = f.value(high); err != nil {
			return 0, 0, err
		}
	case stepped:
		to = f.most
		if f.name == "weekday" {
			to = 6
		}
	default:
		to = from
	}
	if isRange && to == 0 && f.name == "weekday" && from > 0 {
		to = 7 // fri-sun
	}
	if to < from {
		return 0, 0, fmt.Errorf("the range %s runs backwards; write it as two", span)
	}
	return from, to, nil
}

func (f field) value(text string) (int, error) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.least + i, nil
	}
	n, err := number(text)
	if err != nil || n < f.least || n > f.most {
		if f.words != nil {
			return 0, fmt.Errorf("%q is neither %d to %d nor one of %s", text, f.least, f.most, strings.Join(f.words, ", "))
		}
		return 0, fmt.Errorf("%q is not %d to %d", text, f.least, f.most)
	}
	return n, nil
}

// number reads digits and nothing else.
func number(text string) (int, error) {
	if text == "" || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New("no number")
	}
	return strconv.Atoi(text)
}
