package inventory

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// tree writes the files of a txtar archive to a fresh directory. Files whose
// name ends in .sh are executable.
func tree(t *testing.T, archive string) string {
	t.Helper()
	// A fork of a parallel test must not inherit a script that is being written:
	// it could not be run ("text file busy").
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := os.WriteFile(name, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, paths ...string) *Inventory {
	t.Helper()
	inv, err := Load(t.Context(), paths...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return inv
}

func names(hosts []*Host) []string {
	out := []string{}
	for _, h := range hosts {
		out = append(out, h.Name)
	}
	return out
}

func vars(t *testing.T, inv *Inventory, host string) map[string]any {
	t.Helper()
	h, ok := inv.Host(host)
	if !ok {
		t.Fatalf("there is no host %s", host)
	}
	return inv.Vars(h)
}

const site = `
-- groups/web.yml --
hosts: [web2, web1]
subgroups: [canary, ghosts]
-- groups/canary --
hosts:
  - web9
-- groups/db.yml --
-- groups/.hidden --
nonsense: true
-- groups/db.yml~ --
nonsense: true
-- group_vars/all.yml --
level: all
ports: [1]
nested: {a: 1, b: {x: 1}}
mode: 0o755
zip: 0755
answer: yes
-- group_vars/web --
level: web
ports: [2]
nested: {b: {y: 2}, a: null}
-- group_vars/canary.yml --
level: canary
nested: null
-- group_vars/unknown.yml --
level: unknown
-- host_vars/web9.yml --
level: web9
ports: [3]
-- host_vars/unknown.yml --
level: unknown
-- host_vars/web1 --
`

func TestDirectory(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, site))
	if diff := cmp.Diff([]string{"web1", "web2", "web9"}, names(inv.Hosts())); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"all", "canary", "db", "ghosts", "web"}, inv.Groups()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	h, ok := inv.Host("web9")
	if !ok {
		t.Fatal("web9 is missing")
	}
	if diff := cmp.Diff([]string{"all", "web", "canary"}, h.Groups); diff != "" {
		t.Errorf("groups of web9 (-want +got):\n%s", diff)
	}
	want := map[string]any{
		"level": "web9", "ports": []any{int64(1), int64(2), int64(3)},
		"nested": map[string]any{"a": nil, "b": map[string]any{"x": int64(1), "y": int64(2)}},
		"mode":   int64(0o755), "zip": "0755", "answer": "yes",
	}
	if diff := cmp.Diff(want, inv.Vars(h)); diff != "" {
		t.Errorf("variables of web9 (-want +got):\n%s", diff)
	}
	if got := vars(t, inv, "web1")["level"]; got != "web" {
		t.Errorf("level of web1 = %v, want web", got)
	}
	if _, ok := inv.Host("unknown"); ok {
		t.Error("variables made a host")
	}
}

