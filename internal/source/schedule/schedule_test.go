package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func parse(text string) (source.Source, error) {
	f, err := strictyaml.Parse("sources.yml", []byte(text))
	if err != nil {
		return nil, err
	}
	var c Config
	if err := f.Decode(f.Root, &c); err != nil {
		return nil, err
	}
	return c.Source()
}

func mustParse(t testing.TB, text string) source.Source {
	t.Helper()
	s, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a source for a while of the bubble's time.
func run(t testing.TB, s source.Source, f source.Feed, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx, f); err != nil {
		t.Fatal(err)
	}
}

// told returns what was told, in short: for a due time the time, for missed ones their span.
func told(t testing.TB, f *sourcetest.Feed) []string {
	t.Helper()
	var list []string
	for _, e := range f.Stored() {
		const layout = "2 15:04:05"
		var m events.ScheduleMissed
		if e.Type() != events.TypeScheduleMissed {
			list = append(list, e.Time().Format(layout))
			continue
		}
		if err := e.DataAs(&m); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("missed %d: %s - %s", m.Count, m.First.Format(layout), m.Last.Format(layout)))
	}
	return list
}

// The bubbles begin at midnight of 1 January 2000, a Saturday, in UTC.

func TestEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{Title: "nightly"}
		run(t, mustParse(t, `{cron: "0 3 * * *", zone: Europe/Berlin, data: {a: [1, "x"]}}`), f, 24*time.Hour)
		got := f.Stored()
		if len(got) != 1 {
			t.Fatalf("%d events", len(got))
		}
		e := got[0]
		if e.ID() != "nightly:2000-01-01T02:00:00Z" || e.Source() != "/sources/nightly" || e.Type() != events.TypeScheduleDue ||
			e.Subject() != "nightly" || !e.Time().Equal(time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC)) {
			t.Errorf("event: %s", e)
		}
		want := `{"schedule":"nightly","due":"2000-01-01T02:00:00Z","late_ms":0,"data":{"a":[1,"x"]}}`
		if string(e.Data()) != want {
			t.Errorf("data %s, want %s", e.Data(), want)
		}
		h := f.Health()
		if last := h[len(h)-1]; last.Err != nil || !last.Next.Equal(time.Date(2000, 1, 2, 2, 0, 0, 0, time.UTC)) {
			t.Errorf("health: %+v", last)
		}
	})
}

func TestEventOfAnotherType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		run(t, mustParse(t, `{every: 10m, type: com.example.ping, subject: all, data: [1.5, null]}`), f, 15*time.Minute)
		run(t, mustParse(t, `{every: 10m, type: com.example.bare}`), f, 10*time.Minute)
		got := f.Stored()
		if len(got) != 2 || got[0].Type() != "com.example.ping" || got[0].Subject() != "all" || string(got[0].Data()) != "[1.5,null]" ||
			got[0].ID() != "test:2000-01-01T00:10:00Z" {
			t.Fatalf("events: %v", got)
		}
		if got[1].Type() != "com.example.bare" || got[1].Subject() != "test" || got[1].Data() != nil {
			t.Errorf("event without data: %s", got[1])
		}
	})
}

func TestTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		config string
		length time.Duration
		want   []string
	}{
		{`{every: 7m}`, 20 * time.Minute, []string{"1 00:04:00", "1 00:11:00", "1 00:18:00"}}, // 1970 + n * 7m
		{`{every: 1s}`, 2500 * time.Millisecond, []string{"1 00:00:01", "1 00:00:02"}},
		{`{at: 2000-01-01T06:00:00+01:00}`, 24 * time.Hour, []string{"1 05:00:00"}},
		{`{at: [2000-01-02T00:00:00Z, 1999-12-31T00:00:00Z, 2000-01-01T12:00:00Z, 2000-01-02T01:00:00+01:00]}`, 72 * time.Hour, []string{"1 12:00:00", "2 00:00:00"}},
		{`{at: 1999-01-01T00:00:00Z}`, 24 * time.Hour, nil},
		{`{cron: "@daily"}`, 49 * time.Hour, []string{"2 00:00:00", "3 00:00:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.config, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &sourcetest.Feed{}
				run(t, mustParse(t, tt.config), f, tt.length)
				if d := cmp.Diff(tt.want, told(t, f)); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, config string
		away         time.Duration
		want         []string
	}{
		{"last", `{every: 1h}`, 190 * time.Minute, []string{"1 01:00:00", "missed 2: 1 02:00:00 - 1 03:00:00", "1 04:00:00", "1 05:00:00"}},
		{"skip", `{every: 1h, missed: skip}`, 190 * time.Minute, []string{"1 01:00:00", "missed 3: 1 02:00:00 - 1 04:00:00", "1 05:00:00"}},
		{"all", `{every: 1h, missed: all}`, 190 * time.Minute, []string{"1 01:00:00", "1 02:00:00", "1 03:00:00", "1 04:00:00", "1 05:00:00"}},
		{"none", `{every: 1h}`, 10 * time.Minute, []string{"1 01:00:00", "1 02:00:00"}},
		{"one", `{every: 1h}`, 45 * time.Minute, []string{"1 01:00:00", "1 02:00:00", "1 03:00:00"}},
		// As long as it takes another jet-bus to go on, nothing counts as missed.
		{"a moment", `{every: 1h, missed: skip}`, 30*time.Minute + 10*time.Second, []string{"1 01:00:00", "1 02:00:00", "1 03:00:00"}},
		{"once", `{at: 2000-01-01T02:00:00Z}`, 24 * time.Hour, []string{"1 02:00:00"}},
		{"once, skipped", `{at: 2000-01-01T02:00:00Z, missed: skip}`, 24 * time.Hour, []string{"missed 1: 1 02:00:00 - 1 02:00:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &sourcetest.Feed{}
				run(t, mustParse(t, tt.config), f, 90*time.Minute)
				time.Sleep(tt.away)
				run(t, mustParse(t, tt.config), f, time.Hour)
				if d := cmp.Diff(tt.want, told(t, f)); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestMissedAllIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		s := mustParse(t, `{every: 1m, missed: all}`)
		run(t, s, f, time.Second)
		time.Sleep(5000 * time.Minute)
		run(t, s, f, time.Second)
		got := told(t, f)
		if len(got) != 1+mostRuns || got[0] != "missed 4000: 1 00:01:00 - 3 18:40:00" || got[1] != "3 18:41:00" || got[mostRuns] != "4 11:20:00" {
			t.Errorf("%d told: %v ... %v", len(got), got[:2], got[len(got)-1])
		}
		var late events.ScheduleDue
		if err := f.Stored()[1].DataAs(&late); err != nil || late.LateMS != (999*time.Minute+time.Second).Milliseconds() {
			t.Errorf("late: %+v, %v", late, err)
		}
	})
}

func TestNewScheduleMakesUpForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		run(t, mustParse(t, `{every: 1h, missed: all}`), f, 90*time.Minute)
		time.Sleep(10 * time.Hour)
		// Another spec of the same name begins anew; what else is changed is not the spec.
		run(t, mustParse(t, `{cron: "0 * * * *", missed: all}`), f, 40*time.Minute)
		time.Sleep(time.Hour)
		run(t, mustParse(t, `{cron: "0  * * * *", missed: all, type: com.example.x, jitter: 1s}`), f, time.Minute)
		want := []string{"1 01:00:00", "1 12:00:00", "1 13:00:00"}
		if d := cmp.Diff(want, told(t, f)); d != "" {
			t.Error(d)
		}
	})
}

// clock is a feed whose clock is off.
type clock struct {
	*sourcetest.Feed
	off atomic.Int64 // a time.Duration
}

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.off.Load())).Round(0) }

func (c *clock) Wait(ctx context.Context, until time.Time) (bool, error) {
	if !until.IsZero() {
		until = until.Add(-time.Duration(c.off.Load())) // a timer knows nothing of steps
	}
	return c.Feed.Wait(ctx, until)
}

func TestClockSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		step time.Duration
		want []string
	}{
		{"back", -3 * time.Hour, []string{"2 01:00:00", "2 02:00:00", "2 03:00:00"}},
		{"back within the hour", -20 * time.Minute, []string{"2 01:00:00", "2 02:00:00", "2 03:00:00", "2 04:00:00", "2 05:00:00", "2 06:00:00"}},
		{"forward", 3 * time.Hour, []string{
			"2 01:00:00", "2 02:00:00", "2 03:00:00", "missed 2: 2 04:00:00 - 2 05:00:00", "2 06:00:00", "2 07:00:00", "2 08:00:00", "2 09:00:00",
		}},
		// As if the clock had been wrong all the time before.
		{"far back", -100 * 24 * time.Hour, []string{"2 01:00:00", "2 02:00:00", "2 03:00:00", "24 04:00:00", "24 05:00:00", "24 06:00:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &clock{Feed: &sourcetest.Feed{}}
				f.off.Store(int64(24 * time.Hour))
				ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour+35*time.Minute)
				defer cancel()
				go func() { // the step comes while the source waits
					time.Sleep(3*time.Hour + 30*time.Minute + time.Second)
					f.off.Add(int64(tt.step))
				}()
				if err := mustParse(t, `{every: 1h}`).Run(ctx, f); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(tt.want, told(t, f.Feed)); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lates := func(name, config string) []time.Duration {
			var list []time.Duration
			f := &sourcetest.Feed{Title: name}
			f.Refuse = func(e events.Event) error {
				list = append(list, time.Since(e.Time()))
				if !strings.Contains(string(e.Data()), `"late_ms":0`) {
					t.Errorf("jitter counts as late: %s", e.Data())
				}
				return nil
			}
			start := time.Now()
			run(t, mustParse(t, config), f, 24*time.Hour)
			if got := len(f.Stored()); got != 24 && got != 23 {
				t.Errorf("%d events a day", got)
			}
			time.Sleep(time.Until(start.Add(24 * time.Hour)))
			return list
		}
		first := lates("a", `{every: 1h, jitter: 10m}`)
		for _, d := range first {
			if d < 0 || d >= 10*time.Minute {
				t.Errorf("jitter of %s", d)
			}
		}
		slices.Sort(first)
		if distinct := len(slices.Compact(first)); distinct < 20 {
			t.Errorf("%d different jitters", distinct)
		}
		// No more than until the next.
		for _, d := range lates("a", `{every: 1h, jitter: 24h}`) {
			if d >= time.Hour {
				t.Errorf("jitter of %s, an hour before the next", d)
			}
		}
	})
	a, b := &schedule{times: every(time.Hour), jitter: time.Minute}, &schedule{times: every(time.Hour), jitter: time.Minute}
	due := time.Unix(3600, 0)
	if !a.at("x", due).Equal(b.at("x", due)) || a.at("x", due).Equal(a.at("y", due)) {
		t.Error("jitter does not follow from the name")
	}
}

// TestNeverTwiceNeverNot stops and starts a schedule at any moment, and lets its saving fail: with
// all, each due time is told once.
func TestNeverTwiceNeverNot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		z := drawZone(rt)
		c, line := drawCron(rt, z)
		jitter := time.Duration(rapid.IntRange(0, 3600).Draw(rt, "jitter")) * time.Second
		type step struct {
			run, fail bool
			d         time.Duration
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.Bool().Draw(t, "run"), rapid.IntRange(0, 3).Draw(t, "fail") == 0, time.Duration(rapid.IntRange(0, 7*3600_000).Draw(t, "ms")) * time.Millisecond}
		}), 1, 12).Draw(rt, "steps")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			s := &schedule{times: c, spec: line, missed: missedAll, jitter: jitter}
			f := &sourcetest.Feed{}
			start := time.Now()
			run(t, s, f, time.Millisecond) // the cursor is there
			for _, step := range steps {
				if !step.run {
					time.Sleep(step.d)
					continue
				}
				failed := errors.New("away")
				if step.fail {
					f.SaveError = failed
				}
				ctx, cancel := context.WithTimeout(t.Context(), step.d)
				if err := s.Run(ctx, f); err != nil && !errors.Is(err, failed) {
					problem = err.Error()
				}
				cancel()
				f.SaveError = nil
			}
			run(t, s, f, time.Millisecond)
			var want, got []string
			now := time.Now()
			for at, ok := c.next(start); ok && !s.at("test", at).After(now); at, ok = c.next(at) {
				want = append(want, at.Format(time.RFC3339))
			}
			for _, e := range f.Stored() {
				got = append(got, e.Time().Format(time.RFC3339))
			}
			problem += cmp.Diff(want, got)
		})
		if problem != "" {
			rt.Fatalf("%s in %s (-want +got):\n%s", line, z, problem)
		}
	})
}

