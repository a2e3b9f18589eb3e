package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing/fstest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// flowResult is one set of rules and one kind of event.
type flowResult struct {
	Rules int `json:"rules"`
	// Matches is how many rules match the event; all that are for its type do.
	Matches int `json:"matches"`

	PerSecond   float64 `json:"events_per_second"`
	PerEvent    float64 `json:"ns_per_event"`
	Allocations float64 `json:"allocations_per_event"`
	Bytes       float64 `json:"bytes_per_event"`
}

// at is when the events are stored.
var at = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

const condition = `event.data.repository.full_name == "acme/app" && !event.data.release.prerelease && event.data.release.size > 1000`

// payload is what the events carry.
const payload = `{"action":"published","release":{"tag_name":"v2.4.1","prerelease":false,"draft":false,"size":48211},` +
	`"repository":{"id":4711,"full_name":"acme/app","private":true},"sender":{"login":"ann"}}`

// ruleSet returns n rules, each for a type of its own, but the first ten for one more.
func ruleSet(n int) (*rules.Set, error) {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range n {
		on := fmt.Sprintf("com.acme.t%d", i)
		if i < 10 {
			on = fmt.Sprintf("[com.acme.t%d, com.acme.ten]", i)
		}
		fmt.Fprintf(&b, "  - name: r%d\n    on: %s\n    condition: '%s'\n    run: {playbook: p.yml, limit: web, vars: {version: '${{ event.data.release.tag_name }}'}}\n",
			i, on, condition)
	}
	set, err := rules.Load(fstest.MapFS{"r.yml": {Data: []byte(b.String())}}, ".")
	if err != nil {
		return nil, fmt.Errorf("make %d rules: %w", n, err)
	}
	return set, nil
}

func newEvent(typ, subject, data string) (events.Event, error) {
	e, err := events.New("/bench", typ, nil)
	if err != nil {
		return e, err
	}
	e.SetID("1")
	e.SetSubject(subject)
	e.SetDataContentType("application/json")
	e.DataEncoded = []byte(data)
	return e, nil
}

// flows measures each number of rules with each kind of event.
func flows(ctx context.Context, each time.Duration) ([]flowResult, error) {
	var out []flowResult
	for _, n := range []int{10, 1_000, 10_000} {
		set, err := ruleSet(n)
		if err != nil {
			return nil, err
		}
		for _, kind := range []struct {
			typ     string
			matches int
		}{{"com.acme.none", 0}, {"com.acme.t0", 1}, {"com.acme.ten", 10}} {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			e, err := newEvent(kind.typ, "", payload)
			if err != nil {
				return nil, err
			}
			r, err := flow(set, e, kind.matches, each)
			if err != nil {
				return nil, fmt.Errorf("%d rules, %s: %w", n, kind.typ, err)
			}
			r.Rules, r.Matches = n, kind.matches
			out = append(out, r)
		}
	}
	return out, nil
}

// flow judges one event again and again for a while, the whole of it each time.
func flow(set *rules.Set, e events.Event, matches int, each time.Duration) (flowResult, error) {
	fired := 0
	for _, v := range set.Match(e, at) {
		if v.Outcome == rules.Fired {
			fired++
		}
	}
	if fired != matches {
		return flowResult{}, fmt.Errorf("%d rules fired, not %d", fired, matches)
	}
	const batch = 500
	for range batch {
		set.Match(e, at) // warm
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	count, begun, used := 0, time.Now(), coreTime()
	for time.Since(begun) < each {
		for range batch {
			set.Match(e, at)
		}
		count += batch
	}
	took := coreTime() - used
	runtime.ReadMemStats(&after)
	n := float64(count)
	return flowResult{
		PerSecond:   n / took.Seconds(),
		PerEvent:    float64(took.Nanoseconds()) / n,
		Allocations: float64(after.Mallocs-before.Mallocs) / n,
		Bytes:       float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, nil
}

// coreTime is what this process has had of its core: on a machine that does
// something else beside, the clock would count that too.
func coreTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for itself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
