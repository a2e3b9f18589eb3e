package cli

import (
	"testing"
	"time"
)

func TestDays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "12h": 12 * time.Hour, "1d12h30m": 36*time.Hour + 30*time.Minute, "90s": 90 * time.Second,
		"": 0, "d": 0, "7": 0, "2h3d": 0, "-1d": 0, "-1h": 0, "0d": 0, "1d-24h": 0, "99999999999999d": 0, "1.5d": 0,
	} {
		var d days
		err := d.Set(in)
		if (err == nil) != (want > 0) || time.Duration(d) != want {
			t.Errorf("%q is %s, error %v; want %s", in, time.Duration(d), err, want)
		}
	}
}
