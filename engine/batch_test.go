package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBatchSizes is checklist line 95: how a play's hosts are cut into batches.
func TestBatchSizes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		play    string
		option  int
		hosts   int
		batches []int
	}{
		{"", 0, 3, []int{3}},
		{"", 2, 3, []int{2, 1}},
		{"batch_size: 1", 2, 3, []int{1, 1, 1}},
		{"serial: 2", 0, 3, []int{2, 1}},
		{"batch_size: 30%", 0, 10, []int{3, 3, 3, 1}},
		{"batch_size: 1%", 0, 3, []int{1, 1, 1}},
		{"serial: [1, 50%]", 0, 8, []int{1, 4, 3}},
		{"batch_size: [1, 2]", 0, 6, []int{1, 2, 2, 1}},
		{"batch_size: 100%", 0, 4, []int{4}},
	}
	for _, tt := range tests {
		var hosts []string
		for i := range tt.hosts {
			hosts = append(hosts, fmt.Sprintf("w%d", i))
		}
		l := site(t, strings.Join(hosts, " "), "  "+tt.play+"\n  tasks: [!say {msg: a}]\n")
		var got []int
		l.run(Options{BatchSize: tt.option, Report: func(e Event) {
			if e.Kind == TaskStarted {
				got = append(got, len(e.Hosts))
			}
		}})
		if diff := cmp.Diff(tt.batches, got); diff != "" {
			t.Errorf("%+v: batches differ (-want +got):\n%s", tt, diff)
		}
	}
}

// TestMaxFail checks when a play is stopped, and that the run fails then.
func TestMaxFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		play    string
		fail    int // of ten hosts
		want    string
		after   int // hosts that got to the task after
		another bool
	}{
		{"max_fail: 2", 2, "", 8, true},
		{"max_fail: 2", 3, "3 of 10 hosts failed, and max_fail is 2", 0, false},
		{"max_fail: 20%", 2, "", 8, true},
		{"max_fail: 25%", 3, "3 of 10 hosts failed, and max_fail is 25%", 0, false},
		{"max_fail: 0", 1, "1 of 10 hosts failed, and max_fail is 0", 0, false},
		{"max_fail: 100%", 10, "", 0, false},
		{"max_fail: 0, batch_size: 5", 1, "1 of 10 hosts failed, and max_fail is 0", 0, false},
		{"max_fail: 0, strategy: free, batch_size: 1", 1, "1 of 10 hosts failed, and max_fail is 0", 0, false},
	}
	for _, tt := range tests {
		var hosts, fails []string
		for i := range 10 {
			name := fmt.Sprintf("w%d", i)
			if hosts = append(hosts, name); i < tt.fail {
				fails = append(fails, name)
			}
		}
		l := site(t, strings.Join(hosts, " "), "  "+strings.ReplaceAll(tt.play, ", ", "\n  ")+`
  tasks:
    - !try {fails: [`+strings.Join(fails, ", ")+`]}
    - !say {name: after, msg: a}
- name: another
  groups: [web]
  tasks: [!say {name: another, msg: b}]
`)
		r := l.run(Options{})
		if (r.err != nil) != (tt.want != "") || r.err != nil && !strings.HasSuffix(r.err.Error(), `play "p" was stopped: `+tt.want) {
			t.Errorf("%+v: Run: %v", tt, r.err)
		}
		if !r.Failed() {
			t.Errorf("%+v: the run did not fail", tt)
		}
		after := 0
		for _, e := range r.events {
			if e.Kind == TaskFinished && e.Task == "after" {
				after++
			}
		}
		another := slices.ContainsFunc(r.events, func(e Event) bool { return e.Task == "another" })
		if after != tt.after || another != tt.another {
			t.Errorf("%+v: %d hosts went on, another play: %t", tt, after, another)
		}
	}
}

// TestFree checks that hosts do not wait for each other, that tasks are started
// for each of them and that handlers follow the host's own tasks.
func TestFree(t *testing.T) {
	t.Parallel()
	l := site(t, "w1 w2", `
  strategy: free
  tasks:
    - !act
      name: a
      and: {notify: h}
    - !say {name: b, msg: x}
  handlers:
    - !say
      name: handler
      msg: x
      with: {subscribe: h}
`)
	var got []string
	r := l.run(Options{Forks: 1, Report: func(e Event) {
		if e.Kind == TaskStarted {
			got = append(got, strings.Join(e.Hosts, " ")+" "+e.Task)
		}
	}})
	wantLines(t, "started", got, "w1 a", "w1 b", "w1 handler", "w2 a", "w2 b", "w2 handler")
	if r.Failed() {
		t.Error(r.Why())
	}
}
