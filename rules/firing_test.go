package rules

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
)

var stored = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// one loads a set of one rule, and returns the rule.
func one(tb testing.TB, rule string) *Rule {
	tb.Helper()
	text := "vars: {unit: C}\nrules:\n- " + strings.ReplaceAll(strings.TrimSpace(rule), "\n", "\n  ") + "\n"
	set, err := Load(fstest.MapFS{"r.yml": {Data: []byte(text)}}, ".")
	if err != nil {
		tb.Fatal(err)
	}
	return set.Rules()[0]
}

func happened(tb testing.TB, id, typ, data string) events.Event {
	tb.Helper()
	e, err := events.New("/test", typ, nil)
	if err != nil {
		tb.Fatal(err)
	}
	e.SetID(id)
	if data != "" {
		e.SetDataContentType("application/json")
		e.DataEncoded = []byte(data)
	}
	return e
}

func seen(tb testing.TB, id, data string) *view {
	tb.Helper()
	return newView(happened(tb, id, "a", data))
}

func TestActions(t *testing.T) {
	t.Parallel()
	r := one(t, `
name: r
on: a
throttle: {key: event.data.host, every: 10m, take: last, unique: event.id}
publish:
  - {type: com.acme.alarm, subject: "${{ key }}", data: {n: "${{ window.count }}", ids: "${{ map(matches, .id) }}", began: "${{ window.began }}"}}
  - {type: com.acme.plain}
  - {type: com.acme.null, data: "${{ nil }}"}
set: {"last.${{ key }}": "${{ event.data.t }}", a/b: [1, "${{ vars.unit }}"], gone: null, "5": true}
notify: {to: ops, subject: "${{ key }}", text: "${{ matches[0].data.t }}${{ vars.unit }}, ${{ kv.limit }}, ${{ now }}, ${{ len(missing) }}"}
run: {playbook: p.yml, vars: {t: "${{ matches[-1].data.t }}"}}
`)
	if r.Throttle.Key != "event.data.host" || r.Throttle.Unique != "event.id" || !r.Ordered() {
		t.Errorf("throttle %+v", r.Throttle)
	}
	if diff := cmp.Diff(map[string][]string{"": {""}}, r.keeps); diff != "" {
		t.Errorf("keeps (-want +got):\n%s", diff)
	}
	f := &firing{
		key: "web1", count: 2, began: stored.Add(-time.Minute), ends: stored,
		matches: []*view{seen(t, "1", `{"t": 1.5}`), seen(t, "2", `{"t": 2}`)},
	}
	ev := newTimerEvaluation(stored)
	ev.enter(r, map[string]any{"limit": int64(7)})
	v := Verdict{Rule: r}
	ev.act(&v, f)
	if v.Outcome != Fired {
		t.Fatalf("%v: %v", v.Outcome, v.Err)
	}
	want := []Publication{
		{Type: "com.acme.alarm", Subject: "web1", Data: map[string]any{
			"n": int64(2), "ids": []any{"1", "2"}, "began": "2026-03-02T09:59:00Z",
		}},
		{Type: "com.acme.plain"},
		{Type: "com.acme.null"},
	}
	if diff := cmp.Diff(want, v.Publish); diff != "" {
		t.Errorf("publish (-want +got):\n%s", diff)
	}
	facts := []Fact{{"5", true}, {"a/b", []any{int64(1), "C"}}, {"gone", nil}, {"last.web1", int64(2)}}
	if diff := cmp.Diff(facts, v.Set); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	note := []Notification{{To: "ops", Subject: "web1", Text: "1.5C, 7, 2026-03-02T10:00:00Z, 0"}}
	if diff := cmp.Diff(note, v.Notify); diff != "" {
		t.Errorf("notify (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"t": int64(2)}, v.Action.Vars); diff != "" {
		t.Errorf("vars (-want +got):\n%s", diff)
	}
}

func TestActionsFail(t *testing.T) {
	t.Parallel()
	tests := []struct{ action, want string }{
		{`set: {a: "${{ kv.gone }}"}`, `r.yml:5:13: set.a: kv.gone is not set`},
		{`set: {"a.${{ event.data.bad }}": 1}`, `r.yml:5:9: set: "a.b d" is not the key of a fact: only letters, digits and any of _-./: may be in it`},
		{`set: {"${{ event.data.null }}": 1}`, `r.yml:5:9: set: the value is null; write ?? and what to put instead`},
		{`set: {x: 1, "${{ event.data.x }}": 2}`, `r.yml:5:9: set: the fact x is set twice`},
		{`set: {x: '${{ map(1..5000, "long") }}'}`, `r.yml:5:9: set.x: the value of a fact has at most 16 KiB`},
		{`publish: {type: b, subject: "${{ event.data.gone }}"}`, `r.yml:5:32: publish.subject: event.data.gone is not in the event`},
		{`publish: {type: b, subject: "${{ event.data.nl }}"}`, `r.yml:5:31: publish.subject: has a control character`},
		{`publish: {type: b, data: {x: ["${{ event.data.gone }}"]}}`, `r.yml:5:34: publish.data.x: event.data.gone is not in the event`},
		{`notify: {to: ops, text: "${{ event.data.gone }}"}`, `r.yml:5:28: notify.text: event.data.gone is not in the event`},
		{`notify: {to: ops, subject: "${{ event.data.null }}", text: x}`, `r.yml:5:30: notify.subject: the value is null; write ?? and what to put instead`},
	}
	for _, tt := range tests {
		t.Run(tt.action, func(t *testing.T) {
			t.Parallel()
			r := one(t, "name: r\non: a\n"+tt.action)
			ev := newEvaluation(happened(t, "1", "a", `{"bad": "b d", "null": null, "x": "x", "nl": "a\nb"}`), stored)
			ev.enter(r, map[string]any{})
			v := Verdict{Rule: r}
			ev.act(&v, nil)
			if v.Outcome != Failed || v.Err == nil || v.Publish != nil || v.Set != nil || v.Notify != nil {
				t.Fatalf("%+v", v)
			}
			if got := v.Err.Error(); got != tt.want {
				t.Errorf("error %s\n want %s", got, tt.want)
			}
		})
	}
}

func TestShadowActs(t *testing.T) {
	t.Parallel()
	r := one(t, "name: r\non: a\nshadow: true\nset: {x: 1}")
	ev := newEvaluation(happened(t, "1", "a", ""), stored)
	ev.enter(r, map[string]any{})
	v := Verdict{Rule: r}
	ev.act(&v, nil)
	if v.Outcome != Shadowed || len(v.Set) != 1 {
		t.Errorf("%+v", v)
	}
}

func TestWhereAndKeys(t *testing.T) {
	t.Parallel()
	r := one(t, `
name: r
all:
  within: 1h
  key: event.data.sha
  where: events.built.data.n < events.approved.data.n && window.count == 2 && key == "abc"
  clauses:
    built: {on: com.acme.built, condition: event.data.ok}
    approved: {on: com.acme.approved, key: event.data.commit}
publish: {type: x, data: {who: "${{ events.approved.ext.actor }}", last: "${{ event.type }}", all: "${{ events.built.data.list[0].x }}"}}
`)
	if got := r.On; !cmp.Equal(got, []string{"com.acme.built", "com.acme.approved"}) {
		t.Errorf("on %q", got)
	}
	if b, a := r.Clauses[0], r.Clauses[1]; b.Name != "built" || b.Key != "event.data.sha" || a.Key != "event.data.commit" {
		t.Errorf("clauses %+v, %+v", b, a)
	}
	want := map[string][]string{
		"built": {"data/list", "data/n", "type"}, "approved": {"data/n", "ext/actor", "type"},
	}
	if diff := cmp.Diff(want, r.keeps); diff != "" {
		t.Errorf("keeps (-want +got):\n%s", diff)
	}
	ev := newEvaluation(happened(t, "2", "com.acme.approved", `{"n": 6, "commit": "abc"}`), stored)
	ev.enter(r, map[string]any{})
	if key, err := ev.key(r.Clauses[1].key); key != "abc" || err != nil {
		t.Errorf("key %q, %v", key, err)
	}
	_, err := ev.key(r.Clauses[0].key)
	m, ok := errors.AsType[*missingError](err)
	if !ok || m.path != "event.data.sha" || err.Error() != "r.yml:6:10: key: event.data.sha is not in the event" {
		t.Errorf("missing key: %v", err)
	}
	f := &firing{key: "abc", count: 2, events: map[string]*view{"built": seen(t, "1", `{"n": 5}`), "approved": ev.event}}
	if d := ev.where(r, f); d.truth != yes {
		t.Errorf("where = %+v", d)
	}
	f.events["built"] = seen(t, "1", `{"n": 7}`)
	outcome, reason, err := ev.explain(ev.where(r, f))
	if outcome != NotFired || err != nil || reason.Text != "events.built.data.n < events.approved.data.n" || len(reason.Values) != 2 {
		t.Errorf("%v, %+v, %v", outcome, reason, err)
	}
	f.events["built"] = seen(t, "1", `{}`)
	if outcome, reason, _ = ev.explain(ev.where(r, f)); outcome != Unknown || reason.Missing != "events.built.data.n" {
		t.Errorf("%v, %+v", outcome, reason)
	}
	f.events["built"] = seen(t, "1", `{"n": "x"}`)
	if outcome, _, err = ev.explain(ev.where(r, f)); outcome != Failed || !strings.HasPrefix(err.Error(), "r.yml:7:12: where: ") {
		t.Errorf("%v, %v", outcome, err)
	}
}

func TestKeyText(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		`event.data.n`: "5", `event.data.f`: "1.5", `event.data.s`: " as it is ", `event.data.yes`: "true", `""`: "",
		`event.data.null`:          "r.yml:5:30: throttle: the key is null, not text",
		`event.data.list`:          "r.yml:5:30: throttle: the key is a list, not text",
		`event.data`:               "r.yml:5:30: throttle: the key is a mapping, not text",
		`join(event.data.list,"")`: "r.yml:5:30: throttle: the key is longer than 512 bytes",
		`event.data.n / 0`:         "r.yml:5:30: throttle: the number is not finite",
	} {
		r := one(t, "name: r\non: a\nthrottle: {every: 1m, key: '"+key+"', take: first}\nset: {x: 1}")
		ev := newEvaluation(happened(t, "1", "a",
			`{"n": 5, "f": 1.5, "s": " as it is ", "yes": true, "null": null, "list": ["`+strings.Repeat("x", 513)+`"]}`), stored)
		ev.enter(r, nil)
		got, err := ev.key(r.Throttle.key)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s\n want %s", key, got, want)
		}
	}
}

