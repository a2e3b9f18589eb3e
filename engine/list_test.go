package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tagged = `
-- site.yml --
- name: one
  groups: [web]
  tags: [first]
  tasks:
    - !say {name: plain, msg: x}
    - !say
      name: x
      msg: x
      with: {tags: x}
    - !block
      name: B
      with: {tags: [y]}
      tasks:
        - !act
          name: in block
          and: {notify: h}
        - !say
          name: both
          msg: x
          with: {tags: [x]}
      always: [!say {name: always part, msg: x}]
    - !say
      name: always
      msg: x
      with: {tags: [always]}
    - !say
      name: never
      msg: x
      with: {tags: [never, rare]}
  handlers:
    - !say
      name: handler
      msg: x
      with: {subscribe: h}
    - !say
      name: handler z
      msg: x
      with: {subscribe: h, tags: z}
- name: two
  groups: [web]
  roles:
    - role: r
      tags: [role]
  tasks:
    - !include
      file: inc.yml
      with: {tags: inc}
    - !say {name: last, msg: x}
-- inc.yml --
- !say {name: included, msg: x}
-- roles/r/role.yml --
name: R
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !say {name: in role, msg: x}
- !say {name: more role, msg: x, with: {tags: x}}
`

// TestTags is checklist lines 43 and 44: which tasks tags leave; the listing and
// the run agree on it.
func TestTags(t *testing.T) {
	t.Parallel()
	const all = "plain, x, in block, both, always part, always, handler, handler z, in role, more role, included, last"
	tests := []struct {
		tags, skip []string
		start      string
		want       string
		fault      string
	}{
		{want: all},
		{tags: []string{"x"}, want: "x, both, always, handler, handler z, more role"},
		{tags: []string{"y"}, want: "in block, both, always part, always, handler, handler z"},
		{tags: []string{"role", "inc"}, want: "always, handler, handler z, in role, more role, included"},
		{tags: []string{"first"}, want: "plain, x, in block, both, always part, always, handler, handler z"},
		{tags: []string{"rare"}, want: "always, never, handler, handler z"},
		{tags: []string{"nothing"}, want: "always, handler, handler z"},
		{skip: []string{"y", "always", "role"}, want: "plain, x, handler, handler z, included, last"},
		{skip: []string{"x", "z"}, tags: []string{"x", "y"}, want: "in block, always part, always, handler"},
		{start: "both", want: "both, always part, always, handler, handler z, in role, more role, included, last"},
		{start: "more role", want: "more role, included, last"},
		{start: "x", tags: []string{"y"}, fault: `there is no task called "x" to start at; known: in block, both, always part, always`},
		{start: "in blocc", fault: `there is no task called "in blocc" to start at; did you mean "in block"?`},
		{start: "handler", fault: `there is no task called "handler" to start at`},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.tags, tt.skip, tt.start), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, tagged).hosts("w1")
			o := Options{Tags: tt.tags, SkipTags: tt.skip, StartAt: tt.start}
			pb, err := l.parse()
			if err != nil {
				t.Fatal(err)
			}
			infos, err := pb.Tasks(o)
			r := l.run(o)
			if tt.fault != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fault) || r.err == nil || len(r.events) > 0 {
					t.Errorf("Tasks: %v, Run: %v after %d events; want %s", err, r.err, len(r.events), tt.fault)
				}
				return
			}
			if err != nil || r.err != nil {
				t.Fatal(err, r.err)
			}
			var listed []string
			for _, i := range infos {
				listed = append(listed, i.Name)
			}
			if got := strings.Join(listed, ", "); got != tt.want {
				t.Errorf("listed: %s\nwant:   %s", got, tt.want)
			}
			// Handlers that nothing notifies do not run.
			notified := slices.Contains(listed, "in block")
			var want []string
			for _, i := range infos {
				if !i.Handler || notified {
					want = append(want, "w1 "+i.Name)
				}
			}
			var ran []string
			for _, line := range r.finished() {
				ran = append(ran, line[:strings.LastIndexByte(line, ' ')])
			}
			wantLines(t, "tasks", ran, want...)
		})
	}
}

func TestTasks_info(t *testing.T) {
	t.Parallel()
	l := newLab(t, tagged).hosts("w1")
	pb, err := l.parse()
	if err != nil {
		t.Fatal(err)
	}
	infos, err := pb.Tasks(Options{Tags: []string{"y", "role"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range infos {
		place := strings.TrimPrefix(i.Pos.String(), l.dir+string(filepath.Separator))
		got = append(got, fmt.Sprintf("%s: %s/%s/%s !%s %s %v %t", place, i.Play, i.Role, i.Block, i.Module, i.Name, i.Tags, i.Handler))
	}
	wantLines(t, "tasks", got,
		"site.yml:14:11: one//B !act in block [first y] false",
		"site.yml:17:11: one//B !say both [first x y] false",
		"site.yml:21:16: one//B !say always part [first y] false",
		"site.yml:22:7: one// !say always [always first] false",
		"site.yml:31:7: one// !say handler [first] true",
		"site.yml:35:7: one// !say handler z [first z] true",
		"roles/r/tasks/t.yml:1:3: two/R/ !say in role [role] false",
		"roles/r/tasks/t.yml:2:3: two/R/ !say more role [role x] false")
}

// TestJoin checks that joined playbooks are one run, and keep their directories.
func TestJoin(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- a/site.yml --
- name: a
  groups: [web]
  tasks:
    - !store {fact: seen, value: 1}
    - !kinds {source: x.txt}
-- a/files/x.txt --
from a {{ more }}
-- b/site.yml --
- name: b
  groups: [web]
  tasks:
    - !kinds {source: x.txt}
    - !say {msg: "{{ seen }}"}
-- b/files/x.txt --
from b {{ more }}
`).hosts("w1")
	var pbs []*Playbook
	for _, dir := range []string{"a", "b"} {
		pb, err := Parse(filepath.Join(l.dir, dir, "site.yml"), l.registry(), ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pbs = append(pbs, pb)
	}
	var got []string
	sum, err := Run(t.Context(), Join(pbs...), l.inventory(), Options{Dialer: l, Report: func(e Event) {
		if e.Message != "" {
			got = append(got, strings.TrimSpace(e.Message))
		}
	}})
	if err != nil || sum.Failed() || sum.Hosts["w1"].OK != 4 {
		t.Errorf("Run: %v, %+v", err, sum)
	}
	wantLines(t, "messages", got, "from a extra", "from b extra", "1")
	if len(l.dialed) != 1 {
		t.Errorf("dialled %d times, want once", len(l.dialed))
	}
}
