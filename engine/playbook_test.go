package engine

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite what the archives in testdata want")

// TestParseFaults reads every archive in testdata/parse: the files of a
// playbook, site.yml first, and in "want" the faults that Parse reports, a line
// each, with paths relative to the archive. No fault is an empty want.
func TestParseFaults(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/parse/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives found: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(data)
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "want" {
				t.Fatalf("the last file is %s, not want", want.Name)
			}
			l := newLab(t, string(data))
			_, err = l.parse()
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), l.dir+string(filepath.Separator), "") + "\n"
			}
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("faults differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseMissingPlaybook checks that the file's name is in the error.
func TestParseMissingPlaybook(t *testing.T) {
	t.Parallel()
	l := newLab(t, "")
	_, err := l.parse()
	if err == nil || !strings.Contains(err.Error(), "site.yml") {
		t.Errorf("Parse of a missing file: %v", err)
	}
}

// TestRolesPath is checklist line 10: the first directory with the role wins.
func TestRolesPath(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  roles:
    - role: both
    - role: beside
-- first/both/role.yml --
name: both of first
-- second/both/role.yml --
name: both of second
-- roles/both/role.yml --
name: both beside
-- roles/beside/role.yml --
name: beside
`)
	pb, err := Parse(filepath.Join(l.dir, "site.yml"), l.registry(), ParseOptions{
		RolesPath: []string{filepath.Join(l.dir, "first"), filepath.Join(l.dir, "second")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range pb.plays[0].roles {
		got = append(got, c.role.name)
	}
	if diff := cmp.Diff([]string{"both of first", "beside"}, got); diff != "" {
		t.Errorf("roles differ (-want +got):\n%s", diff)
	}
}

// TestHosts is checklist lines 11 and 89: unknown names and empty selections
// are errors, limits intersect.
func TestHosts(t *testing.T) {
	t.Parallel()
	const inv = `
-- inv/groups/web.yml --
hosts: [w1, w2]
-- inv/groups/db.yml --
hosts: [d1, w2]
-- inv/groups/empty.yml --
`
	tests := []struct {
		name, plays string
		limit       []string
		want        []string
		fault       string // part of the error
	}{
		{name: "union", plays: "- {name: p, groups: [web, db]}", want: []string{"d1", "w1", "w2"}},
		{name: "two plays", plays: "- {name: p, groups: [web]}\n- {name: q, groups: [db]}", want: []string{"d1", "w1", "w2"}},
		{name: "limit to a host", plays: "- {name: p, groups: [web]}", limit: []string{"w2"}, want: []string{"w2"}},
		{name: "limit to a group", plays: "- {name: p, groups: [web]}", limit: []string{"db"}, want: []string{"w2"}},
		{name: "one play is empty", plays: "- {name: p, groups: [empty]}\n- {name: q, groups: [db]}", want: []string{"d1", "w2"}},
		{name: "no plays", plays: ""},
		{name: "unknown group", plays: "- {name: p, groups: [web, nix]}", fault: "site.yml:1:27: "},
		{name: "unknown limit", plays: "- {name: p, groups: [web]}", limit: []string{"nix"}, fault: "nix"},
		{name: "empty selection", plays: "- {name: p, groups: [web]}", limit: []string{"d1"}, fault: "no host"},
		{name: "empty group", plays: "- {name: p, groups: [empty]}", fault: "no host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, inv+"-- site.yml --\n"+tt.plays+"\n")
			pb, err := l.parse()
			if err != nil {
				t.Fatal(err)
			}
			got, err := pb.Hosts(l.inventory(), tt.limit)
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("Hosts: %v, want an error with %q", err, tt.fault)
				}
				_, runErr := Run(t.Context(), pb, l.inventory(), Options{Dialer: l, Limit: tt.limit})
				if diff := cmp.Diff(err.Error(), runErr.Error()); diff != "" {
					t.Errorf("Run's error differs from that of Hosts:\n%s", diff)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("Hosts: %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestNewRegistry(t *testing.T) {
	t.Parallel()
	note := Spec{Name: "note", New: func() Module { return new(note) }}
	if _, err := NewRegistry(note, note); err == nil {
		t.Error("two modules of one name are accepted")
	}
	if _, err := NewRegistry(Of[badParam]("bad", "")); err == nil {
		t.Error("a module with a parameter called name is accepted")
	}
	if _, err := NewRegistry(Spec{Name: "block", New: note.New}); err == nil {
		t.Error("a module called block is accepted")
	}
}

type badParam struct {
	note
	Name string `yaml:"name"`
}

func FuzzParse(f *testing.F) {
	f.Add("- name: p\n  groups: [web]\n  tasks:\n    - !note {msg: \"{{x}}\", with: {items: [1, {a: b}]}, and: {notify: n}}\n")
	f.Add("- name: p\n  groups: &g [web]\n  vars: {a: *g}\n  handlers:\n    - !act\n      with: {subscribe: n}\n")
	f.Add("- &p {name: p, groups: [a], tasks: [*p]}")
	f.Add("- name: p\n  groups: [a]\n  tasks: [!kinds {list: &l [a, *l], cond: (eq a b), any: {x: 0o7}}]")
	f.Add("- name: p\n  groups: [a]\n  serial: [1, 50%]\n  max_fail: 0\n  tags: t\n  sudo_template: su {{jet_sudo_user}} -c {{ jet_command }}\n" +
		"  tasks:\n    - !block\n      tasks: &b [!flush , !block {tasks: [!note {msg: a}]}]\n      rescue: *b\n      always: *b\n" +
		"      with: {condition: a == 1, timeout: 3s, environment: {A: \"{{x}}\"}, delegate_to: \"{{y}}\"}\n")
	f.Add("- name: p\n  groups: [a]\n  tasks:\n    - !include {file: site.yml, vars: {a: 1}}\n    - !act {and: {register: r, changed_when: (eq rc 0), failed_when: rc > 1}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		// Only the playbook itself: other files are not named by accident.
		l := newLab(t, "")
		if err := os.WriteFile(filepath.Join(l.dir, "site.yml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pb, err := l.parse()
		if (pb == nil) == (err == nil) {
			t.Errorf("Parse = %v, %v; want exactly one", pb, err)
		}
		if pb == nil {
			return
		}
		if _, err := pb.Tasks(Options{Tags: []string{"t"}}); err != nil {
			t.Error(err)
		}
	})
}

// TestLongPlaybook checks that only what aliases expand to is bounded, not what
// is written out.
func TestLongPlaybook(t *testing.T) {
	t.Parallel()
	const bound = 100
	text := "-- site.yml --\n- name: p\n  groups: [web]\n  tasks:\n" + strings.Repeat("  - !kinds {list: [a, b, c]}\n", bound)
	l := newLab(t, text)
	if _, err := parse(filepath.Join(l.dir, "site.yml"), l.registry(), ParseOptions{}, bound); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"tasks": "- {name: a, groups: [web], tasks: &t [!note {msg: a}, !note {msg: b}]}\n" +
			strings.Repeat("- {name: p, groups: [web], tasks: *t}\n", bound),
		"task":   "- name: p\n  groups: [web]\n  tasks:\n  - &k !note {msg: a}\n" + strings.Repeat("  - *k\n", bound),
		"blocks": "- name: p\n  groups: [web]\n  tasks:\n  - &k !block {tasks: [!flush ]}\n" + strings.Repeat("  - *k\n", bound),
		"params": "- name: p\n  groups: [web]\n  tasks:\n  - !kinds {any: &a [1, 2]}\n" + strings.Repeat("  - !kinds {any: *a}\n", bound),
		"items": "- name: p\n  groups: [web]\n  tasks:\n  - !note {msg: a, with: &w {items: [1, 2]}}\n" +
			strings.Repeat("  - !note {msg: a, with: *w}\n", bound),
	} {
		l := newLab(t, "-- site.yml --\n"+text)
		_, err := parse(filepath.Join(l.dir, "site.yml"), l.registry(), ParseOptions{}, bound)
		if err == nil || !strings.Contains(err.Error(), "too large once its aliases are expanded") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %.200v", name, err)
		}
	}
}
