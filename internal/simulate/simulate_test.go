package simulate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/rules"
)

func begin() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

func load(t testing.TB, text string) *rules.Set {
	t.Helper()
	set, err := rules.Load(fstest.MapFS{"r.yml": {Data: []byte(text)}}, ".")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func event(t testing.TB, id, typ string, data any) events.Event {
	t.Helper()
	e, err := events.New("/test", typ, data)
	if err != nil {
		t.Fatal(err)
	}
	e.SetID(id)
	return e
}

// told writes what was decided, without what is no decision about more than types.
func told(ds []rules.Decision) []string {
	var out []string
	for _, d := range ds {
		out = append(out, fmt.Sprintf("%s %s %s %s", d.At.Sub(begin()), d.Rule.Name, d.Outcome, d.Key))
	}
	return out
}

const silence = `
rules:
  - name: plain
    on: com.acme.*
    condition: event.data.host != "web9"
    run: {playbook: p.yml}
  - name: silent
    absent: {on: com.acme.beat, key: event.data.host, within: 10m}
    missed: report
    set: {"silent.${{ key }}": true}
`

func TestPlayerEndsWindowsOnTime(t *testing.T) {
	t.Parallel()
	p := simulate.NewPlayer(load(t, silence), begin())
	beat := func(id, host string, after time.Duration, seq uint64) []string {
		return told(p.Event(event(t, id, "com.acme.beat", map[string]any{"host": host}), seq, begin().Add(after)))
	}
	steps := [][]string{
		beat("1", "web1", 0, 1),
		beat("2", "web9", time.Minute, 2),
		beat("3", "web3", 30*time.Minute, 3),
		told(p.Advance(4, begin().Add(35*time.Minute))),
		told(p.Skip(5, begin().Add(3*time.Hour))),
	}
	want := [][]string{
		{"0s plain fired ", "0s silent waiting web1"},
		{"1m0s plain not_fired ", "1m0s silent waiting web9"},
		{"10m0s silent fired web1", "11m0s silent fired web9", "30m0s plain fired ", "30m0s silent waiting web3"},
		nil,
		{"3h0m0s silent missed web3"},
	}
	if d := cmp.Diff(want, steps); d != "" {
		t.Error(d)
	}
	if want := begin().Add(3 * time.Hour); !p.Now().Equal(want) {
		t.Errorf("the clock is at %s, want %s", p.Now(), want)
	}
}

func TestPlayerFiresOnceForAnEvent(t *testing.T) {
	t.Parallel()
	p := simulate.NewPlayer(load(t, silence), begin())
	e := event(t, "1", "com.acme.x", map[string]any{"host": "web1"})
	first, again := told(p.Event(e, 1, begin())), told(p.Event(e, 2, begin().Add(time.Second)))
	if d := cmp.Diff([]string{"0s plain fired "}, first); d != "" {
		t.Error(d)
	}
	if len(again) > 0 {
		t.Errorf("the same event fired again: %s", again)
	}
}

func TestPlayerKnowsEventsOfItsOwn(t *testing.T) {
	t.Parallel()
	p := simulate.NewPlayer(load(t, `
rules:
  - {name: own, on: dev.jet-bus.*, run: {playbook: p.yml}}
  - {name: remembers, on: dev.jet-bus.*, notify: {to: ops, text: x}}
  - {name: silent, absent: {on: com.acme.beat, within: 10m}, notify: {to: ops, text: x}}
`), begin())
	var got []string
	for i, typ := range []string{"dev.jet-bus.clock.ticked.v1", "dev.jet-bus.rules.activated.v1", "dev.jet-bus.job.failed.v1"} {
		got = append(got, told(p.Event(event(t, typ, typ, nil), uint64(i+1), begin().Add(10*time.Minute)))...)
	}
	want := []string{"10m0s silent fired ", "10m0s own fired ", "10m0s own fired ", "10m0s remembers fired "}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestPlayerExplainsEveryRule(t *testing.T) {
	t.Parallel()
	p := simulate.NewPlayer(load(t, silence), begin())
	e := event(t, "1", "com.acme.x", map[string]any{"host": "web1"})
	for range 2 { // it changes nothing
		got := told(p.Explain(e, 1, begin()))
		slices.Sort(got)
		if d := cmp.Diff([]string{"0s plain fired ", "0s silent not_candidate "}, got); d != "" {
			t.Error(d)
		}
	}
}

// at is an event so long after the beginning.
type at struct {
	after time.Duration
	event events.Event
}

func stream(list ...at) iter.Seq2[simulate.Stored, error] {
	return func(yield func(simulate.Stored, error) bool) {
		for i, x := range list {
			if !yield(simulate.Stored{Event: x.event, Seq: uint64(i + 1), At: begin().Add(x.after)}, nil) {
				return
			}
		}
	}
}

const before = `
rules:
  - {name: same, on: com.acme.a, run: {playbook: p.yml}}
  - {name: gone, on: com.acme.a, run: {playbook: p.yml}}
  - {name: stricter, on: com.acme.a, run: {playbook: p.yml}}
  - {name: other, on: com.acme.a, run: {playbook: p.yml, vars: {n: "${{ event.data.n }}"}}}
  - {name: broken, on: com.acme.a, run: {playbook: p.yml}}
  - {name: later, absent: {on: com.acme.a, key: event.data.n, within: 10m}, notify: {to: ops, text: "${{ key }}"}}
  - {name: kept, absent: {on: com.acme.a, key: event.data.n, within: 10m}, notify: {to: ops, text: "${{ key }}"}}
`

const after = `
rules:
  - {name: same, on: [com.acme.a], run: {playbook: p.yml}}
  - {name: stricter, on: com.acme.a, condition: event.data.n > 1, run: {playbook: p.yml}}
  - {name: other, on: com.acme.a, run: {playbook: p.yml, check: true, vars: {n: "v${{ event.data.n }}"}}}
  - {name: broken, on: com.acme.a, run: {playbook: p.yml, vars: {n: "${{ event.data.none }}"}}}
  - {name: later, absent: {on: com.acme.a, key: event.data.n, within: 15m}, notify: {to: ops, text: "${{ key }}"}}
  - {name: kept, absent: {on: com.acme.a, key: event.data.n, within: 10m}, notify: {to: ops, text: "${{ key }}"}}
  - {name: fresh, on: com.acme.b, publish: {type: com.acme.c, data: {n: 1}}}
`

func TestCompare(t *testing.T) {
	t.Parallel()
	r, err := simulate.Compare(t.Context(), load(t, before), load(t, after), stream(
		at{0, event(t, "1", "com.acme.a", map[string]any{"n": 1})},
		at{time.Minute, event(t, "2", "com.acme.a", map[string]any{"n": 2})},
		at{time.Minute, event(t, "3", "com.acme.b", nil)},
	), simulate.Options{Until: begin().Add(15 * time.Minute), Examples: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rule := range r.Rules {
		line := fmt.Sprintf("%s %d->%d +%d -%d ~%d", rule.Name, rule.Old.Fired, rule.New.Fired, rule.Added, rule.Removed, rule.Changed)
		for _, ex := range rule.Examples {
			line += fmt.Sprintf("; %s %s %s %s", ex.Kind, ex.At.Sub(begin()), ex.ID, strings.Join(ex.Differences, ", "))
		}
		if rule.Fault != "" {
			line += "; " + rule.Fault
		}
		got = append(got, line)
	}
	want := []string{
		"broken 2->0 +0 -2 ~0; removed 0s 1 ; r.yml:6:70: vars.n: event.data.none is not in the event",
		"fresh 0->1 +1 -0 ~0; added 1m0s 3 ",
		"gone 2->0 +0 -2 ~0; removed 0s 1 ",
		"kept 2->2 +0 -0 ~0",
		// Of the second window the new set has not seen the end.
		"later 2->1 +0 -1 ~1; changed 10m0s  at 2026-03-02 10:10:00, now at 2026-03-02 10:15:00 UTC",
		`other 2->2 +0 -0 ~2; changed 0s 1 run.check: false, now true, run.vars.n: 1, now "v1"`,
		"same 2->2 +0 -0 ~0",
		"stricter 2->1 +0 -1 ~0; removed 0s 1 ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !r.Differs() || r.Events != 3 || !r.First.Equal(begin()) || !r.Last.Equal(begin().Add(time.Minute)) {
		t.Errorf("differs %t, %d events from %s to %s", r.Differs(), r.Events, r.First, r.Last)
	}
}

func TestCompareAlike(t *testing.T) {
	t.Parallel()
	set := load(t, before)
	r, err := simulate.Compare(t.Context(), set, set, stream(
		at{0, event(t, "1", "com.acme.a", map[string]any{"n": 1})},
		at{time.Hour, event(t, "2", "com.acme.a", map[string]any{"n": 1})},
	), simulate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Differs() {
		t.Errorf("one set differs from itself: %+v", r.Rules)
	}
	for _, rule := range r.Rules {
		if want := map[string]int{"later": 1, "kept": 1}[rule.Name]; want > 0 && rule.New.Fired != want {
			t.Errorf("%s fired %d times, want %d", rule.Name, rule.New.Fired, want)
		}
	}
}

func TestCompareEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	set, torn := load(t, before), errors.New("torn")
	broken := func(yield func(simulate.Stored, error) bool) { yield(simulate.Stored{}, torn) }
	if _, err := simulate.Compare(t.Context(), set, set, broken, simulate.Options{}); !errors.Is(err, torn) {
		t.Errorf("error %v, want that of the events", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := simulate.Compare(ctx, set, set, stream(at{0, event(t, "1", "com.acme.a", nil)}), simulate.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	p := simulate.NewPlayer(load(t, `
rules:
  - name: much
    on: com.acme.a
    run:
      playbook: p.yml
      limit: [web, "${{ event.data.host }}"]
      vars: {n: "${{ event.data.n }}"}
      needs: {site: fra}
      timeout: 90m
      retry: {attempts: 3}
      approval: {expires: 24h}
      concurrency: deploy
    publish: [{type: com.acme.b, subject: "${{ event.data.host }}", data: {n: 1}}, {type: com.acme.c}]
    set: {"host.${{ event.data.host }}": "${{ event.data.n }}", gone: null}
    notify: {to: ops, subject: s, text: "${{ event.id }}"}
`), begin())
	ds := p.Event(event(t, "1", "com.acme.a", map[string]any{"host": "web1", "n": 7}), 1, begin())
	if len(ds) != 1 {
		t.Fatalf("%d decisions", len(ds))
	}
	got, err := json.Marshal(simulate.Effects(ds[0].Verdict))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"notify":[{"subject":"s","text":"1","to":"ops"}],` +
		`"publish":[{"data":{"n":1},"subject":"web1","type":"com.acme.b"},{"type":"com.acme.c"}],` +
		`"run":{"approval":{"expires":"24h"},"check":false,"concurrency":{"key":"deploy","policy":"queue"},"inventory":"inventory",` +
		`"limit":["web","web1"],"needs":{"site":"fra"},"on_runner_loss":"requeue","playbook":"p.yml","priority":0,` +
		`"retry":{"attempts":3,"backoff":"30s"},"share_hosts":false,"timeout":"1h30m","vars":{"n":7}},` +
		`"set":{"gone":null,"host.web1":7}}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

func BenchmarkCompare(b *testing.B) {
	before, after := load(b, before), load(b, after)
	var list []at
	for i := range 1000 {
		list = append(list, at{time.Duration(i) * time.Second, event(b, fmt.Sprint(i), "com.acme.a", map[string]any{"n": i % 100})})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := simulate.Compare(b.Context(), before, after, stream(list...), simulate.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(list))/b.Elapsed().Seconds(), "events/s")
}
