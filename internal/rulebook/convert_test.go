package rulebook_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/rulebook"
	"github.com/jet-bus/jet-bus/rules"
)

// load says what package rules makes of a rule file.
func load(text []byte) error {
	_, err := rules.Load(fstest.MapFS{"r.yml": {Data: text}}, ".")
	return err
}

// TestConvert compares what rulebooks become with the files beside them;
// UPDATE=1 writes those anew. An options line begins the rulebook, if any.
func TestConvert(t *testing.T) {
	t.Parallel()
	books, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(books) == 0 {
		t.Fatalf("no rulebooks: %v", err)
	}
	for _, name := range books {
		if strings.HasSuffix(name, ".rules.yml") {
			continue
		}
		base := strings.TrimSuffix(filepath.Base(name), ".yml")
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := rulebook.Convert(base+".yml", data, options(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			if err := load(r.Rules); err != nil {
				t.Errorf("the rules do not load: %v", err)
			}
			var findings strings.Builder
			for _, f := range r.Findings {
				findings.WriteString(f.String() + "\n")
			}
			golden(t, "testdata/"+base+".rules.yml", string(r.Rules))
			golden(t, "testdata/"+base+".findings", findings.String())
		})
	}
}

// options reads the first line of a rulebook: "# on: a b" or "# root: x".
func options(text string) (o rulebook.Options) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "# "), ": ")
		switch {
		case !strings.HasPrefix(line, "# ") || !ok:
			return o
		case key == "on":
			o.On = strings.Fields(value)
		case key == "root":
			o.Root = value
		case key == "vars":
			o.Vars = map[string]any{value: map[string]any{"low": int64(3)}}
		}
	}
	return o
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), UPDATE=1 writes it anew:\n%s", name, diff)
	}
}

func TestNoRulebook(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "b.yml:1:1: a rulebook is a list of rule sets, each with name, hosts, sources and rules",
		"rules: []":                "b.yml:1:1: a rulebook is a list of rule sets, each with name, hosts, sources and rules",
		"- name: x":                "b.yml:1:3: this is no rule set: a mapping with name, hosts, sources and rules",
		"- name: x\n  rules: many": "b.yml:2:10: rules: must be a list",
		"- name: x\n  name: y":     `b.yml:2:3: duplicate key "name", first given on line 1`,
		"- [":                      "b.yml:1: ",
	} {
		_, err := rulebook.Convert("b.yml", []byte(text), rulebook.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestExact has a rulebook that loses nothing, and then one word that does.
func TestExact(t *testing.T) {
	t.Parallel()
	const book = `
- name: n
  hosts: all
  sources: [{name: s, eda.builtin.generic: {}}]
  rules:
    - name: r
      condition: event.i == 1
      action: {run_playbook: {name: playbooks/p.yml}}
`
	for text, exact := range map[string]bool{
		book: true,
		strings.Replace(book, "hosts: all", "hosts: all\n  gather_facts: true", 1):   false,
		strings.Replace(book, "event.i == 1", "event.i == 1 or event.i and true", 1): false,
	} {
		r, err := rulebook.Convert("b.yml", []byte(text), rulebook.Options{On: []string{"com.example.x"}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Exact() != exact {
			t.Errorf("exact: %v, want %v: %v", r.Exact(), exact, r.Findings)
		}
	}
}

// TestAliases has a small file that aliases make a large one.
func TestAliases(t *testing.T) {
	t.Parallel()
	book := "- name: n\n  hosts: all\n  sources: []\n  rules:\n    - name: r\n      condition: event.i == 1\n      action:\n        post_event:\n          event:\n            a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		book += fmt.Sprintf("            a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	r, err := rulebook.Convert("b.yml", []byte(book), rulebook.Options{On: []string{"com.example.x"}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Exact() || len(r.Rules) > 8<<20 {
		t.Errorf("%d bytes, %d findings", len(r.Rules), len(r.Findings))
	}
}
