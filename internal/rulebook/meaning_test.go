package rulebook_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/rulebook"
	"github.com/jet-bus/jet-bus/rules"
)

// TestMeaning puts events to converted conditions.
func TestMeaning(t *testing.T) {
	t.Parallel()
	const (
		yes, no = rules.Fired, rules.NotFired
		unknown = rules.Unknown
	)
	for _, tc := range []struct {
		condition, data string
		want            rules.Outcome
	}{
		{`event.i == 1`, `{"i": 1}`, yes},
		{`event.i == 1`, `{"i": "1"}`, no},
		{`event.i == 1.0`, `{"i": 1}`, yes},
		{`event.x != "GET"`, `{"y": 1}`, unknown},
		{`event.x != "GET"`, `{"x": "PUT"}`, yes},
		{`event.x is not defined`, `{"y": 1}`, yes},
		{`event.x is defined`, `{"x": null}`, yes},
		{`event.x == null`, `{"x": null}`, yes},
		{`event.on`, `{"on": true}`, yes},
		{`not event.on`, `{"on": false}`, yes},
		{`not event.on`, `{}`, unknown},
		{`event.i in [1, 2.0, "a"]`, `{"i": 2}`, yes},
		{`event.i not in [1, "a"]`, `{"i": 2}`, yes},
		{`event.l contains 2`, `{"l": [1, 2]}`, yes},
		{`event.l not contains "2"`, `{"l": [1, 2]}`, yes},
		{`event.i - 1 > -2 * event.j`, `{"i": -1, "j": 2}`, yes},
		{`event.i - 1 - 1 == 1`, `{"i": 3}`, yes},
		{`event.i - (1 - 1) == 3`, `{"i": 3}`, yes},
		{`event.a == 1 or event.b == 1 and event.c == 1`, `{"a": 1, "b": 0, "c": 0}`, no}, // from the left
		{`event.a == 1 or (event.b == 1 and event.c == 1)`, `{"a": 1, "b": 0, "c": 0}`, yes},
		{`not event.a == 1 and event.b == 1`, `{"a": 0, "b": 1}`, yes},
		{`not (event.a == 1 and event.b == 1)`, `{"a": 0, "b": 1}`, yes},
		{`event.s is match("b")`, `{"s": "abc"}`, no},
		{`event.s is match("a|b")`, `{"s": "xb"}`, no},
		{`event.s is match("B", ignorecase=true)`, `{"s": "bc"}`, yes},
		{`event.s is match("B", ignorecase=false)`, `{"s": "bc"}`, no},
		{`event.s is search("b")`, `{"s": "abc"}`, yes},
		{`event.s is not search("x")`, `{"s": "abc"}`, yes},
		{`event.s is regex("^a\wc$")`, `{"s": "abc"}`, yes},
		{`event.l is select(">=", 10)`, `{"l": [1, 20]}`, yes},
		{`event.l is not select(">=", 10)`, `{"l": [1, 2]}`, yes},
		{`event.l is select("match", "a")`, `{"l": ["ba", "ab"]}`, yes},
		{`event.l is selectattr("n", ">", 1)`, `{"l": [{"m": 5}, {"n": 2}]}`, yes},
		{`event.l is not selectattr("n", ">", 1)`, `{"l": [{"m": 5}]}`, yes},
		{`event.l is selectattr("a.b", "contains", "x")`, `{"l": [{"a": {"b": ["x"]}}]}`, yes},
		{`event["a/b"].l[0] == 1 and event["a/b"].l[-1] == 2`, `{"a/b": {"l": [1, 2]}}`, yes},
		{`event.in.not == 1`, `{"in": {"not": 1}}`, yes},
		{`true`, `{}`, yes},
		{`false`, `{}`, no},
	} {
		book := "- name: s\n  hosts: all\n  sources: []\n  rules:\n    - name: r\n      condition: |\n        " + tc.condition +
			"\n      action: {run_playbook: {name: playbooks/p.yml, extra_vars: {}}}\n"
		r, err := rulebook.Convert("b.yml", []byte(book), rulebook.Options{On: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(r.Rules), "enabled: false") {
			t.Errorf("%s: not converted: %v", tc.condition, r.Findings)
			continue
		}
		set, err := rules.Load(fstest.MapFS{"r.yml": {Data: r.Rules}}, ".")
		if err != nil {
			t.Errorf("%s: %v", tc.condition, err)
			continue
		}
		e, err := events.New("/test", "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		e.SetID("1")
		e.SetDataContentType("application/json")
		e.DataEncoded = []byte(tc.data)
		verdicts := set.Match(e, time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC))
		if len(verdicts) != 1 || verdicts[0].Outcome != tc.want {
			t.Errorf("%s with %s: %+v, want %v", tc.condition, tc.data, verdicts, tc.want)
		}
	}
}

// TestFaults has the conditions that are none, and what is said of them.
func TestFaults(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`event.x ==`:                                     `b.yml:6:28: not converted: condition event.x ==: a value is missing before the end`,
		`(event.x == 1`:                                  `")" is missing before the end`,
		`event.x == 1 AND event.y == 2`:                  `6:31: not converted: condition event.x == 1 AND event.y == 2: "AND" does not belong here`,
		`event.x = 1`:                                    `"=" does not belong here`,
		`x == 1`:                                         `6:18: not converted: condition x == 1: "x" is not a name: values begin with event., events., fact., facts. or vars.`,
		`event.x == "a`:                                  `the text has no closing quote`,
		`event.x is big`:                                 `"big" is no test`,
		`event.x is match(3)`:                            `a pattern stands in quotes`,
		`event.x is match("a", b=true)`:                  `"b" is no option`,
		`event.x is select("in", [1])`:                   `"in" is no operator for select`,
		`event.l[event.i] == 1`:                          `in brackets stands a whole number or a text in quotes`,
		`event.x == 99999999999999999999`:                `is too large`,
		`event.x < "a" + 1`:                              `+ takes numbers, not text and a number`,
		`event.x and "a"`:                                `text stands where something true or false is wanted`,
		`event.i == events.m_0.i`:                        `no condition of the rule is called events.m_0`,
		`event is defined`:                               `event alone is always defined`,
		`event.x == fact.meta.hosts`:                     `there are no facts of hosts here`,
		`event.x == 1 == 2`:                              `"==" does not belong here`,
		strings.Repeat("(", 60) + "event.x":              `nests deeper than 50`,
		strings.Repeat("event.x and ", 200):              `has more than 250 parts`,
		"event.x == '" + strings.Repeat("x", 9000) + "'": `longer than 8 KiB`,
		`event.meta.headers["äö"] == 1`:                  `there is no extension for the header`,
		`event.x is regex("a(?!b)")`:                     `patterns are those of RE2`,
	} {
		book := "- name: s\n  hosts: all\n  sources: []\n  rules:\n    - name: r\n      condition: " + condition +
			"\n      action: {run_playbook: {name: playbooks/p.yml}}\n"
		if strings.HasPrefix(condition, "(((") {
			book = strings.Replace(book, condition, "'"+condition+"'", 1)
		}
		r, err := rulebook.Convert("b.yml", []byte(book), rulebook.Options{On: []string{"a"}})
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		found := false
		for _, f := range r.Findings {
			found = found || f.Kind == rulebook.NotConverted && strings.Contains(f.String(), want)
		}
		if !found || r.Exact() || !strings.Contains(string(r.Rules), "enabled: false") || load(r.Rules) != nil {
			t.Errorf("%s: %v, want %s", condition, r.Findings, want)
		}
	}
}
