package rules_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/rules"
)

// brief loads rules in short: each line is a rule without its run.
func brief(tb testing.TB, lines string) *rules.Set {
	tb.Helper()
	var text strings.Builder
	text.WriteString("rules:\n")
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		text.WriteString("- {" + strings.TrimSpace(line) + ", run: {playbook: p.yml}}\n")
	}
	return load(tb, text.String())
}

func TestJudgingOrder(t *testing.T) {
	t.Parallel()
	e := event(t, "a.b", `{"n": 5, "s": "x"}`)
	tests := []struct{ name, rules, want string }{
		{"priority", `
name: last, on: a.b, priority: -1
name: second, on: a.*
name: third, on: a.b
name: first, on: a.b, priority: 1000`, "first:fired second:fired third:fired last:fired"},
		{"stop", `
name: x, on: a.b
name: y, on: a.b, stop: true
name: z, on: a.*
name: off, on: a.b, enabled: false`, "x:fired y:fired z:stopped(y) off:disabled"},
		{"stop that is not met", `
name: y, on: a.b, stop: true, condition: event.data.n == 6
name: u, on: a.b, stop: true, condition: event.data.gone == 6
name: z, on: a.b`, "y:not_fired u:unknown z:fired"},
		{"stop of another type", `
name: y, on: a.c, stop: true
name: z, on: a.b`, "z:fired"},
		{"stop in shadow", `
name: y, on: a.b, stop: true, shadow: true
name: z, on: a.b`, "y:shadowed z:fired"},
		{"stop switched off", `
name: y, on: a.b, stop: true, enabled: false
name: z, on: a.b`, "y:disabled z:fired"},
		{"stop that is stopped", `
name: w, on: a.b, stop: true
name: y, on: a.b, stop: true
name: z, on: a.b`, "w:fired y:stopped(w) z:stopped(w)"},
		{"stop of an ordered rule", `
name: y, on: a.b, stop: true, throttle: {every: 1m, take: last}, condition: event.data.n == 5
name: z, on: a.b`, "z:stopped(y)"},
		{"ordered rules behind the last", `
name: z, on: a.b
name: y, on: a.b, stop: true, throttle: {every: 1m, take: last}`, "z:fired"},
		{"otherwise, covered", `
name: rest, on: a.*, otherwise: true, priority: 9
name: other, on: a.b, otherwise: true
name: x, on: a.b`, "x:fired rest:covered other:covered"},
		{
			"otherwise, needed", `
name: rest, on: a.*, otherwise: true
name: other, on: a.b, otherwise: true, condition: event.data.n == 6
name: third, on: a.b, otherwise: true
name: x, on: a.b, condition: event.data.n == 6
name: u, on: a.b, condition: event.data.gone == 6
name: s, on: a.b, shadow: true
name: off, on: a.b, enabled: false`,
			"x:not_fired u:unknown s:shadowed off:disabled rest:fired other:not_fired third:fired",
		},
		{"otherwise, covered by an ordered rule", `
name: rest, on: a.*, otherwise: true
name: w, all: {within: 1h, clauses: {x: {on: a.b, condition: event.data.n == 5}, y: {on: c}}}`, "rest:covered"},
		{"otherwise beside an ordered rule that is not met", `
name: rest, on: a.*, otherwise: true
name: w, all: {within: 1h, clauses: {x: {on: a.b, condition: event.data.n == 6}, y: {on: c}}}`, "rest:fired"},
		{"otherwise with stop", `
name: rest, on: a.*, otherwise: true, stop: true
name: other, on: a.b, otherwise: true`, "rest:fired other:stopped(rest)"},
		{"any", `
name: x, any: {clauses: {one: {on: a.c}, two: {on: a.b, condition: event.data.n == 5}, three: {on: a.b}}}
name: y, any: {clauses: {one: {on: a.b, condition: event.data.n == 6}, two: {on: a.*, condition: event.data.n == 7}}}
name: z, any: {clauses: {one: {on: a.b, condition: event.data.n == 6}, two: {on: a.*, condition: event.data.gone}}}
name: f, any: {clauses: {one: {on: a.b, condition: event.data.gone}, two: {on: a.*, condition: event.data.s > 1}}}
name: none, any: {clauses: {one: {on: a.c}, two: {on: a.b.*}}}`, "x:fired y:not_fired z:unknown f:failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := brief(t, tt.rules)
			var words []string
			for _, v := range set.Match(e, at) {
				word := v.Rule.Name + ":" + v.Outcome.String()
				if v.By != "" {
					word += "(" + v.By + ")"
				}
				words = append(words, word)
				if (v.Action != nil) != (v.Outcome == rules.Fired || v.Outcome == rules.Shadowed) {
					t.Errorf("%s with action %v", word, v.Action)
				}
				if one, ok := set.Judge(e, at, v.Rule.Name); !ok || one.Outcome != v.Outcome || one.By != v.By {
					t.Errorf("Judge(%s) = %v by %q, %v", v.Rule.Name, one.Outcome, one.By, ok)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(words, " ")); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnyTellsItsClause(t *testing.T) {
	t.Parallel()
	set := load(t, `
rules:
- name: r
  any: {clauses: {low: {on: a, condition: event.data.n < 5}, high: {on: a, condition: event.data.n > 5}}}
  run: {playbook: p.yml, vars: {met: "${{ clause }}", n: "${{ window.count }}", key: "${{ key }}"}}
`)
	v := set.Match(event(t, "a", `{"n": 7}`), at)[0]
	if diff := cmp.Diff(map[string]any{"met": "high", "n": int64(1), "key": ""}, v.Action.Vars); diff != "" {
		t.Errorf("vars (-want +got):\n%s", diff)
	}
	v = set.Match(event(t, "a", `{"n": 5}`), at)[0]
	if v.Reason == nil || v.Reason.Clause != "low" || v.Reason.Text != "event.data.n < 5" {
		t.Errorf("reason %+v", v.Reason)
	}
	if set.Rules()[0].Ordered() {
		t.Error("the rule is ordered; one event decides it")
	}
}

func TestLooped(t *testing.T) {
	t.Parallel()
	set := brief(t, "name: x, on: a\nname: off, on: a, enabled: false\nname: y, on: a, stop: true")
	for depth, want := range map[any]string{
		int32(rules.MaxDepth): "x:fired off:disabled y:fired", int32(rules.MaxDepth + 1): "x:looped off:disabled y:looped",
		"17": "x:looped off:disabled y:looped", "many": "x:fired off:disabled y:fired",
	} {
		e := event(t, "a", nil)
		e.SetExtension("jetdepth", depth)
		if got := spell(set.Match(e, at)); got != want {
			t.Errorf("depth %v: %s, want %s", depth, got, want)
		}
	}
}

func TestOrdered(t *testing.T) {
	t.Parallel()
	const run, stop = "run: {playbook: p.yml}", "run: {playbook: p.yml}, stop: true"
	tests := []struct{ name, rules, want string }{
		{"forms", `
name: single, on: a, ` + run + `
name: any, any: {clauses: {x: {on: a}}}, ` + run + `
name: all, all: {within: 1h, clauses: {x: {on: a}}}, ` + run + `
name: absent, absent: {within: 1h, on: a}, ` + run + `
name: incomplete, absent: {within: 1h, clauses: {x: {on: a}}}, ` + run + `
name: throttled, on: a, throttle: {every: 1m, take: first}, ` + run, "all absent incomplete throttled"},
		{"actions", `
name: p, on: a, publish: {type: b}
name: s, on: a, set: {x: 1}
name: n, on: a, notify: {to: ops, text: x}
name: r, on: a, ` + run, "p s n"},
		{"facts", `
name: condition, on: a, condition: kv.a == 1, ` + run + `
name: value, on: a, run: {playbook: p.yml, vars: {v: '${{ kv["a"] }}'}}
name: asked, on: a, condition: has(kv.a), ` + run + `
name: member, on: a, condition: event.data.kv == 1, ` + run, "condition value asked"},
		{"behind a stop that reads facts", `
name: before, on: a, ` + run + `
name: kv, on: [a, b.*], condition: kv.a == 1, ` + stop + `
name: same, on: a, ` + run + `
name: below, on: b.c, ` + run + `
name: wide, on: [x, b.*], ` + run + `
name: other, on: c, ` + run + `
name: first, on: a, priority: 1, ` + run, "kv same below wide"},
		{"behind stops that read none", `
name: kv, on: a, condition: kv.a == 1, ` + run + `
name: action, on: a, run: {playbook: p.yml, vars: {v: "${{ kv.a }}"}}, stop: true
name: shadow, on: a, condition: kv.a == 1, shadow: true, ` + stop + `
name: off, on: a, condition: kv.a == 1, enabled: false, ` + stop + `
name: x, on: a, ` + run, "kv action shadow off"},
		{"otherwise", `
name: rest, on: a.*, otherwise: true, ` + run + `
name: else, on: b, otherwise: true, ` + run + `
name: kv, on: a.b, condition: kv.a == 1, ` + run, "kv rest"},
		{"otherwise beside a shadow", `
name: rest, on: a.*, otherwise: true, ` + run + `
name: kv, on: a.b, condition: kv.a == 1, shadow: true, ` + run, "kv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			text.WriteString("rules:\n")
			for line := range strings.Lines(strings.TrimSpace(tt.rules)) {
				text.WriteString("- {" + strings.TrimSpace(line) + "}\n")
			}
			set := load(t, text.String())
			var got, explained []string
			for _, r := range set.Rules() {
				if r.Ordered() {
					got = append(got, r.Name)
				}
			}
			for _, v := range set.Explain(event(t, "a", nil), at) {
				explained = append(explained, v.Rule.Name)
				if v.Rule.Ordered() {
					t.Errorf("Explain has the ordered rule %s", v.Rule.Name)
				}
			}
			want := strings.Fields(tt.want)
			less := cmp.Transformer("set", func(s []string) map[string]bool {
				m := map[string]bool{}
				for _, x := range s {
					m[x] = true
				}
				return m
			})
			if diff := cmp.Diff(want, got, less); diff != "" {
				t.Errorf("ordered (-want +got):\n%s", diff)
			}
			if len(explained)+len(got) != len(set.Rules()) {
				t.Errorf("Explain has %q", explained)
			}
		})
	}
}

func TestVarsOfTheFile(t *testing.T) {
	t.Parallel()
	set, err := rules.Load(fstest.MapFS{
		"a.yml": {Data: []byte("vars: {n: 5, deep: {words: [p, q]}}\nrules:\n- name: a\n  on: a\n  condition: event.data.n == vars.n\n  run: {playbook: p.yml, vars: {w: '${{ vars.deep.words[1] }}'}}\n")},
		"b.yml": {Data: []byte("vars: {n: 6}\nrules:\n- {name: b, on: a, condition: event.data.n == vars.n, run: {playbook: p.yml}}\n")},
		// Cases for rules are no rules.
		"a_test.yml": {Data: []byte("cases: []\n")}, "sub/b_test.yaml": {Data: []byte("cases: []\n")},
	}, ".")
	if err != nil {
		t.Fatal(err)
	}
	got := set.Match(event(t, "a", payload), at)
	if spell(got) != "a:fired b:not_fired" {
		t.Fatal(spell(got))
	}
	if diff := cmp.Diff(map[string]any{"w": "q"}, got[0].Action.Vars); diff != "" {
		t.Errorf("vars (-want +got):\n%s", diff)
	}
}
