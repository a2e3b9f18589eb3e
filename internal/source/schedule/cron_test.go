package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := loadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// following returns the next times after a moment, as the zone's clock shows them.
func following(t *testing.T, line, in, after string, n int) []string {
	t.Helper()
	z := zone(t, in)
	c, err := parseCron(line, z)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range n {
		next, ok := c.next(at)
		if !ok {
			break
		}
		got = append(got, next.In(z).Format("Mon 2006-01-02 15:04 -0700"))
		at = next
	}
	return got
}

func TestCron(t *testing.T) {
	t.Parallel()
	const wed = "2026-07-01T12:00:00Z"
	tests := []struct {
		line string
		want []string
	}{
		{"* * * * *", []string{"Wed 2026-07-01 12:01", "Wed 2026-07-01 12:02"}},
		{"0 12 * * *", []string{"Thu 2026-07-02 12:00", "Fri 2026-07-03 12:00"}},
		{"*/20 * * * *", []string{"Wed 2026-07-01 12:20", "Wed 2026-07-01 12:40", "Wed 2026-07-01 13:00"}},
		{"5/20 9-10 * * *", []string{"Thu 2026-07-02 09:05", "Thu 2026-07-02 09:25", "Thu 2026-07-02 09:45", "Thu 2026-07-02 10:05"}},
		{"1,3-5 0 * * *", []string{"Thu 2026-07-02 00:01", "Thu 2026-07-02 00:03", "Thu 2026-07-02 00:04", "Thu 2026-07-02 00:05", "Fri 2026-07-03 00:01"}},
		{"0 9 * * mon-FRI", []string{"Thu 2026-07-02 09:00", "Fri 2026-07-03 09:00", "Mon 2026-07-06 09:00"}},
		{"0 9 * * fri-sun", []string{"Fri 2026-07-03 09:00", "Sat 2026-07-04 09:00", "Sun 2026-07-05 09:00", "Fri 2026-07-10 09:00"}},
		{"0 9 * * 7", []string{"Sun 2026-07-05 09:00", "Sun 2026-07-12 09:00"}},
		{"0 0 1 jan,Jul *", []string{"Fri 2027-01-01 00:00", "Thu 2027-07-01 00:00"}},
		{"0 0 31 * *", []string{"Fri 2026-07-31 00:00", "Mon 2026-08-31 00:00", "Sat 2026-10-31 00:00"}},
		// Either of two restricted days is enough; a * restricts nothing.
		{"0 0 13 * fri", []string{"Fri 2026-07-03 00:00", "Fri 2026-07-10 00:00", "Mon 2026-07-13 00:00"}},
		{"0 0 */2 * mon", []string{"Mon 2026-07-13 00:00", "Mon 2026-07-27 00:00", "Mon 2026-08-03 00:00"}},
		// What is rare comes all the same, over a century without a leap year too.
		{"0 0 29 2 *", []string{"Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"}},
		{"0 0 29 2 */7", []string{"Sun 2032-02-29 00:00", "Sun 2060-02-29 00:00", "Sun 2088-02-29 00:00", "Sun 2128-02-29 00:00"}},
		{"@hourly", []string{"Wed 2026-07-01 13:00"}},
		{"@daily", []string{"Thu 2026-07-02 00:00"}},
		{"@Weekly", []string{"Sun 2026-07-05 00:00"}},
		{"@monthly", []string{"Sat 2026-08-01 00:00"}},
		{"@yearly", []string{"Fri 2027-01-01 00:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			got := following(t, tt.line, "UTC", wed, len(tt.want))
			for i := range got {
				got[i] = strings.TrimSuffix(got[i], " +0000")
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDaylightSaving(t *testing.T) {
	t.Parallel()
	const (
		berlin, newYork, lordHowe = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
		// The evenings before the clocks change.
		berlinSpring, berlinAutumn     = "2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z"
		newYorkSpring, newYorkAutumn   = "2026-03-08T01:00:00Z", "2026-11-01T01:00:00Z"
		lordHoweSpring, lordHoweAutumn = "2026-10-03T10:00:00Z", "2026-04-04T10:00:00Z"
	)
	tests := []struct {
		name, zone, after, line string
		want                    []string
	}{
		{"gap", berlin, berlinSpring, "30 2 * * *", []string{
			"Sun 2026-03-29 03:00 +0200", "Mon 2026-03-30 02:30 +0200",
		}},
		{"gap, many minutes are one", berlin, berlinSpring, "*/15 2 * * *", []string{
			"Sun 2026-03-29 03:00 +0200", "Mon 2026-03-30 02:00 +0200",
		}},
		{"gap, and what comes right after", berlin, berlinSpring, "0 1-4 * * *", []string{
			"Sun 2026-03-29 01:00 +0100", "Sun 2026-03-29 03:00 +0200", "Sun 2026-03-29 04:00 +0200", "Mon 2026-03-30 01:00 +0200",
		}},
		{"gap, every hour", berlin, berlinSpring, "30 * * * *", []string{
			"Sat 2026-03-28 21:30 +0100", "Sat 2026-03-28 22:30 +0100", "Sat 2026-03-28 23:30 +0100", "Sun 2026-03-29 00:30 +0100",
			"Sun 2026-03-29 01:30 +0100", "Sun 2026-03-29 03:30 +0200", "Sun 2026-03-29 04:30 +0200",
		}},
		{"gap, a step", berlin, berlinSpring, "0 */2 * * *", []string{
			"Sat 2026-03-28 22:00 +0100", "Sun 2026-03-29 00:00 +0100", "Sun 2026-03-29 04:00 +0200",
		}},
		{"twice", berlin, berlinAutumn, "30 2 * * *", []string{
			"Sun 2026-10-25 02:30 +0200", "Mon 2026-10-26 02:30 +0100",
		}},
		{"twice, after midnight", berlin, berlinAutumn, "0 2,3 * * *", []string{
			"Sun 2026-10-25 02:00 +0200", "Sun 2026-10-25 03:00 +0100", "Mon 2026-10-26 02:00 +0100",
		}},
		{"twice, from between", berlin, "2026-10-25T01:10:00Z", "*/15 2 * * *", []string{"Mon 2026-10-26 02:00 +0100"}},
		{"twice, every hour", berlin, "2026-10-24T23:00:00Z", "30 * * * *", []string{
			"Sun 2026-10-25 01:30 +0200", "Sun 2026-10-25 02:30 +0200", "Sun 2026-10-25 02:30 +0100", "Sun 2026-10-25 03:30 +0100",
		}},
		{"twice, a step", berlin, "2026-10-24T22:30:00Z", "0 */2 * * *", []string{
			"Sun 2026-10-25 02:00 +0200", "Sun 2026-10-25 02:00 +0100", "Sun 2026-10-25 04:00 +0100",
		}},
		{"gap", newYork, newYorkSpring, "15 2 * * *", []string{
			"Sun 2026-03-08 03:00 -0400", "Mon 2026-03-09 02:15 -0400",
		}},
		{"gap, on its day alone", newYork, newYorkSpring, "15 2 8 3 *", []string{
			"Sun 2026-03-08 03:00 -0400", "Mon 2027-03-08 02:15 -0500",
		}},
		{"twice", newYork, newYorkAutumn, "30 1 * * *", []string{
			"Sun 2026-11-01 01:30 -0400", "Mon 2026-11-02 01:30 -0500",
		}},
		{"twice, every hour", newYork, "2026-11-01T04:00:00Z", "0 * * * *", []string{
			"Sun 2026-11-01 01:00 -0400", "Sun 2026-11-01 01:00 -0500", "Sun 2026-11-01 02:00 -0500",
		}},
		// Half an hour is skipped and repeated there.
		{"gap", lordHowe, lordHoweSpring, "15 2 * * *", []string{
			"Sun 2026-10-04 02:30 +1100", "Mon 2026-10-05 02:15 +1100",
		}},
		{"beside the gap", lordHowe, lordHoweSpring, "45 2 * * *", []string{
			"Sun 2026-10-04 02:45 +1100", "Mon 2026-10-05 02:45 +1100",
		}},
		{"twice", lordHowe, lordHoweAutumn, "45 1 * * *", []string{
			"Sun 2026-04-05 01:45 +1100", "Mon 2026-04-06 01:45 +1030",
		}},
		{"twice, every half hour", lordHowe, "2026-04-04T14:15:00Z", "*/30 * * * *", []string{
			"Sun 2026-04-05 01:30 +1100", "Sun 2026-04-05 01:30 +1030", "Sun 2026-04-05 02:00 +1030",
		}},
		{"end of a leap year", berlin, "2056-12-30T12:00:00Z", "30 */12 * * *", []string{
			"Sun 2056-12-31 00:30 +0100", "Sun 2056-12-31 12:30 +0100", "Mon 2057-01-01 00:30 +0100",
		}},
		// A day that was left out altogether, and a gap at midnight.
		{"no such day", "Pacific/Apia", "2011-12-29T12:00:00Z", "0 9 30 12 *", []string{
			"Sat 2011-12-31 00:00 +1400", "Sun 2012-12-30 09:00 +1400",
		}},
		{"gap at midnight", "Africa/Cairo", "2026-04-23T12:00:00Z", "@daily", []string{
			"Fri 2026-04-24 01:00 +0300", "Sat 2026-04-25 00:00 +0300",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.zone+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, following(t, tt.line, tt.zone, tt.after, len(tt.want))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCronFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ line, want string }{
		{"", "has 0 fields"},
		{"0 3 * *", "has 4 fields; there are five: minute, hour"},
		{"0 0 3 * * *", "has 6 fields"},
		{"60 3 * * *", `minute "60": "60" is not 0 to 59`},
		{"0 24 * * *", `hour "24"`},
		{"0 3 0 * *", `day "0": "0" is not 1 to 31`},
		{"0 3 * 13 *", "neither 1 to 12 nor one of jan, feb"},
		{"0 3 * * 8", "neither 0 to 7 nor one of sun"},
		{"0 3 * * funday", "nor one of sun"},
		{"-1 3 * * *", `"" is not 0 to 59`},
		{"+1 3 * * *", `"+1" is not`},
		{"0 22-2 * * *", "the range 22-2 runs backwards"},
		{"*/0 3 * * *", `"0" is no step`},
		{"*/x 3 * * *", `"x" is no step`},
		{"*/90 * * * *", "a step of 90 leads out of the minute at once; an interval is told by every"},
		{"1, 3 * * *", `"" is not`},
		{"0 3 L * *", `"L" is not 1 to 31`},
		{"0 3 ? * *", `"?" is not`},
		{"0 0 30 2 *", `"0 0 30 2 *" never comes`},
		{"0 0 31 2,4,6,9,11 *", "never comes"},
		{"@reboot", `"@reboot" is unknown; there are @hourly`},
		{"@every 5m", "and every for an interval"},
		{"CRON_TZ=UTC 0 3 * * *", "a zone has a key of its own: zone"},
		{"61 25 * * *", "hour \"25\""}, // all faults, not the first
		{strings.Repeat("1,", 600) + "1 * * * *", "longer than 1024"},
	}
	for _, tt := range tests {
		if _, err := parseCron(tt.line, time.UTC); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.line, err, tt.want)
		}
	}
	// The last Sunday of March, in the hour that the clock leaves out then.
	const never = "30 2-2/1 25-31/1 3 */7"
	if _, err := parseCron(never, zone(t, "Europe/Berlin")); err == nil || !strings.Contains(err.Error(), "never comes") {
		t.Errorf("%q: %v, want that it never comes", never, err)
	}
}

// drawCron makes a cron line that has times.
func drawCron(t *rapid.T, z *time.Location) (*cron, string) {
	minutes := []string{"0", "30", "*", "*/7", "5-50/15", "0,15,59", "59", "10/20"}
	hours := []string{"*", "0", "2", "1-3", "2,3", "*/2", "0-23/5", "23", "1", "0,2,4", "1/3"}
	days := []string{"*", "*", "*", "1", "29", "25-31", "*/3", "5,28"}
	months := []string{"*", "*", "*", "3,4,10,11", "2", "mar-oct", "*/5"}
	weekdays := []string{"*", "*", "*", "sun", "1-5", "7", "*/2", "fri-sun"}
	line := strings.Join([]string{
		rapid.SampledFrom(minutes).Draw(t, "minute"), rapid.SampledFrom(hours).Draw(t, "hour"), rapid.SampledFrom(days).Draw(t, "day"),
		rapid.SampledFrom(months).Draw(t, "month"), rapid.SampledFrom(weekdays).Draw(t, "weekday"),
	}, " ")
	c, err := parseCron(line, z)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return c, line
}

func drawZone(t *rapid.T) *time.Location {
	z, err := loadZone(rapid.SampledFrom([]string{
		"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "Asia/Kolkata", "America/St_Johns",
	}).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// drawMoment makes a moment, often one near a change of the zone's clock.
func drawMoment(t *rapid.T, z *time.Location) time.Time {
	at := time.Unix(rapid.Int64Range(1_000_000_000, 2_500_000_000).Draw(t, "moment"), 0)
	if _, end := at.In(z).ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "near a change") {
		at = end.Add(time.Duration(rapid.IntRange(-30*3600, 5*3600).Draw(t, "off")) * time.Second)
	}
	return at.UTC()
}

// TestCronByTheMinute compares next with what is seen by looking at the clock once a minute: it is
// strictly later, the fields name it, and nothing between is left out.
func TestCronByTheMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z := drawZone(t)
		c, line := drawCron(t, z)
		after := drawMoment(t, z)
		end := after.Add(3 * 24 * time.Hour)
		var want, got []time.Time
		// The latest that the clock had shown by then: what it shows again is not new.
		var shown time.Time
		for m := after.Truncate(time.Minute).Add(-26 * time.Hour); !m.After(end); m = m.Add(time.Minute) {
			now := m.In(z)
			face := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), 0, 0, time.UTC)
			due := false
			if c.fixed {
				for f := shown.Add(time.Minute); !shown.IsZero() && !f.After(face); f = f.Add(time.Minute) {
					due = due || names(line, f)
				}
			} else {
				due = names(line, face)
			}
			if face.After(shown) {
				shown = face
			}
			if due && m.After(after) {
				want = append(want, m)
			}
		}
		for at, ok := c.next(after); ok && !at.After(end); at, ok = c.next(at) {
			if len(got) > 0 && !at.After(got[len(got)-1]) {
				t.Fatalf("%s: %s is not after %s", line, at, got[len(got)-1])
			}
			got = append(got, at)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s in %s after %s (-want +got):\n%s", line, z, after.In(z), d)
		}
	})
}

// names reports whether a cron line names a minute, in the plainest way.
func names(line string, at time.Time) bool {
	f := strings.Fields(line)
	in := func(i, n int) bool {
		s, err := cronFields()[i].parse(f[i])
		return err == nil && s.has(n)
	}
	day := in(2, at.Day())
	week := in(4, int(at.Weekday())) || at.Weekday() == time.Sunday && in(4, 7)
	on := day || week
	if f[2][0] == '*' || f[4][0] == '*' {
		on = day && week
	}
	return on && in(0, at.Minute()) && in(1, at.Hour()) && in(3, int(at.Month()))
}

// TestFieldsByTheirMeaning checks what a field holds against its text, read in another way.
func TestFieldsByTheirMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := cronFields()[rapid.IntRange(0, 3).Draw(t, "field")]
		low := rapid.IntRange(f.least, f.most).Draw(t, "low")
		high := rapid.IntRange(low, f.most).Draw(t, "high")
		step := rapid.IntRange(1, f.most-f.least).Draw(t, "step")
		text := fmt.Sprintf("%d-%d/%d", low, high, step)
		got, err := f.parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 64 {
			if want := n >= low && n <= high && (n-low)%step == 0; got.has(n) != want {
				t.Fatalf("%s: %d is in it: %t", text, n, got.has(n))
			}
		}
	})
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{
		"0 3 * * *", "*/5 0-6/2,22 29 2 sun", "@daily", "30 2-2/1 25-31/1 3 */7", "0 0 30 2 *", "TZ= 1 1 1 1 1", "1/1 1/1 1/1 1/1 1/1", "* * 31 4,6 *",
	} {
		f.Add(s, int64(1_774_700_000), uint8(0))
	}
	zones := []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"}
	f.Fuzz(func(t *testing.T, line string, at int64, z uint8) {
		c, err := parseCron(line, zone(t, zones[int(z)%len(zones)]))
		if err != nil {
			return
		}
		from := time.Unix(at%(1<<34), 0)
		for range 3 {
			next, ok := c.next(from)
			if !ok {
				t.Fatalf("%q has no time after %s, and was taken", line, from)
			}
			if !next.After(from) || next.Second() != 0 && from.Year() > 1980 {
				t.Fatalf("%q: %s comes after %s", line, next, from)
			}
			from = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, line := range []string{"* * * * *", "0 3 * * *", "0 0 29 2 */7"} {
		c, err := parseCron(line, zone(b, "Europe/Berlin"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(line, func(b *testing.B) {
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for b.Loop() {
				at, _ = c.next(at)
				if at.Year() > 2090 {
					at = at.AddDate(-64, 0, 0)
				}
			}
		})
	}
}
