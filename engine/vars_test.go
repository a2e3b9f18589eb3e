package engine

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPrecedence is checklist line 78: every layer wins over the one below it.
// All layers set v; those above the tested one are left out.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	layers := []string{
		"play defaults", "role defaults", "group variables", "host variables", "saved", "facts",
		"play vars", "vars_files", "role vars", "extra vars",
	}
	for top := range layers {
		t.Run(layers[top], func(t *testing.T) {
			t.Parallel()
			// pick says v in the layer if it is not above the top one.
			pick := func(layer int) string {
				if layer > top {
					return "{other: 1}"
				}
				return fmt.Sprintf("{v: %s, l: [%d]}", layers[layer], layer)
			}
			store := ""
			if top >= 4 {
				store += "- !store {var: v, value: saved}\n"
			}
			if top >= 5 {
				store += "- !store {fact: v, value: facts}\n"
			}
			var extra map[string]any
			if top >= 9 {
				extra = map[string]any{"v": "extra vars"}
			}
			l := newLab(t, fmt.Sprintf(`
-- site.yml --
- name: p
  groups: [web]
  defaults: %s
  vars: %s
  vars_files: [vars.yml]
  roles:
    - role: r
      vars: %s
-- vars.yml --
%s
-- inv/group_vars/web.yml --
%s
-- inv/host_vars/w1.yml --
%s
-- roles/r/role.yml --
name: r
defaults: %s
tasks: [store.yml, note.yml]
-- roles/r/tasks/store.yml --
%s
-- roles/r/tasks/note.yml --
- !note {msg: "{{ v }}"}
`, pick(0), pick(6), pick(8), pick(7), pick(2), pick(3), pick(1), store)).hosts("w1")
			r := l.run(Options{ExtraVars: extra})
			if got := r.last(t).Message; got != layers[top] {
				t.Errorf("v is that of %q, want %q", got, layers[top])
			}
		})
	}
}

// TestBlending is checklist line 80 over the layers of a play, and that what a
// task stores replaces the host variable instead of growing it.
func TestBlending(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  defaults: {m: {a: 1, l: [x]}, s: [play]}
  tasks:
    - !store {var: s, value: [saved]}
    - !store {var: s, value: [again]}
    - !store {fact: f, value: [one]}
    - !store {fact: f, value: [two]}
    - !note {msg: "{{ to_json m }} {{ to_json s }} {{ to_json f }}"}
-- inv/host_vars/w1.yml --
m: {b: 2, l: [y]}
s: [host]
`).hosts("w1")
	r := l.run(Options{ExtraVars: map[string]any{"m": map[string]any{"a": int64(3), "l": []any{"z"}}}})
	const want = `{"a":3,"b":2,"l":["x","y","z"]} ["play","again"] ["two"]`
	if got := r.last(t).Message; got != want {
		t.Errorf("blended to\n%s, want\n%s", got, want)
	}
}

// TestRoleVariables is checklist lines 12 and 13: a role's variables hold in its
// tasks and handlers, and nowhere else.
func TestRoleVariables(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  defaults: {d: play}
  vars: {v: play}
  roles:
    - role: one
      vars: {v: one}
    - role: two
    - role: one
      vars: {v: once more}
  tasks:
    - !note {msg: "loose {{ v }} {{ d }}"}
-- roles/one/role.yml --
name: one
defaults: {d: one}
tasks: [t.yml]
handlers: [h.yml]
-- roles/one/tasks/t.yml --
- !note {msg: "one {{ v }} {{ d }}"}
- !act
  and: {notify: h}
-- roles/one/handlers/h.yml --
- !note
  msg: "handler {{ v }} {{ d }}"
  with: {subscribe: h}
-- roles/two/role.yml --
name: two
tasks: [t.yml]
-- roles/two/tasks/t.yml --
- !note {msg: "two {{ v }} {{ d }}"}
`).hosts("w1")
	var got []string
	for _, e := range l.run(Options{}).events {
		if e.Kind == TaskFinished && e.Module == "note" {
			got = append(got, e.Message)
		}
	}
	want := []string{
		"one one one", "two play play", "one once more one", "loose play play",
		"handler one one", "handler once more one",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
}

// TestVarsAreFrozen checks that a task sees one state of the variables over all
// of its items, and the next task the new one.
func TestVarsAreFrozen(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  tasks:
    - !store {var: n, value: 1}
    - !store
      var: n
      value: 2
      with: {items: [a, b], condition: "n == 1"}
    - !note {msg: "{{ n }}"}
`).hosts("w1")
	r := l.run(Options{})
	if got := r.last(t).Message; got != "2" {
		t.Errorf("n = %s, want 2", got)
	}
	if e := r.events[4]; e.Kind != TaskFinished || e.Items != 2 || e.Attempts != 1 {
		t.Errorf("the loop saw its own change: %+v", e)
	}
}

// TestIncludeVars is the end of checklist line 78: the variables of an include win
// over those of the role, and extra variables over both.
func TestIncludeVars(t *testing.T) {
	t.Parallel()
	for want, extra := range map[string]map[string]any{"include": nil, "extra": {"v": "extra"}} {
		l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  vars: {v: play}
  roles:
    - role: r
      vars: {v: role}
-- roles/r/role.yml --
name: r
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !include {file: inc.yml, vars: {v: include}}
-- roles/r/tasks/inc.yml --
- !say {msg: "{{ v }}"}
`).hosts("w1")
		if got := l.run(Options{ExtraVars: extra}).last(t).Message; got != want {
			t.Errorf("v is that of %q, want %q", got, want)
		}
	}
}

// TestRoleIsolation is checklist lines 12 and 13: what a role says holds in its own
// tasks and handlers, and in no other's.
func TestRoleIsolation(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  defaults: {d: play}
  vars: {v: play}
  roles:
    - role: one
      vars: {v: one}
    - role: two
  tasks:
    - !act {key: x, and: {notify: h}}
    - !say {msg: "loose {{ v }} {{ d }}"}
  handlers:
    - !say {msg: "loose handler {{ v }} {{ d }}", with: {subscribe: h}}
-- roles/one/role.yml --
name: one
defaults: {d: one}
tasks: [t.yml]
handlers: [t.yml]
-- roles/one/tasks/t.yml --
- !say {msg: "one {{ v }} {{ d }}"}
-- roles/one/handlers/t.yml --
- !say {msg: "one handler {{ v }} {{ d }}", with: {subscribe: h}}
-- roles/two/role.yml --
name: two
tasks: [t.yml]
handlers: [t.yml]
-- roles/two/tasks/t.yml --
- !say {msg: "two {{ v }} {{ d }}"}
-- roles/two/handlers/t.yml --
- !say {msg: "two handler {{ v }} {{ d }}", with: {subscribe: h}}
`).hosts("w1")
	l.run(Options{})
	wantLines(t, "calls", l.calls,
		"w1: one one one", "w1: two play play", "query w1 x", "apply w1 x", "w1: loose play play",
		"w1: one handler one one", "w1: two handler play play", "w1: loose handler play play")
}