// TestVarsAreOwned shows that callers cannot change an inventory by its answers.
func TestVarsAreOwned(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, site))
	first := vars(t, inv, "web9")
	first["nested"].(map[string]any)["b"].(map[string]any)["x"] = "changed"
	first["ports"].([]any)[0] = "changed"
	inv.Hosts()[0] = nil
	again := vars(t, inv, "web9")
	if got := again["nested"].(map[string]any)["b"].(map[string]any)["x"]; got != int64(1) {
		t.Errorf("x = %v after a caller changed its copy", got)
	}
	if got := again["ports"].([]any)[0]; got != int64(1) {
		t.Errorf("ports[0] = %v after a caller changed its copy", got)
	}
	if inv.Hosts()[0] == nil {
		t.Error("Hosts returns the inventory's own list")
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, site))
	tests := []struct {
		groups []string
		want   []string
		err    string
	}{
		{groups: nil, want: []string{}},
		{groups: []string{"all"}, want: []string{"web1", "web2", "web9"}},
		{groups: []string{"canary"}, want: []string{"web9"}},
		{groups: []string{"web", "canary"}, want: []string{"web1", "web2", "web9"}},
		{groups: []string{"ghosts", "db"}, want: []string{}},
		{groups: []string{"canari"}, err: `unknown group "canari"; did you mean "canary"?`},
		{groups: []string{"nothing"}, err: `unknown group "nothing"; known: all, canary, db, ghosts, web`},
		{groups: []string{"web1"}, err: `unknown group "web1"`},
	}
	for _, tt := range tests {
		got, err := inv.Select(tt.groups)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Select(%v) error = %v, want %q", tt.groups, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(names(got), tt.want) {
			t.Errorf("Select(%v) = %v, %v, want %v", tt.groups, names(got), err, tt.want)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, site))
	web12, err := inv.Limit(inv.Hosts(), []string{"web1", "web2"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		limit []string
		want  []string
		err   string
	}{
		{limit: nil, want: []string{"web1", "web2"}},
		{limit: []string{"web2"}, want: []string{"web2"}},
		{limit: []string{"canary", "web1"}, want: []string{"web1"}},
		{limit: []string{"web"}, want: []string{"web1", "web2"}},
		{limit: []string{"db"}, want: []string{}},
		{limit: []string{"web1", "wbe9"}, err: `unknown host or group "wbe9"; did you mean "web9"?`},
		{limit: []string{"nothing"}, err: `unknown host or group "nothing"; known: all, canary`},
	}
	for _, tt := range tests {
		got, err := inv.Limit(web12, tt.limit)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Limit(%v) error = %v, want %q", tt.limit, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(names(got), tt.want) {
			t.Errorf("Limit(%v) = %v, %v, want %v", tt.limit, names(got), err, tt.want)
		}
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	inv := Local()
	want := []*Host{{Name: "localhost", Vars: map[string]any{}, Groups: []string{"all"}, Direct: []string{"all"}}}
	if diff := cmp.Diff(want, inv.Hosts()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if hosts, err := inv.Select([]string{"all"}); err != nil || len(hosts) != 1 {
		t.Errorf("Select(all) = %v, %v", hosts, err)
	}
}

// TestPrecedence covers the order of groups: by the longest way from all, then
// by name.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		archive string
		want    []string // groups of host h
	}{
		{
			name:    "ties by name",
			archive: "-- groups/b --\nhosts: [h]\n-- groups/a --\nhosts: [h]\n",
			want:    []string{"all", "a", "b"},
		},
		{
			name:    "parent before child, whatever their names",
			archive: "-- groups/z --\nsubgroups: [a]\n-- groups/a --\nhosts: [h]\n",
			want:    []string{"all", "z", "a"},
		},
		{
			name: "the longest way counts",
			archive: "-- groups/z --\nsubgroups: [y, a]\n-- groups/y --\nsubgroups: [a]\n-- groups/a --\nhosts: [h]\n" +
				"-- groups/b --\nsubgroups: [c]\n-- groups/c --\nhosts: [h]\n",
			want: []string{"all", "b", "z", "c", "y", "a"},
		},
		{
			name:    "a cycle",
			archive: "-- groups/a --\nsubgroups: [b]\n-- groups/b --\nsubgroups: [c]\n-- groups/c --\nsubgroups: [a, d]\n-- groups/d --\nhosts: [h]\n",
			want:    []string{"all", "a", "b", "c", "d"},
		},
		{
			name:    "itself and all as subgroups",
			archive: "-- groups/a --\nsubgroups: [a, all]\nhosts: [h]\n",
			want:    []string{"all", "a"},
		},
		{
			name:    "hosts of all",
			archive: "-- groups/all.yml --\nhosts: [h]\n",
			want:    []string{"all"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, tt.archive)
			for range 100 {
				h, ok := load(t, dir).Host("h")
				if !ok {
					t.Fatal("h is missing")
				}
				if diff := cmp.Diff(tt.want, h.Groups); diff != "" {
					t.Fatalf("groups (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestDeterminism loads the same tree a hundred times.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	dir := tree(t, site)
	want := vars(t, load(t, dir), "web9")
	for range 100 {
		if diff := cmp.Diff(want, vars(t, load(t, dir), "web9")); diff != "" {
			t.Fatalf("variables differ between runs (-first +now):\n%s", diff)
		}
	}
}

func TestSeveralInventories(t *testing.T) {
	t.Parallel()
	first := tree(t, "-- groups/web --\nhosts: [a]\n-- group_vars/web --\nv: 1\nl: [1]\n-- host_vars/b --\nearly: true\n")
	second := tree(t, "-- groups/web --\nhosts: [b]\n-- group_vars/web --\nv: 2\nl: [2]\n")
	inv := load(t, first, second)
	want := map[string]any{"v": int64(2), "l": []any{int64(1), int64(2)}, "early": true}
	if diff := cmp.Diff(want, vars(t, inv, "b")); diff != "" {
		t.Errorf("variables of b (-want +got):\n%s", diff)
	}
}
