package rulebook

import (
	"fmt"
	"strconv"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// timespan is a time span as rules take it.
type timespan struct{ hours, minutes, seconds int64 }

func (s timespan) String() string {
	switch {
	case s.seconds > 0:
		return strconv.FormatInt(s.hours*3600+s.minutes*60+s.seconds, 10) + "s"
	case s.minutes > 0:
		return strconv.FormatInt(s.hours*60+s.minutes, 10) + "m"
	default:
		return strconv.FormatInt(s.hours, 10) + "h"
	}
}

const maxHours = 168

var rulebookSpan = lazyregexp.New(`^\s*([0-9]{1,9})\s*(millisecond|second|minute|hour|day)s?\s*$`)

// parseSpan reads a time span such as "5 minutes". note says what is different if
// rules cannot take it as it is.
func parseSpan(text string) (s timespan, note string, err error) {
	m := rulebookSpan().FindStringSubmatch(text)
	if m == nil {
		return s, "", fmt.Errorf("%q is not a time such as 5 minutes", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return s, "", err
	}
	ms := n * map[string]int64{"millisecond": 1, "second": 1e3, "minute": 60e3, "hour": 3600e3, "day": 86400e3}[m[2]]
	switch whole := (ms + 999) / 1000; {
	case whole > maxHours*3600:
		return timespan{hours: maxHours}, fmt.Sprintf("%s becomes %dh, which is the most", text, maxHours), nil
	case ms != whole*1000 || whole == 0:
		note = fmt.Sprintf("%s becomes %ds, since times are whole seconds", text, max(whole, 1))
		ms = max(whole, 1) * 1000
	}
	sec := ms / 1000
	return timespan{sec / 3600, sec / 60 % 60, sec % 60}, note, nil
}