func TestAbsentEvents(t *testing.T) {
	t.Parallel()
	r := one(t, `
name: r
absent: {on: a, within: 15m, key: event.subject, expect: [web1, web2]}
set: {x: "${{ has(events.last) ? events.last.data.n : 0 }}"}
notify: {to: ops, text: "${{ events.last.time }}"}
`)
	if diff := cmp.Diff(map[string][]string{"": {"data/n", "time"}}, r.keeps); diff != "" {
		t.Errorf("keeps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"web1", "web2"}, r.Window.Expect); diff != "" || r.Form != Absent || r.Window.Key != "event.subject" {
		t.Errorf("window %+v", r.Window)
	}
	ev := newTimerEvaluation(stored)
	ev.enter(r, nil)
	v := Verdict{Rule: r}
	ev.act(&v, &firing{key: "web1"})
	if want := "r.yml:6:28: notify.text: events.last is not there: no such event came"; v.Outcome != Failed || v.Err.Error() != want {
		t.Errorf("%v: %v", v.Outcome, v.Err)
	}
	r = one(t, `
name: stuck
missed: report
max_windows: 5
absent: {on: b, within: 30m, key: event.data.id, after: {on: a, condition: event.data.n > 1}}
set: {"x.${{ key }}": "${{ events.after.data.n }}", y: "${{ events.last?.id }}"}
`)
	if r.Missed != MissedReport || r.MaxWindows != 5 || len(r.Clauses) != 2 || r.Clauses[1].Name != "after" || r.Clauses[1].Key != "event.data.id" {
		t.Errorf("%+v", r)
	}
	ev.enter(r, nil)
	v = Verdict{Rule: r}
	ev.act(&v, &firing{key: "7", events: map[string]*view{"after": seen(t, "1", `{"n": 2}`)}})
	if diff := cmp.Diff([]Fact{{"x.7", int64(2)}, {"y", nil}}, v.Set); diff != "" || v.Err != nil {
		t.Errorf("set (-want +got):\n%s%v", diff, v.Err)
	}
	r = one(t, `
name: half
absent: {within: 10m, clauses: {a: {on: a}, b: {on: b}}}
set: {x: "${{ missing }}", y: "${{ has(events.b) }}"}
`)
	ev.enter(r, nil)
	v = Verdict{Rule: r}
	ev.act(&v, &firing{missing: []string{"b"}})
	if diff := cmp.Diff([]Fact{{"x", []any{"b"}}, {"y", false}}, v.Set); diff != "" || r.Form != Incomplete {
		t.Errorf("set (-want +got):\n%s%v", diff, v.Err)
	}
}

// TestUnderMatches: the word is a value where one can be, else the operator.
func TestUnderMatches(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]any{
		`len(matches)`: int64(1), `matches[0].id matches "^1"`: true, `matches | map(.id)`: []any{"1"},
		`event.data.matches`: "x", `"b" not matches "^1$" ? len(matches) : 0`: int64(1),
		`filter(["a", "b"], # matches "a")`: []any{"a"}, `not (matches[0].id == "2")`: true,
		`[1, len(matches)]`: []any{int64(1), int64(1)}, `any(matches, .data.matches matches "x")`: true,
	} {
		r := one(t, "name: r\non: a\nthrottle: {every: 1m, take: last}\nset: {x: '${{ "+expr+" }}'}")
		v := Verdict{Rule: r}
		ev := newTimerEvaluation(stored)
		ev.enter(r, nil)
		ev.act(&v, &firing{matches: []*view{seen(t, "1", `{"matches": "x"}`)}})
		if v.Outcome != Fired || !cmp.Equal(v.Set[0].Value, want) {
			t.Errorf("%s = %v (%v), want %v", expr, v.Set, v.Err, want)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	e := happened(t, "1", "a", `{"a":{"b":1,"c":2},"f":1e17,"i":100000000000000000,"list":[{"x":1,"y":2}],"h":"<&>","big":1e999,"a.b/c~":3}`)
	e.SetSubject("s")
	e.SetTime(stored)
	e.SetExtension("actor", "me")
	e.SetExtension("number", 7)
	text := happened(t, "1", "a", "")
	text.SetDataContentType("text/plain")
	text.DataEncoded = []byte("\xff")
	null, broken := happened(t, "1", "a", "null"), happened(t, "1", "a", "{")
	tests := []struct {
		name  string
		event events.Event
		paths []string
		want  string
	}{
		{"nothing", e, nil, `{"id":"1","source":"/test"}`},
		{
			"attributes", e,
			[]string{"ext/number", "subject", "time", "type"},
			`{"id":"1","source":"/test","type":"a","subject":"s","time":"2026-03-02T10:00:00Z","ext":{"number":7}}`,
		},
		{"members", e, []string{"data/a/b", "data/gone/x", "data/h"}, `{"id":"1","source":"/test","data":{"a":{"b":1},"h":"<&>"}}`},
		{"below a list", e, []string{"data/list/x"}, `{"id":"1","source":"/test","data":{"list":[{"x":1,"y":2}]}}`},
		{"numbers", e, []string{"data/f", "data/i"}, `{"id":"1","source":"/test","data":{"f":1e+17,"i":100000000000000000}}`},
		{"escaped", e, []string{joinPath([]string{"data", "a.b/c~"})}, `{"id":"1","source":"/test","data":{"a.b/c~":3}}`},
		{"null", null, []string{"data/x"}, `{"id":"1","source":"/test","data":null}`},
		{"bytes", text, []string{"data"}, `{"id":"1","source":"/test","bytes":"/w=="}`},
		{"broken", broken, []string{"data/x"}, `{"id":"1","source":"/test","error":"event.data is not valid JSON"}`},
		{"no data", happened(t, "1", "a", ""), []string{"data/x"}, `{"id":"1","source":"/test"}`},
	}
	for _, tt := range tests {
		got, err := newView(tt.event).keep(tt.paths)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v\n want %s", tt.name, got, err, tt.want)
		}
	}
	if _, err := seen(t, "1", `"`+strings.Repeat("x", maxKept)+`"`).keep([]string{""}); !errors.Is(err, errKept) {
		t.Errorf("too large: %v", err)
	}
	for _, e := range []events.Event{e, text, null, broken} {
		v := newView(e)
		data, err := v.keep([]string{""})
		if err != nil {
			t.Fatal(err)
		}
		back, err := keptView(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v.settled(), back, cmp.FilterPath(func(p cmp.Path) bool {
			return slices.Contains([]string{"named", "extended", "scanned"}, p.Last().String()[1:])
		}, cmp.Ignore()), cmp.AllowUnexported(view{}), cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) })); diff != "" {
			t.Errorf("kept and read (-want +got):\n%s", diff)
		}
	}
	if _, err := keptView([]byte("{")); err == nil {
		t.Error("no error for what is not a kept event")
	}
}

func TestCoveringPaths(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"data/a", "data/a-b/c", "time"}, coveringPaths([]string{"data/a/b", "time", "data/a-b/c", "data/a", "data/a"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{""}, coveringPaths([]string{"data", "", "time"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOverlap compares overlap with types that both are for.
func TestOverlap(t *testing.T) {
	t.Parallel()
	on := rapid.SampledFrom([]string{"a", "a.*", "a.b", "a.b.*", "a.b.c", "ab", "ab.*", "b.*"})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := on.Draw(rt, "a"), on.Draw(rt, "b")
		both := false
		for _, typ := range []string{"a", "a.b", "a.b.c", "a.b.c.d", "a.x", "ab", "ab.x", "b.x"} {
			both = both || overlap(a, typ) && overlap(b, typ)
		}
		if overlap(a, b) != both {
			rt.Fatalf("overlap(%s, %s) = %v", a, b, !both)
		}
	})
}
