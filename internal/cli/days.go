package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// days is a time span for flags that may also be given in days, such as 7d.
type days time.Duration

// String implements the value of a flag.
func (d *days) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Type implements the value of a flag.
func (d *days) Type() string { return "duration" }

// Set implements the value of a flag.
func (d *days) Set(s string) error {
	whole, rest, found := strings.Cut(s, "d")
	var span time.Duration
	if found {
		n, err := strconv.ParseUint(whole, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no time span such as 7d or 12h", s)
		}
		span = time.Duration(n) * 24 * time.Hour
	} else {
		rest = s
	}
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return fmt.Errorf("%q is no time span such as 7d or 12h", s)
		}
		span += more
	}
	if span <= 0 {
		return fmt.Errorf("%q is no time span such as 7d or 12h", s)
	}
	*d = days(span)
	return nil
}
