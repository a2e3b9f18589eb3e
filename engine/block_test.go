package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBlocks runs one play over the host w1 and compares results, calls and
// counts.
func TestBlocks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		play  string
		want  []string
		calls []string
		stats Stats
	}{
		{
			name: "rescue and always",
			play: `
  tasks:
    - !block
      tasks:
        - !act {name: breaks, fail: 1}
        - !note {msg: not reached}
      rescue:
        - !say {msg: "{{ failed_task }} said {{ failed_message }}"}
      always:
        - !say {msg: always}
    - !say {msg: "after {{#if (isdefined failed_task)}}leak{{/if}}"}`,
			want:  []string{"w1 breaks rescued", "w1 say passive", "w1 say passive", "w1 say passive"},
			calls: []string{"w1: breaks said try 1 failed", "w1: always", "w1: after "},
			stats: Stats{OK: 3, Rescued: 1},
		},
		{
			name: "no failure, no rescue",
			play: `
  tasks:
    - !block
      tasks: [!say {msg: a}]
      rescue: [!say {msg: rescue}]
      always: [!say {msg: always}]`,
			want:  []string{"w1 say passive", "w1 say passive"},
			calls: []string{"w1: a", "w1: always"},
			stats: Stats{OK: 2},
		},
		{
			name: "always without rescue",
			play: `
  tasks:
    - !block
      tasks: [!act {fail: 1}]
      always: [!say {msg: always}]
    - !say {msg: after}`,
			want:  []string{"w1 act failed", "w1 say passive"},
			calls: []string{"w1: always"},
			stats: Stats{OK: 1, Failed: 1},
		},
		{
			name: "rescue fails",
			play: `
  tasks:
    - !block
      tasks:
        - !block
          tasks: [!act {key: a, fail: 1}]
          rescue: [!act {key: b, fail: 1}]
          always: [!say {msg: inner always}]
        - !say {msg: not reached}
      rescue: [!say {msg: "outer {{ failed_message }}"}]`,
			want:  []string{"w1 act rescued", "w1 act rescued", "w1 say passive", "w1 say passive"},
			calls: []string{"w1: inner always", "w1: outer try 1 failed"},
			stats: Stats{OK: 2, Rescued: 2},
		},
		{
			name: "always fails",
			play: `
  tasks:
    - !block
      tasks: [!say {msg: a}]
      rescue: [!say {msg: rescue}]
      always: [!act {fail: 1}, !say {msg: not reached}]
    - !say {msg: not reached}`,
			want:  []string{"w1 say passive", "w1 act failed"},
			calls: []string{"w1: a"},
			stats: Stats{OK: 1, Failed: 1},
		},
		{
			name: "the unreachable are not rescued",
			play: `
  tasks:
    - !block
      tasks: [!act {lost: 9}]
      rescue: [!say {msg: rescue}]
      always: [!say {msg: always}]`,
			want:  []string{"w1 act unreachable"},
			stats: Stats{Unreachable: 1},
		},
		{
			name: "a condition is asked once, and for all parts",
			play: `
  vars: {no: false}
  tasks:
    - !store {var: yes_, value: true}
    - !block
      tasks:
        - !store {var: yes_, value: false}
        - !say {msg: still}
      with: {condition: yes_}
    - !block
      tasks: [!say {msg: "{{ undefined }}"}, !block {tasks: [!say {msg: x}], with: {condition: (eq undefined 1)}}]
      rescue: [!say {msg: rescue}]
      always: [!say {msg: always}]
      with: {condition: no}`,
			want: []string{
				"w1 store passive", "w1 store passive", "w1 say passive",
				"w1 say skipped", "w1 say skipped", "w1 say skipped",
			},
			calls: []string{"w1: still"},
			stats: Stats{OK: 3, Skipped: 3},
		},
		{
			name: "a condition with a fault fails within the block",
			play: `
  tasks:
    - !block
      tasks: [!say {msg: a}]
      rescue: [!say {msg: rescue}]
      with: {condition: (eq undefined 1)}`,
			want:  []string{"w1 say rescued", "w1 say passive"},
			calls: []string{"w1: rescue"},
			stats: Stats{OK: 1, Rescued: 1},
		},
		{
			name: "so does that of a block around others, whatever they ignore",
			play: `
  tasks:
    - !block
      tasks:
        - !flush
        - !block
          tasks: [!say {msg: a, and: {ignore_errors: true}}, !say {msg: not reached}]
          rescue: [!say {msg: inner rescue}]
          always: [!say {msg: inner always}]
        - !say {msg: not reached}
      rescue: [!say {msg: rescue}]
      always: [!say {msg: always}]
      with: {condition: (eq undefined 1)}`,
			want:  []string{"w1 say rescued", "w1 say passive", "w1 say passive"},
			calls: []string{"w1: rescue", "w1: always"},
			stats: Stats{OK: 2, Rescued: 1},
		},
		{
			name: "conditions within a rescue see the failure",
			play: `
  tasks:
    - !block
      tasks: [!act {name: breaks, fail: 1}]
      rescue:
        - !block
          tasks: [!say {msg: a}]
          with: {condition: failed_task == "breaks"}
        - !say {msg: b, with: {condition: failed_task == "other"}}`,
			want:  []string{"w1 breaks rescued", "w1 say passive", "w1 say skipped"},
			calls: []string{"w1: a"},
			stats: Stats{OK: 1, Skipped: 1, Rescued: 1},
		},
		{
			name: "settings are inherited, and overridden",
			play: `
  sudo: play
  environment: {A: play, B: "{{ word }}"}
  vars: {word: text}
  tasks:
    - !run {cmd: a}
    - !block
      tasks:
        - !run {cmd: b}
        - !run
          cmd: c
          with: {sudo: none, environment: {A: task}}
        - !block
          tasks: [!run {cmd: d, own: true}]
          with: {sudo: inner, environment: {C: ""}}
        - !act {fail: 1}
      with: {sudo: outer, environment: {A: block}}
      and: {ignore_errors: true}`,
			want: []string{"w1 run executed", "w1 run executed", "w1 run executed", "w1 run executed", "w1 act ignored"},
			calls: []string{
				"w1 as play runs A=play B=text a", "w1 as outer runs A=block B=text b",
				"w1 as login runs A=task B=text c", "w1 as inner runs A=own B=text C= d",
			},
			stats: Stats{OK: 4, Changed: 4, Ignored: 1},
		},
		{
			name: "flush",
			play: `
  tasks:
    - !act
      and: {notify: h}
    - !block
      tasks: [!flush ]
      with: {condition: false}
    - !say {msg: before}
    - !flush
    - !say {msg: between}
    - !act
      and: {notify: h}
    - !flush {name: again}
    - !flush
  handlers:
    - !say
      msg: handled
      with: {subscribe: h}`,
			want: []string{
				"w1 act created", "w1 say passive", "w1 say passive", "w1 say passive", "w1 act created", "w1 say passive",
			},
			calls: []string{
				"query w1 ", "apply w1 ", "w1: before", "w1: handled", "w1: between", "query w1 ", "apply w1 ", "w1: handled",
			},
			stats: Stats{OK: 6, Changed: 2},
		},
		{
			name: "a handler that fails in a flush is rescued, the others wait",
			play: `
  tasks:
    - !block
      tasks:
        - !act
          and: {notify: h}
        - !flush
        - !say {msg: not reached}
      rescue: [!say {msg: rescue}]
  handlers:
    - !act
      key: breaks
      fail: 1
      with: {subscribe: h}
    - !say
      msg: other
      with: {subscribe: h}`,
			want:  []string{"w1 act created", "w1 act rescued", "w1 say passive", "w1 say passive"},
			calls: []string{"query w1 ", "apply w1 ", "w1: rescue", "w1: other"},
			stats: Stats{OK: 3, Changed: 1, Rescued: 1},
		},
		{
			name: "includes",
			play: `
  vars: {v: play}
  roles:
    - role: r
      vars: {v: role}
  tasks:
    - !include {file: more.yml, vars: {v: include}}
    - !say {msg: "{{ v }}"}
    - !include
      file: more.yml
      with: {condition: (eq v "other")}
-- more.yml --
- !say {msg: "more {{ v }}"}
-- roles/r/role.yml --
name: R
tasks: [main.yml]
-- roles/r/tasks/main.yml --
- !include {file: sub/a.yml, vars: {v: outer}}
- !say {msg: "{{ v }}"}
-- roles/r/tasks/sub/a.yml --
- !say {msg: "a {{ v }}"}
- !include {file: sub/b.yml, vars: {v: inner}}
-- roles/r/tasks/sub/b.yml --
- !say {msg: "b {{ v }}"}
`,
			want: []string{
				"w1 say passive", "w1 say passive", "w1 say passive", "w1 say passive", "w1 say passive", "w1 say skipped",
			},
			calls: []string{"w1: a outer", "w1: b inner", "w1: role", "w1: more include", "w1: play"},
			stats: Stats{OK: 5, Skipped: 1},
		},
	}
	for _, tt := range tests {
		for _, strategy := range []string{"linear", "free"} {
			t.Run(tt.name+" "+strategy, func(t *testing.T) {
				t.Parallel()
				l := site(t, "w1", "  strategy: "+strategy+tt.play+"\n")
				r := l.run(Options{})
				wantLines(t, "results", r.finished(), tt.want...)
				if diff := cmp.Diff(tt.calls, l.calls); diff != "" {
					t.Errorf("calls differ (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.stats, r.Hosts["w1"]); diff != "" {
					t.Errorf("counts differ (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestBranchesWait checks that hosts in different branches of a block are worked
// on one step after the other, and meet again after it.
func TestBranchesWait(t *testing.T) {
	t.Parallel()
	l := site(t, "w1 w2 w3", `
  tasks:
    - !block
      tasks:
        - !act {name: one, key: a, fail: 1, only: w2}
        - !act {name: two, key: b, fail: 1, only: w3}
      rescue: [!say {name: rescue, msg: r}]
      always: [!say {name: always, msg: a}]
    - !say {name: after, msg: z}
`)
	var started []string
	r := l.run(Options{Report: func(e Event) {
		if e.Kind == TaskStarted {
			started = append(started, e.Task+" on "+strings.Join(e.Hosts, " "))
		}
	}})
	wantLines(t, "started", started,
		"one on w1 w2 w3", "two on w1 w3", "rescue on w2 w3", "always on w1 w2 w3", "after on w1 w2 w3")
	if r.Failed() || r.Why() != "" {
		t.Errorf("the run failed: %s", r.Why())
	}
}
