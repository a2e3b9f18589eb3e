package rules_test

import (
	"testing"
	"testing/fstest"

	"github.com/jet-bus/jet-bus/rules"
)

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"rules: []\n",
		"rules:\n- name: a\n  on: [x, y.*]\n  condition: >\n    event.id == \"1\"\n    && !event.data.x\n  run: {playbook: p.yml}\n",
		"rules:\n- {name: a, on: x, run: {playbook: p.yml, limit: \"${{ event.subject }}\", vars: {a: ['x ${{ event.data[\"}}\"] }}', &b 1, *b]}}}\n",
		"rules:\n- name: a\n  on: x\n  condition: \"event.id == \\\"\\u00e9\\\" \\\n    && true\"\n  run: {playbook: p.yml, vars: {b: |2\n    ${{ x }}\n}}\n",
		"rules:\n- name: a\n  on: x\n  breaker: {above: 3, per: 1m}\n  run:\n    playbook: p.yml\n    priority: -7\n    retry: {attempts: 3, backoff: 30s}\n" +
			"    concurrency: {key: \"k-${{ event.id }}\", policy: skip}\n    approval: {expires: 24h}\n    share_hosts: true\n",
		"rules:\n- {name: a, on: x, run: {playbook: p.yml, concurrency: \"${{ event.data }}\", approval: true, retry: {}}}\n",
		"rules: &a [*a]\n", "rules:\n- !x {name: y}\n", "a: b: c", "rules:\n- name: [a\n",
	} {
		f.Add([]byte(s))
	}
	e := event(f, "x", payload)
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := rules.Load(fstest.MapFS{"r.yml": {Data: data}}, ".")
		if (set == nil) == (err == nil) {
			t.Fatalf("Load = %v, %v", set, err)
		}
		if err != nil {
			_ = err.Error()
			return
		}
		set.Match(e)
		set.Explain(e)
	})
}

// FuzzCondition loads any condition and, if it is sound, evaluates it twice
// over events with and without data: it must not panic, and not waver.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		`event.id == "1"`, `!(event.data.a.b ?? 1 == 2) || has(event.data?.x)`, `any(event.data.list, .size > #.weight)`,
		`1 < event.data.n < 3`, `event.data.n not in [1, "2"]`, `semver(event.data.s) >= semver("1.0.0")`,
		`event.data.a ? event.data.b : event.data.c ?: true`, `if event.data.yes { true } else { event.data.n == 1 }`,
		`event.data.words | join(",") | upper() == "P,Q"`, `event.data.s[1:3] == "2." and event.data.list[0]["name"] == 'x'`,
		`sum(map(event.data.list, .size)) > 3 // comment`, `event.data.n ** 2 % 3 == -1`, `(event.data?.x?.["y"])`,
		`toJSON({a: [event.data.obj]}) contains "x" /* x */`, `event.time - event.time < duration("1h")`,
	} {
		f.Add(s)
	}
	full, none := event(f, "a", payload), event(f, "a", nil)
	f.Fuzz(func(t *testing.T, condition string) {
		set, err := withCondition(t, condition)
		if err != nil {
			_ = err.Error()
			return
		}
		if len(set.Rules()) != 1 {
			return // the text closed the rule and opened others
		}
		for _, v := range []rules.Verdict{set.Explain(full)[0], set.Explain(none)[0]} {
			switch v.Outcome {
			case rules.NotFired, rules.Unknown, rules.Failed:
				if v.Clause == nil || v.Clause.Text == "" || v.Clause.Pos.Line == 0 {
					t.Errorf("%v with clause %+v", v.Outcome, v.Clause)
				}
			}
		}
		if a, b := set.Match(full), set.Match(full); spell(a) != spell(b) {
			t.Errorf("%s, then %s", spell(a), spell(b))
		}
	})
}
