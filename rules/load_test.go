package rules_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jet-bus/jet-bus/rules"
)

var update = flag.Bool("update", false, "write what Load says into testdata/load")

// TestLoadFaults reads archives of rule files; the file "want" holds the error.
func TestLoadFaults(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys := fstest.MapFS{"rules": {Mode: fs.ModeDir | 0o755}}
			var want *txtar.File
			for i, f := range a.Files {
				if f.Name == "want" {
					want = &a.Files[i]
					continue
				}
				fsys["rules/"+f.Name] = &fstest.MapFile{Data: f.Data}
			}
			set, err := rules.Load(fsys, "rules")
			if err == nil || set != nil {
				t.Fatalf("Load = %v, %v; want an error and no set", set, err)
			}
			got := strings.ReplaceAll(err.Error(), "rules/", "") + "\n"
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	set := load(t, `
rules:
  - name: full
    description: All keys.
    on: [a.b, c.*]
    condition: event.id == "1"
    enabled: false
    run:
      playbook: playbooks/a.yml
      inventory: prod
      limit: [web, db]
      vars: {x: 1}
      needs: {site: fra}
      timeout: 90s
      on_runner_loss: fail
      check: true
      priority: -5
      retry: {attempts: 3, backoff: 10s}
      concurrency: {key: "app-${{ event.data.n }}", policy: replace}
      approval: {expires: 24h}
      share_hosts: true
    breaker: {above: 100, per: 1m}
  - name: least
    on: a.b
    run: {playbook: b.yml}
`)
	full, least := set.Rules()[0], set.Rules()[1]
	type seen struct {
		Name, Description string
		On                []string
		Condition         string
		Enabled           bool
		Line, Column      int
	}
	got := []seen{
		{full.Name, full.Description, full.On, full.Condition, full.Enabled, full.Pos.Line, full.Pos.Column},
		{least.Name, least.Description, least.On, least.Condition, least.Enabled, least.Pos.Line, least.Pos.Column},
	}
	want := []seen{
		{"full", "All keys.", []string{"a.b", "c.*"}, `event.id == "1"`, false, 3, 5},
		{"least", "", []string{"a.b"}, "", true, 23, 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if r := full.Run; r.Playbook != "playbooks/a.yml" || r.Inventory != "prod" || r.Needs["site"] != "fra" ||
		r.Timeout != 90*time.Second || r.OnRunnerLoss != rules.LossFail || !r.Check {
		t.Errorf("full.Run = %+v", r)
	}
	want2 := []string{
		"priority -5", "up to 3 attempts, 10s apart at first", `concurrency key "app-${{ event.data.n }}" (replace)`,
		"needs an approval within 24h", "shares its hosts", "paused above 100 times in 1m",
	}
	if diff := cmp.Diff(want2, full.Terms()); diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
	if terms := least.Terms(); terms != nil {
		t.Errorf("least.Terms() = %q", terms)
	}
	if r := least.Run; r.Inventory != "inventory" || r.Timeout != time.Hour ||
		r.OnRunnerLoss != rules.LossRequeue || r.Check || r.Needs != nil {
		t.Errorf("least.Run = %+v", r)
	}
}

func TestLoadOrderAndDigest(t *testing.T) {
	t.Parallel()
	rule := func(name string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("rules: [{name: " + name + ", on: a, run: {playbook: p.yml}}]\n")}
	}
	digest := func(dir string, fsys fstest.MapFS) string {
		t.Helper()
		set, err := rules.Load(fsys, dir)
		if err != nil {
			t.Fatal(err)
		}
		return set.Digest()
	}
	fsys := fstest.MapFS{
		"r/b.yml": rule("second"), "r/a.yaml": rule("first"), "r/sub/c.yml": rule("third"),
		"r/notes.txt": rule("no"), "r/.hidden.yml": rule("no"), "r/.git/x.yml": rule("no"),
		"r/empty.yml": {Data: []byte("# nothing yet\n")},
	}
	set, err := rules.Load(fsys, "r")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range set.Rules() {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"first", "second", "third"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}

	one := digest("r", fstest.MapFS{"r/a.yml": rule("x"), "r/b.yml": rule("y")})
	if len(one) != 64 {
		t.Errorf("digest %q, want 64 hex digits", one)
	}
	if moved := digest(".", fstest.MapFS{"a.yml": rule("x"), "b.yml": rule("y")}); moved != one {
		t.Error("the same files below another directory have another digest")
	}
	for what, other := range map[string]string{
		"contents": digest("r", fstest.MapFS{"r/a.yml": rule("x"), "r/b.yml": rule("z")}),
		"name":     digest("r", fstest.MapFS{"r/a.yml": rule("x"), "r/c.yml": rule("y")}),
		"fewer":    digest("r", fstest.MapFS{"r/a.yml": rule("x")}),
	} {
		if other == one {
			t.Errorf("%s: another set has the same digest", what)
		}
	}
}

func TestLoadEmptyAndMissing(t *testing.T) {
	t.Parallel()
	set, err := rules.Load(fstest.MapFS{"r": {Mode: fs.ModeDir | 0o755}}, "r")
	if err != nil || len(set.Rules()) != 0 || set.Digest() == "" {
		t.Errorf("empty directory: %v, %v", set, err)
	}
	if got := set.Match(event(t, "a", nil), at); len(got) != 0 {
		t.Errorf("empty set matches: %v", got)
	}
	if _, err := rules.Load(fstest.MapFS{}, "r"); err == nil {
		t.Error("no error for a directory that is not there")
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	set := load(t, `
rules:
  - name: single
    on: a
    priority: 7
    stop: true
    shadow: true
    throttle: {key: event.subject, every: 10m, take: first}
    run: {playbook: p.yml, priority: 5}
  - {name: otherwise, on: a, otherwise: true, throttle: {every: 1h, count: 5, unique: event.id}, set: {x: 1}}
  - {name: windows, absent: {on: a, within: 1h}, missed: report, max_windows: 7, set: {x: 1}}
  - {name: last, on: a, throttle: {every: 90s, take: last, unique: event.id}, set: {x: 1}}
  - {name: plain, any: {clauses: {x: {on: a}}}, set: {x: 1}}
`)
	want := [][]string{
		{
			"judged with priority 7", "stops the rules after it", "a shadow: only says what it would do",
			"the first in 10m for each event.subject", "priority 5",
		},
		{"only if no other rule is met", "once for 5 different in event.id in 1h"},
		{"windows that were missed are only reported", "at most 7 windows"},
		{"the last of each event.id in 1m30s"},
		nil,
	}
	for i, r := range set.Rules() {
		if diff := cmp.Diff(want[i], r.Terms()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.Name, diff)
		}
	}
}
