package plans

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/rules"
)

// contentOf writes files into a new directory; names that end in "!" are programs.
func contentOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		mode := os.FileMode(0o600)
		if n, ok := strings.CutSuffix(name, "!"); ok {
			name, mode = n, 0o700
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir string) (*Plans, error) {
	t.Helper()
	set, err := rules.Load(os.DirFS(dir), "rules")
	if err != nil {
		t.Fatal(err)
	}
	return Read(t.Context(), dir, set)
}

const twoPlays = `- name: web
  groups: [web]
- name: db
  groups: [db]
`

func TestHostsAreKnownBeforeTheJobRuns(t *testing.T) {
	t.Parallel()
	c, err := read(t, contentOf(t, map[string]string{
		"rules/a.yml":          "rules: [{name: a, on: x, run: {playbook: p.yml}}, {name: b, on: x, run: {playbook: p.yml, inventory: ask}}]",
		"p.yml":                twoPlays,
		"inventory/groups/web": "hosts: [w2, w1]",
		"inventory/groups/db":  "hosts: [d1]",
		"ask!":                 "#!/bin/sh\nexit 1\n", // which is not run
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		inventory string
		limit     []string
		want      []string
	}{
		{"all", "inventory", nil, []string{"d1", "w1", "w2"}},
		{"group", "inventory", []string{"web"}, []string{"w1", "w2"}},
		{"host", "inventory", []string{"w2"}, []string{"w2"}},
		{"unknown host", "inventory", []string{"w9"}, nil},
		{"program", "ask", nil, nil},
		{"unknown inventory", "none", nil, nil},
	} {
		a := &rules.Action{Playbook: "p.yml", Inventory: tt.inventory, Limit: tt.limit}
		for range 2 { // found out, then remembered
			if diff := cmp.Diff(tt.want, c.Hosts(a)); diff != "" {
				t.Errorf("%s: hosts (-want +got)\n%s", tt.name, diff)
			}
		}
	}
}

// A job that is bound to fail is never made: what it would run is read first, and
// all faults are told with their places.
func TestReadReportsFaultsOfPlaybooksAndInventories(t *testing.T) {
	t.Parallel()
	_, err := read(t, contentOf(t, map[string]string{
		"rules/a.yml":          "rules:\n- {name: a, on: x, run: {playbook: sub/p.yml}}\n- {name: b, on: x, run: {playbook: q.yml, inventory: prod}}\n- {name: c, on: x, run: {playbook: gone.yml}}\n- {name: d, on: x, run: {playbook: sub/p.yml}}\n",
		"sub/p.yml":            "- name: p\n  groups: [web]\n  tasks:\n    - !kopy\n      dest: /x\n",
		"q.yml":                "- name: q\n  groups: [web]\n",
		"inventory/groups/web": "hosts: [w1]",
		"prod/groups/web":      "hsots: [w1]",
	}))
	if err == nil {
		t.Fatal("faulty content was read")
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{"rule a: sub/p.yml:4:7: ", "rule b: inventory prod: prod/groups/web:1:1: ", "rules/a.yml:4:3: rule c: gone.yml is not in the content directory"}
	if len(lines) != len(want) {
		t.Fatalf("faults:\n%s", err)
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("fault %d is %q, want %q", i+1, lines[i], w)
		}
	}
}

// A limit that selects nothing makes only jobs that fail: that is told before the
// first event, as far as it does not depend on one.
func TestReadRefusesALimitThatSelectsNoHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, run, want string }{
		{"group", "limit: web", ""},
		{"host", "limit: w1", ""},
		{"unknown", "limit: nope", `rules/a.yml:5:14: rule a: limit: nope selects no host of the inventory inventory: unknown host or group "nope"; did you mean "none"?`},
		{"near", "limit: webs", `rules/a.yml:5:14: rule a: limit: webs selects no host of the inventory inventory: unknown host or group "webs"; did you mean "web"?`},
		{"one of several", "limit: [web, nope]", `rules/a.yml:5:20: rule a: limit: nope selects no host of the inventory inventory: `},
		{"beside a template", "limit: ['${{ event.id }}', nope]", `rules/a.yml:5:34: rule a: limit: nope selects no host of the inventory inventory: `},
		{"empty group", "limit: none", `rules/a.yml:5:14: rule a: limit: none selects no host of the inventory inventory`},
		{"empty group beside others", "limit: [none, web]", ""},
		{"empty group beside a template", "limit: [none, '${{ event.id }}']", ""},
		{"template", "limit: ${{ event.id }}", ""},
		{"not the playbook's", "limit: other", `rules/a.yml:5:14: rule a: limit: other selects no host that the playbook p.yml is for`},
		{"program", "limit: nope\n      inventory: ask", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, contentOf(t, map[string]string{
				"rules/a.yml":            "rules:\n  - name: a\n    on: x\n    run:\n      " + tt.run + "\n      playbook: p.yml\n",
				"p.yml":                  "- name: web\n  groups: [web]\n",
				"inventory/groups/web":   "hosts: [w1]",
				"inventory/groups/none":  "hosts: []",
				"inventory/groups/other": "hosts: [o1]",
				"ask!":                   "#!/bin/sh\nexit 1\n",
			}))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}
