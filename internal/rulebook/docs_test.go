package rulebook_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/rulebook"
)

// row is a row of a table of docs/from-ansible-rulebook.md.
type row struct {
	section             string
	theirs, ours, about string // ours is empty where there is nothing
}

func rows(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile("../../docs/from-ansible-rulebook.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []row
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			section = name
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) != 5 {
			t.Errorf("not three cells: %s", line)
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "\x00", "|"))
		}
		r := row{section: section, theirs: code(cells[1]), about: cells[3]}
		if cells[2] != "—" {
			r.ours = code(cells[2])
			if r.ours == "" {
				t.Errorf("no code: %s", line)
			}
		}
		list = append(list, r)
	}
	return list
}

// code returns what stands in a span of code.
func code(cell string) string {
	fence := cell[:len(cell)-len(strings.TrimLeft(cell, "`"))]
	if fence == "" || !strings.HasSuffix(cell, fence) {
		return ""
	}
	return strings.TrimSpace(cell[len(fence) : len(cell)-len(fence)])
}

// mapping reads keys of a rule, written as "key: value" or as a mapping in braces.
func mapping(t *testing.T, text string) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func ruleFile(t *testing.T, rule map[string]any) []byte {
	t.Helper()
	_, run := rule["run"]
	_, publish := rule["publish"]
	_, set := rule["set"]
	if !run && !publish && !set {
		rule["run"] = map[string]any{"playbook": "playbooks/p.yml"}
	}
	if rule["name"] == nil {
		rule["name"] = "r"
	}
	if rule["on"] == nil && rule["any"] == nil && rule["all"] == nil && rule["absent"] == nil {
		rule["on"] = "com.x"
	}
	text, err := yaml.Marshal(map[string]any{"vars": map[string]any{"name": "x"}, "rules": []any{rule}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDocs holds the page to what it says: each left side converts to the right
// one, exactly or with a finding as the page has it, and each right side loads.
func TestDocs(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, r := range rows(t) {
		count[r.section]++
		rule := map[string]any{}
		switch {
		case r.ours == "":
		case r.section == "Conditions" || r.section == "StackStorm":
			rule["condition"] = r.ours
		default:
			rule = mapping(t, r.ours)
		}
		want := normal(t, rule)
		if err := load(ruleFile(t, rule)); err != nil && r.ours != "" {
			t.Errorf("%s: %s: %v", r.section, r.ours, err)
		}
		if !strings.HasPrefix(r.section, "StackStorm") {
			converts(t, r, want)
		}
	}
	for section, least := range map[string]int{
		"Conditions": 40, "Several events": 12, "Actions": 12, "StackStorm": 28, "StackStorm's rules": 6,
	} {
		if count[section] < least {
			t.Errorf("%s: %d rows, want %d", section, count[section], least)
		}
	}
}

func converts(t *testing.T, r row, want map[string]any) {
	t.Helper()
	rule := map[string]any{"name": "r", "condition": "event.i == 1", "action": map[string]any{
		"run_playbook": map[string]any{"name": "playbooks/p.yml"},
	}}
	if r.section == "Conditions" {
		rule["condition"] = r.theirs
	} else {
		for k, v := range mapping(t, r.theirs) {
			if k == "actions" {
				delete(rule, "action")
			}
			rule[k] = v
		}
	}
	book, err := yaml.Marshal([]any{map[string]any{"name": "set", "hosts": "all", "sources": []any{}, "rules": []any{rule}}})
	if err != nil {
		t.Fatal(err)
	}
	result, err := rulebook.Convert("b.yml", book, rulebook.Options{On: []string{"com.x"}, Vars: map[string]any{"name": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	exact := !strings.HasPrefix(r.about, "differs") && !strings.HasPrefix(r.about, "not converted") && r.ours != ""
	if result.Exact() != exact {
		t.Errorf("%s: exact is %v, want %v: %v", r.theirs, result.Exact(), exact, result.Findings)
	}
	var got struct{ Rules []map[string]any }
	if err := yaml.Unmarshal(result.Rules, &got); err != nil || len(got.Rules) == 0 {
		t.Fatalf("%v: %s", err, result.Rules)
	}
	made := map[string]any{}
	for k := range want {
		made[k] = got.Rules[0][k]
	}
	if diff := cmp.Diff(want, normal(t, made)); diff != "" {
		t.Errorf("%s: what it becomes is not what the page says (-page +converted):\n%s", r.theirs, diff)
	}
}

// normal makes numbers of all kinds alike.
func normal(t *testing.T, m map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
