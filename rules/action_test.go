package rules_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/rules"
)

// withRun returns a set of one rule for events of type a with these lines under
// run, besides its playbook.
func withRun(tb testing.TB, lines string) *rules.Set {
	tb.Helper()
	return load(tb, "rules:\n- name: r\n  on: a\n  run:\n    playbook: p.yml\n    "+
		strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n    ")+"\n")
}

func TestVars(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	e.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
	tests := []struct {
		name, value string
		want        any
	}{
		{"fixed text", `plain`, "plain"},
		{"fixed number", `5`, int64(5)},
		{"fixed deep", `{a: [1, {b: null}], c: 0755}`, map[string]any{
			"a": []any{int64(1), map[string]any{"b": nil}}, "c": "0755",
		}},
		{"alone: integer", `${{ event.data.n }}`, int64(5)},
		{"alone: float", `${{ event.data.f }}`, 1.5},
		{"alone: bool", `${{ event.data.yes }}`, true},
		{"alone: null", `${{ event.data.null }}`, nil},
		{"alone: text", `${{ event.data.s }}`, "v2.1.0"},
		{"alone: list", `${{ event.data.words }}`, []any{"p", "q"}},
		{"alone: mapping", `${{ event.data.obj.a }}`, map[string]any{"b": "deep"}},
		{"alone: made", `'${{ {"k": [1, 2.5, len("abc")]} }}'`, map[string]any{"k": []any{int64(1), 2.5, int64(3)}}},
		{"alone: range", `${{ 1..3 }}`, []any{int64(1), int64(2), int64(3)}},
		{"alone: split", `${{ split("a,b", ",") }}`, []any{"a", "b"}},
		{"alone: time", `${{ event.time }}`, "2026-01-02T03:04:05.000006Z"},
		{"alone: duration", `${{ duration("90s") }}`, "1m30s"},
		{"alone: version", `${{ semver("v1.2.3") }}`, "1.2.3"},
		{"alone: or else", `${{ event.data.gone ?? "none" }}`, "none"},
		{"alone: optional", `${{ event.data.gone?.x }}`, nil},
		{"alone: tight", `${{event.data.n}}`, int64(5)},
		{"blanks around make text", `" ${{ event.data.n }}"`, " 5"},
		{"in text", `v${{ event.data.n }}-${{ event.data.f }}${{ event.data.yes }}.`, "v5-1.5true."},
		{"list in text", `"is ${{ event.data.words }}"`, `is ["p","q"]`},
		{"mapping in text", `'is ${{ {"b": 1, "a": "}}"} }}'`, `is {"a":"}}","b":1}`},
		{"quotes in expression", `'${{ "a\"}}" + "b" }}!'`, `a"}}b!`},
		{"raw quotes in expression", "'${{ `a\\` }}!'", `a\!`},
		{"escaped", `$${{ event.data.n }} ${{ event.data.n }}`, "${{ event.data.n }} 5"},
		{"not an expression", `$ {{ x }} }} {{ $x`, "$ {{ x }} }} {{ $x"},
		{"nested", `{a: ["${{ event.data.n }}", {b: "x${{ event.id }}"}]}`, map[string]any{
			"a": []any{int64(5), map[string]any{"b": "x1"}},
		}},
		{"block", "|\n      one ${{ event.data.n }}\n      two ${{ event.data.s }}", "one 5\ntwo v2.1.0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := withRun(t, "vars:\n  v: "+tt.value).Match(e, at)[0]
			if v.Outcome != rules.Fired {
				t.Fatalf("%v: %v", v.Outcome, v.Err)
			}
			if diff := cmp.Diff(map[string]any{"v": tt.want}, v.Action.Vars); diff != "" {
				t.Errorf("vars (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	e.SetSubject("web-1.example.org")
	tests := []struct {
		limit string
		want  []string
	}{
		{`web`, []string{"web"}},
		{`[web, db]`, []string{"web", "db"}},
		{`${{ event.subject }}`, []string{"web-1.example.org"}},
		{`${{ event.data.words }}`, []string{"p", "q"}},
		{`["${{ event.subject }}", "x-${{ event.data.n }}"]`, []string{"web-1.example.org", "x-5"}},
	}
	for _, tt := range tests {
		t.Run(tt.limit, func(t *testing.T) {
			t.Parallel()
			v := withRun(t, "limit: "+tt.limit).Match(e, at)[0]
			if v.Outcome != rules.Fired {
				t.Fatalf("%v: %v", v.Outcome, v.Err)
			}
			if diff := cmp.Diff(tt.want, v.Action.Limit); diff != "" {
				t.Errorf("limit (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	tests := []struct{ lines, want string }{
		{`limit: ${{ event.subject }}`, `rules/r.yml:6:12: limit: event.subject is not in the event`},
		{`limit: ${{ event.data.n }}`, `rules/r.yml:6:12: limit: must be a name or a list of names, not a number`},
		{`limit: ${{ event.data.empty }}`, `rules/r.yml:6:12: limit: is an empty list; it would run on no host`},
		{`limit: ${{ event.data.list }}`, `rules/r.yml:6:12: limit: must be a list of names, not of a mapping`},
		{`limit: ${{ "" }}`, `rules/r.yml:6:12: limit: is empty; it would run on no host`},
		{`limit: ${{ "--all" }}`, `rules/r.yml:6:12: limit: is not the name of a group or host: letters, digits, _ . and -`},
		{`limit: ${{ event.data.bad }}`, `rules/r.yml:6:12: limit: is not the name of a group or host: letters, digits, _ . and -`},
		{"vars:\n  a: ok\n  b: {c: 'x ${{ event.data.gone.x }}'}", `rules/r.yml:8:17: vars.b.c: event.data.gone is not in the event`},
		{`vars: {a: "x ${{ event.data.null }}"}`, `rules/r.yml:6:18: vars.a: the value is null; write ?? and what to put instead`},
		{`vars: {a: '${{ semver("x" + event.id) }}'}`, `rules/r.yml:6:16: vars.a: "x1" is not a version such as 1.2.3`},
		{`vars: {a: '${{ 1..20000 }}'}`, `rules/r.yml:6:16: vars.a: the value has more than 10,000 members`},
		{`vars: {a: '${{ 1 / 0 }}'}`, `rules/r.yml:6:16: vars.a: the number is not finite`},
		{
			`vars: {a: '${{ replace(join(map(1..1000, "aaaaaaaaaa"), ""), "a", join(map(1..1000, "bbbbbbbbbb"), "")) }}'}`,
			`rules/r.yml:6:16: vars.a: the text grows beyond 1 MiB`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.lines, func(t *testing.T) {
			t.Parallel()
			v := withRun(t, tt.lines).Match(e, at)[0]
			if v.Outcome != rules.Failed || v.Action != nil || v.Err == nil {
				t.Fatalf("%v, %v, %v; want Failed alone", v.Outcome, v.Action, v.Err)
			}
			if got := v.Err.Error(); got != tt.want {
				t.Errorf("error %s\n want %s", got, tt.want)
			}
		})
	}
}

// TestActionIsTheCallers changes an action and looks for traces in the next.
func TestActionIsTheCallers(t *testing.T) {
	t.Parallel()
	set := withRun(t, "needs: {site: fra}\nlimit: [web]\nvars: {fixed: {a: [1]}, data: \"${{ event.data.obj }}\"}")
	e := event(t, "a", payload)
	first := set.Match(e, at)[0].Action
	first.Needs["site"] = "x"
	first.Limit[0] = "x"
	first.Vars["fixed"].(map[string]any)["a"].([]any)[0] = "x"
	first.Vars["data"].(map[string]any)["key"] = "x"
	want := &rules.Action{
		Playbook: "p.yml", Inventory: "inventory", Limit: []string{"web"},
		Vars: map[string]any{
			"fixed": map[string]any{"a": []any{int64(1)}},
			"data":  map[string]any{"a": map[string]any{"b": "deep"}, "dash-ed": int64(1), "key": "a"},
		},
		Needs: map[string]string{"site": "fra"}, Timeout: time.Hour, OnRunnerLoss: rules.LossRequeue,
	}
	if diff := cmp.Diff(want, set.Match(e, at)[0].Action); diff != "" {
		t.Errorf("action (-want +got):\n%s", diff)
	}
}

// TestGrowth makes sure that expressions which double their value at every step
// stop before they fill the memory.
func TestGrowth(t *testing.T) {
	t.Parallel()
	double := func(open, close string, n int) string {
		s := open
		for range n {
			s = strings.ReplaceAll(close, "X", s)
		}
		return s
	}
	for name, x := range map[string]string{
		"text":  double(`event.data.s`, `map([X], # + #)[0]`, 40),
		"list":  double(`event.data.s`, `map([X], [#, #])[0]`, 40),
		"json":  double(`event.data.s`, `toJSON(X)`, 60),
		"steps": `all(1..300, all(1..300, all(1..300, true)))`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := rules.Load(fstest.MapFS{"r.yml": {Data: []byte(
				"rules:\n- name: r\n  on: a\n  run:\n    playbook: p.yml\n    vars:\n      v: '${{ " + x + " }}'\n")}}, ".")
			if err != nil {
				t.Fatal(err)
			}
			if v := set.Match(event(t, "a", payload), at)[0]; v.Outcome != rules.Failed {
				t.Errorf("%v, want failed", v.Outcome)
			}
		})
	}
}
