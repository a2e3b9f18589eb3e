package rulebook_test

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/rulebook"
)

// FuzzCondition wants of any condition: no panic, and rules that load, whether or
// not it could be converted.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		"event.i == 1", "event.x", "not event.x", "not (event.a or event.b) and event.c", "true", "event.i + 1 * 2 - -3 >= 1.5e3",
		`event.a["x/y"][0][-1] != null`, "event.a in [1, 'b', true]", "vars.l not contains event.i", "event.x is defined",
		`event.x is not match("a\d", ignorecase=true)`, "event.l is select('>=', 10)", "event.l is not select('regex', 'a|b')",
		"event.l is selectattr('a.b', 'not in', [1, 2])", "event.l is selectattr('a', 'contains', vars.x)",
		"fact.a == 1 and event.b == fact.a", "events.first << event.meta.uuid == 'x'", "event.meta.headers['X-Y'] == event.meta.hosts",
		"event.i == events.m_0.i", "event.a == fact.meta.x", "'a' == event['and'].nil", "event.i == 1 << 2", "event", "vars", "vars == 1", "((((1))))",
	} {
		f.Add(s, 0)
		f.Add(s, 1)
		f.Add(s, 2)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, src string, form int) {
		var cond any = src
		switch form & 3 {
		case 1:
			cond = map[string]any{"all": []any{"event.i == 0", src}}
		case 2:
			cond = map[string]any{"any": []any{src, "event.i == 0"}}
		case 3:
			cond = map[string]any{"not_all": []any{"event.i == 0", src}, "timeout": "5 seconds"}
		}
		check(t, map[string]any{"name": "r", "condition": cond, "action": map[string]any{"debug": nil}})
	})
}

// FuzzTemplate wants the same of what stands between braces.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"event.x", "x", "event.a | default('b') | upper", "event.l | join(', ')", "1 + 2", "[event.a, 'b']", "fact.x", "events.m_1.x", "event.a | replace('}}', '$')"} {
		f.Add("{{ "+s+" }}", s)
		f.Add("a ${{"+s+"}} b", s)
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		check(t, map[string]any{
			"name": name, "condition": "event.i == 0",
			"throttle": map[string]any{"once_after": "5 minutes", "group_by_attributes": []any{name}},
			"actions": []any{
				map[string]any{"run_playbook": map[string]any{"name": name, "extra_vars": map[string]any{"a": text}, "lock": name}},
				map[string]any{"set_fact": map[string]any{"fact": map[string]any{name: []any{text}}}},
				map[string]any{"post_event": map[string]any{"event": map[string]any{"a": text}}},
				map[string]any{"debug": map[string]any{"var": name}},
			},
		})
	})
}

func check(t *testing.T, rule map[string]any) {
	t.Helper()
	book, err := yaml.Marshal([]any{map[string]any{"name": "set", "hosts": "web", "sources": []any{}, "rules": []any{rule}}})
	if err != nil {
		t.Skip()
	}
	r, err := rulebook.Convert("b.yml", book, rulebook.Options{})
	if err != nil {
		if strings.Contains(err.Error(), "b.yml") {
			return // what yaml writes it does not always read
		}
		t.Fatal(err)
	}
	if err := load(r.Rules); err != nil {
		t.Errorf("%s\nbecomes\n%s\nwhich does not load: %v\n%v", book, r.Rules, err, r.Findings)
	}
}
