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
		"vars: {n: 1}\nrules:\n- name: a\n  any: {clauses: {p: {on: x, condition: event.data.n > vars.n}, q: {on: y.*}}}\n  priority: 3\n  stop: true\n" +
			"  shadow: true\n  throttle: {key: event.id, every: 1m, count: 2, unique: event.source}\n  set: {\"a.${{ key }}\": \"${{ len(matches) }}\", b: null}\n",
		"rules:\n- name: a\n  all:\n    within: 1h\n    key: event.id\n    where: events.p.id != events.q.id && window.count > 1\n    clauses: {p: {on: x}, q: {on: x, key: event.subject}}\n" +
			"  missed: report\n  max_windows: 3\n  publish: [{type: z, subject: \"${{ key }}\", data: {t: \"${{ events.p.data.n }}\"}}]\n",
		"rules:\n- {name: a, absent: {on: x, key: event.id, within: 1m, expect: [p]}, notify: {to: ops, text: '${{ events.last?.id }} ${{ kv[\"a\"] }}'}}\n",
		"rules:\n- {name: a, absent: {within: 1m, clauses: {p: {on: x}, q: {on: y}}}, run: {playbook: p.yml, vars: {m: '${{ missing }}'}}}\n",
		"rules:\n- {name: a, on: x, otherwise: true, run: {playbook: p.yml}}\n- {name: b, on: x, condition: kv.a == now, stop: true, run: {playbook: p.yml}}\n",
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
		set.Match(e, at)
		set.Explain(e, at)
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
		`now > event.time`, `kv.a == 1 or vars.x`, `matches[0].id matches "x"`, `event.data.s not matches "^v"`, `any([1], # matches "1")`,
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
		if len(set.Rules()) != 1 || set.Rules()[0].Ordered() {
			return // the text closed the rule and opened others, or it reads facts
		}
		for _, v := range []rules.Verdict{set.Explain(full, at)[0], set.Explain(none, at)[0]} {
			switch v.Outcome {
			case rules.NotFired, rules.Unknown, rules.Failed:
				if v.Reason == nil || v.Reason.Text == "" || v.Reason.Pos.Line == 0 {
					t.Errorf("%v with clause %+v", v.Outcome, v.Reason)
				}
			}
		}
		if a, b := set.Match(full, at), set.Match(full, at); spell(a) != spell(b) {
			t.Errorf("%s, then %s", spell(a), spell(b))
		}
	})
}