// TestStoppedWhileTellingMissed loses the cursor's write after the telling.
func TestStoppedWhileTellingMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := mustParse(t, `{every: 1h}`)
		f := &sourcetest.Feed{}
		run(t, s, f, time.Second)
		time.Sleep(5*time.Hour + 30*time.Minute)
		f.Refuse = func(events.Event) error {
			f.SaveError = source.ErrLost
			return nil
		}
		if err := s.Run(t.Context(), f); !errors.Is(err, source.ErrLost) {
			t.Fatalf("error %v", err)
		}
		f.Refuse, f.SaveError = nil, nil
		time.Sleep(2 * time.Hour)
		run(t, s, f, time.Second)
		want := []string{"missed 4: 1 01:00:00 - 1 04:00:00", "missed 2: 1 05:00:00 - 1 06:00:00", "1 07:00:00"}
		if d := cmp.Diff(want, told(t, f)); d != "" {
			t.Error(d)
		}
	})
}

func TestAskedIsNoRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		f.Ask()
		run(t, mustParse(t, `{every: 1h}`), f, 30*time.Minute)
		if got := told(t, f); got != nil {
			t.Errorf("told %v", got)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`{}`, "sources.yml:1:1: a schedule needs one of cron, every and at"},
		{`{every: 1m, cron: "@daily"}`, "needs one of cron, every and at"},
		{`{cron: "0 25 * * *"}`, `cron: hour "25": "25" is not 0 to 23`},
		{`{cron: "0 0 30 2 *"}`, "never comes"},
		{`{cron: "@daily", zone: Europe/Berlino}`, `zone: "Europe/Berlino" is no zone such as Europe/Berlin or UTC`},
		{`{cron: "@daily", zone: Local}`, "is no zone"},
		{`{cron: "@daily", zone: ../../etc/passwd}`, "is no zone"},
		{`{every: 1m, zone: UTC}`, "says nothing without cron"},
		{`{every: 500ms}`, "every must be whole seconds, at least one, not 500ms"},
		{`{every: 1500ms}`, "whole seconds"},
		{`{every: 0s}`, "at least one"},
		{`{at: []}`, "at: has 0 times"},
		{`{at: tomorrow}`, `sources.yml:1:6: at: "tomorrow" is not a time such as`},
		{`{at: [2026-12-24T18:00:00Z, 2026-12-24]}`, `sources.yml:1:29: at: "2026-12-24" is not`},
		{`{at: 2026-12-24T18:00:00.5Z}`, "is not a time such as"},
		{`{every: 1m, missed: never}`, `missed must be skip, last or all, not "never"`},
		{`{every: 1m, jitter: 25h}`, "jitter must be at most 24h"},
		{`{every: 1m, type: dev.jet-bus.job.failed.v1}`, "is one of jet-bus's own"},
		{`{every: 1m, type: Dev.Jet-Bus.x}`, "is one of jet-bus's own"},
		{"{every: 1m, type: \"a\\nb\"}", "type: "},
		{"{every: 1m, subject: \"a\\nb\"}", "subject: attribute subject has a control character"},
		{`{every: 1m, missed: x, jitter: 48h}`, "jitter must be"},
		{`{every: 1m, data: ` + strings.Repeat("x", 140_000) + `}`, "at most 131072 fit"},
		{`{evry: 1m}`, `unknown key "evry"; did you mean "every"?`},
	}
	for _, tt := range tests {
		if _, err := parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// TestLargestEventFits checks that what Source takes is an event of at most 256 KiB.
func TestLargestEventFits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		run(t, mustParse(t, `{every: 1s, data: "`+strings.Repeat("<", mostData/6-10)+`"}`), f, 1500*time.Millisecond)
		text, err := json.Marshal(f.Stored()[0])
		if err != nil || len(text) > 256<<10 || len(text) < mostData {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	})
}
