package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// site makes a lab whose playbook is one play over hosts with the given rest.
func site(t testing.TB, hosts, rest string) *lab {
	t.Helper()
	return newLab(t, "-- site.yml --\n- name: p\n  groups: [web]\n"+rest).hosts(strings.Fields(hosts)...)
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differ (-want +got):\n%s", what, diff)
	}
}

// TestOrder is checklist line 7: roles, loose tasks, role handlers, handlers;
// and line 8: plays in order, with what was stored before.
func TestOrder(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: one
  groups: [web]
  roles:
    - role: first
    - role: second
  tasks:
    - !act
      key: loose
      and: {notify: [end, mid]}
    - !store {var: saved, value: [1]}
    - !store {fact: seen, value: yes}
  handlers:
    - !note
      msg: loose handler
      with: {subscribe: mid}
- name: two
  groups: [web]
  tasks:
    - !note {msg: "{{ saved }} {{ seen }}"}
-- roles/first/role.yml --
name: First
tasks: [a.yml, b.yml]
handlers: [h.yml]
-- roles/first/tasks/a.yml --
- !note {msg: first a}
-- roles/first/tasks/b.yml --
- !note {msg: first b}
-- roles/first/handlers/h.yml --
- !note
  msg: first handler
  with: {subscribe: end}
-- roles/second/role.yml --
name: Second
tasks: [a.yml]
-- roles/second/tasks/a.yml --
- !note {msg: second a}
`).hosts("w1")
	r := l.run(Options{})
	if r.err != nil || r.Failed() {
		t.Fatalf("Run: %v, %+v", r.err, r.finished())
	}
	wantLines(t, "calls", l.calls,
		"w1 as login: first a", "w1 as login: first b", "w1 as login: second a",
		"query w1 loose", "apply w1 loose",
		"w1 as login: first handler", "w1 as login: loose handler",
		"w1 as login: [1, ] yes")
	var kinds []string
	for _, e := range r.events {
		kinds = append(kinds, fmt.Sprintf("%s %s/%s/%s handler=%t", e.Kind, e.Play, e.Role, e.Task, e.Handler))
	}
	wantLines(t, "events", kinds[:3],
		"play_started one// handler=false", "task_started one/First/note handler=false", "task_finished one/First/note handler=false")
	if !slices.Contains(kinds, "task_finished one/First/note handler=true") {
		t.Errorf("no event of the role's handler: %q", kinds)
	}
	if got, want := r.Hosts["w1"], (Stats{OK: 9, Changed: 1}); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	if len(l.dialed) != 1 {
		t.Errorf("dialled %d times in one run, want once", len(l.dialed))
	}
}

// TestStatuses covers what the needs of a module come to, in a run and in check
// mode (checklist 97), and which of them notify (38).
func TestStatuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		need    string
		status  Status
		changed bool
	}{
		{"matched", StatusMatched, false},
		{"create", StatusCreated, true},
		{"modify", StatusModified, true},
		{"remove", StatusRemoved, true},
		{"execute", StatusExecuted, true},
		{"passive", StatusPassive, false},
		{"none", StatusPassive, false},
	}
	for _, tt := range tests {
		for _, check := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s check=%t", tt.need, check), func(t *testing.T) {
				t.Parallel()
				l := site(t, "w1", `
  tasks:
    - !act
      need: `+tt.need+`
      and: {notify: changed}
  handlers:
    - !act
      key: handler
      with: {subscribe: changed}
`)
				r := l.run(Options{Check: check})
				status, changed := tt.status, tt.changed
				if check && tt.need == "none" {
					status, changed = StatusExecuted, true // a query cannot know
				}
				e := r.events[2]
				if e.Status != status || e.Changed != changed || e.Check != check {
					t.Errorf("task: %s, changed %t, check %t; want %s, %t", e.Status, e.Changed, e.Check, status, changed)
				}
				if handled := slices.Contains(l.calls, "query w1 handler"); handled != changed {
					t.Errorf("handler ran: %t, want %t", handled, changed)
				}
				applied := slices.Contains(l.calls, "apply w1 ")
				if want := tt.need != "matched" && (!check || tt.need == "passive"); applied != want {
					t.Errorf("applied: %t, want %t", applied, want)
				}
				if check && slices.Contains(l.calls, "apply w1 handler") {
					t.Error("a handler was applied in check mode")
				}
				if tt.need == "modify" && !cmp.Equal(e.Fields, []string{"Mode"}) {
					t.Errorf("Fields = %q", e.Fields)
				}
			})
		}
	}
}

// TestFailures is checklist lines 93, 94 and 101: failed and unreachable hosts
// leave, others go on, and so do later plays, whatever a module does.
func TestFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: one
  groups: [web]
  tasks:
    - !act {key: a}
    - !act {key: b, fail: 1, only: w2}
    - !act {key: c, panic: true, only: w3}
    - !act {key: d, need: odd}
    - !act {key: never}
- name: two
  groups: [web, db]
  tasks:
    - !act {key: e}
-- inv/groups/db.yml --
hosts: [d1]
`).hosts("w1", "w2", "w3", "w4")
	l.down["w4"] = errors.New("dial w4: no route to host")
	r := l.run(Options{Forks: 2})
	if r.err != nil || !r.Failed() {
		t.Fatalf("Run: %v, failed %t", r.err, r.Failed())
	}
	wantLines(t, "results", r.finished(),
		"d1 act created",
		"w1 act created", "w1 act created", "w1 act created", "w1 act failed",
		"w2 act created", "w2 act failed",
		"w3 act created", "w3 act created", "w3 act failed",
		"w4 act unreachable")
	want := map[string]Stats{
		"d1": {OK: 1, Changed: 1},
		"w1": {OK: 3, Changed: 3, Failed: 1},
		"w2": {OK: 1, Changed: 1, Failed: 1},
		"w3": {OK: 2, Changed: 2, Failed: 1},
		"w4": {Unreachable: 1},
	}
	if diff := cmp.Diff(want, r.Hosts); diff != "" {
		t.Errorf("summary differs (-want +got):\n%s", diff)
	}
	if want := "failed on w1, w2, w3; could not reach w4"; r.Why() != want {
		t.Errorf("Why() = %q, want %q", r.Why(), want)
	}
	for _, e := range r.events {
		if e.Host == "w3" && e.Status == StatusFailed && e.Message != "module act panicked: oh dear" {
			t.Errorf("message of the panic: %q", e.Message)
		}
		if e.Host == "w4" && e.Message != "dial w4: no route to host" {
			t.Errorf("message of the dialer: %q", e.Message)
		}
		if e.Kind == PlayStarted && e.Play == "two" {
			wantLines(t, "hosts of the second play", e.Hosts, "d1")
		}
	}
	if last := r.events[len(r.events)-1]; last.Kind != PlayFinished {
		t.Errorf("the last event is %s", last.Kind)
	}
}

// TestAllFail is the other half of line 94: it makes no difference whether tasks
// follow.
func TestAllFail(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{"last task": "", "tasks follow": "    - !act {key: b}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := site(t, "w1 w2", "  tasks:\n    - !act {key: a, fail: 1}\n"+rest)
			r := l.run(Options{})
			if r.err != nil || !r.Failed() {
				t.Errorf("Run: %v, failed %t", r.err, r.Failed())
			}
			wantLines(t, "results", r.finished(), "w1 act failed", "w2 act failed")
		})
	}
}

// TestBatches is checklist line 95 and the second half of 96.
func TestBatches(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: fails
  groups: [web]
  tasks:
    - !act {key: x, fail: 1, only: w2}
- name: p
  groups: [web]
  batch_size: 1
  tasks:
    - !act
      key: a
      and: {notify: h}
    - !act {key: b}
  handlers:
    - !act
      key: h
      with: {subscribe: h}
`).hosts("w3", "w1", "w2")
	l.run(Options{})
	var got []string
	for _, c := range l.calls {
		if host, ok := strings.CutPrefix(c, "apply "); ok && !strings.HasSuffix(host, "x") {
			got = append(got, host)
		}
	}
	wantLines(t, "applied", got, "w1 a", "w1 b", "w1 h", "w3 a", "w3 b", "w3 h")
}

// TestForks is checklist line 98: one fork is one host at a time, and more are
// really used, but no more than asked for.
func TestForks(t *testing.T) {
	for _, forks := range []int{1, 3, 0} {
		synctest.Test(t, func(t *testing.T) {
			hosts := make([]string, 30)
			for i := range hosts {
				hosts[i] = fmt.Sprintf("w%02d", i)
			}
			l := site(t, strings.Join(hosts, " "), "  tasks:\n    - !act {key: a}\n")
			l.onQuery = func(ctx context.Context, _ *Host) error {
				wait(ctx, 1e9)
				return nil
			}
			l.run(Options{Forks: forks})
			want := forks
			if forks == 0 {
				want = 20
			}
			if l.most != want {
				t.Errorf("%d forks: %d hosts at once, want %d", forks, l.most, want)
			}
		})
	}
}

// TestCancel checks that the end of the context stops the run with its cause,
// leaves no connection and is not mistaken for a failure to ignore.
func TestCancel(t *testing.T) {
	t.Parallel()
	l := site(t, "w1 w2 w3", `
  tasks:
    - !act
      key: a
      and: {ignore_errors: true, retry: 5, delay: 3600}
    - !act {key: b}
`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cause := errors.New("the lease was lost")
	l.onQuery = func(ctx context.Context, h *Host) error {
		if h.Name == "w1" {
			cancel(cause)
		}
		<-ctx.Done()
		return ctx.Err()
	}
	r := l.runContext(ctx, Options{Forks: 1})
	if !errors.Is(r.err, cause) {
		t.Errorf("Run: %v, want %v", r.err, cause)
	}
	wantLines(t, "results", r.finished(), "w1 act failed")
	if want := "context canceled\nthe run was stopped: the lease was lost"; r.last(t).Message != want {
		t.Errorf("message %q, want %q", r.last(t).Message, want)
	}
	if r.events[len(r.events)-1].Kind != PlayFinished {
		t.Errorf("the play was not finished: %+v", r.events)
	}
	if len(r.Hosts) != 3 {
		t.Errorf("the summary has %d hosts, want 3", len(r.Hosts))
	}
}

// TestReportBlocks checks that reports come one at a time and hold up the run.
func TestReportBlocks(t *testing.T) {
	t.Parallel()
	l := site(t, "w1 w2 w3 w4", "  tasks:\n    - !act {key: a}\n    - !act {key: b}\n")
	var inside atomic.Bool
	finished := 0
	l.run(Options{Report: func(e Event) {
		if inside.Swap(true) {
			t.Error("two reports at once")
		}
		for range 100 {
			runtime.Gosched() // let the others try
		}
		if e.Kind == TaskFinished {
			finished++
		}
		if e.Kind == TaskStarted && finished%4 != 0 {
			t.Errorf("a task started when %d results were in", finished)
		}
		inside.Store(false)
	}})
	if finished != 8 {
		t.Errorf("%d results, want 8", finished)
	}
}

// TestTarget is checklist line 88 (magic variables from any layer), 92 (local
// connections) and 16 (a play's ssh_user does not reach the next).
func TestTarget(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: one
  groups: [web]
  ssh_user: deploy
  ssh_port: 2222
  ssh_jump: gate
  tasks:
    - !note {msg: a}
- name: two
  groups: [web]
  tasks:
    - !note {msg: b}
- name: three
  groups: [web]
  vars: {jet_ssh_user: playvar}
  tasks:
    - !note {msg: c}
-- inv/host_vars/w2.yml --
jet_ssh_hostname: 192.0.2.7
jet_ssh_user: admin
jet_ssh_port: "2022"
jet_ssh_private_key_file: /keys/k
jet_ssh_private_key_passphrase: opens
jet_ssh_password: s3cret
jet_ssh_key_comment: work
jet_ssh_jump: none
-- inv/host_vars/w3.yml --
jet_ssh_hostname: localhost
-- inv/host_vars/w4.yml --
jet_ssh_port: 70000
-- inv/host_vars/w5.yml --
jet_ssh_user: [a]
`).hosts("w1", "w2", "w3", "w4", "w5", "localhost")
	r := l.run(Options{SSHUser: "cli", SSHPort: 22, Jump: "outer", LoginPassword: "asked", Forks: 1})
	w2 := conn.Target{
		Name: "w2", Address: "192.0.2.7", User: "admin", Port: 2022,
		KeyFile: "/keys/k", KeyPassphrase: "opens", KeyComment: "work", Password: "s3cret", Jump: "none",
	}
	w2c := w2
	w2c.User = "playvar"
	want := []conn.Target{
		{Name: "localhost", Local: true},
		{Name: "w1", User: "deploy", Port: 2222, Password: "asked", Jump: "gate"},
		w2,
		{Name: "w3", Local: true},
		{Name: "w1", User: "cli", Port: 22, Password: "asked", Jump: "outer"},
		{Name: "w1", User: "playvar", Port: 22, Password: "asked", Jump: "outer"},
		w2c,
	}
	if diff := cmp.Diff(want, l.dialed); diff != "" {
		t.Errorf("targets differ (-want +got):\n%s", diff)
	}
	for _, e := range r.events {
		bad := e.Host == "w4" || e.Host == "w5"
		if bad != (e.Status == StatusFailed) {
			t.Errorf("%s %s: %s", e.Host, e.Status, e.Message)
		}
	}

	l = site(t, "w1", "  tasks:\n    - !note {msg: a}\n")
	l.run(Options{Local: true, SSHUser: "cli"})
	if diff := cmp.Diff([]conn.Target{{Name: "w1", Local: true}}, l.dialed); diff != "" {
		t.Errorf("local targets differ (-want +got):\n%s", diff)
	}
}

// TestSudoNone is the second half of checklist line 31 for plays and options.
func TestSudoNone(t *testing.T) {
	t.Parallel()
	tests := []struct{ play, options, want string }{
		{"", "", "login"},
		{"", "root", "root"},
		{"", "none", "login"},
		{"web", "root", "web"},
		{"none", "root", "login"},
	}
	for _, tt := range tests {
		rest := "  tasks:\n    - !note {msg: a}\n"
		if tt.play != "" {
			rest = "  sudo: " + tt.play + "\n" + rest
		}
		l := site(t, "w1", rest)
		l.run(Options{Sudo: tt.options})
		wantLines(t, fmt.Sprintf("calls of %+v", tt), l.calls, "w1 as "+tt.want+": a")
	}
}

// TestBecome checks what a connection is told of how to become another user.
func TestBecome(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  sudo: root
  sudo_template: su {{ jet_sudo_user }} -c {{jet_command}}
  tasks: [!note {msg: a}]
- name: q
  groups: [web]
  sudo: root
  tasks: [!note {msg: b}]
-- inv/host_vars/w2.yml --
jet_sudo_password: own
`).hosts("w1", "w2")
	l.run(Options{SudoPassword: "asked", Forks: 1})
	wantLines(t, "calls", l.calls,
		`w1 as root by "su {{jet_sudo_user}} -c {{jet_command}}" with "asked": a`,
		`w2 as root by "su {{jet_sudo_user}} -c {{jet_command}}" with "own": a`,
		`w1 as root by "" with "asked": b`,
		`w2 as root by "" with "own": b`)
}

// TestOffline checks that modules that need no host do not have it dialled, unless
// something else of the task does.
func TestOffline(t *testing.T) {
	t.Parallel()
	l := site(t, "w1", `
  tasks:
    - !say {msg: a}
    - !say
      msg: b
      with: {sudo: "{{ undefined }}", delegate_to: localhost}
`)
	r := l.run(Options{})
	wantLines(t, "results", r.finished(), "w1 say passive", "w1 say passive")
	if len(l.dialed) != 0 {
		t.Errorf("dialled %v", l.dialed)
	}
	l = site(t, "w1", "  tasks:\n    - !say {msg: a, with: {skip_if_exists: /there}}\n")
	l.files["/there"] = true
	wantLines(t, "results", l.run(Options{}).finished(), "w1 say skipped")
	if len(l.dialed) != 1 {
		t.Errorf("dialled %v, want once", l.dialed)
	}
}

// TestAtOnce runs one playbook twice at the same time: it must not change.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	l := site(t, "w1 w2", `
  vars: {list: [a], m: {k: [1]}}
  tasks:
    - !note
      msg: "{{ item }} {{ m.k }}"
      with: {items: list}
    - !store {var: m, value: {k: [2]}}
    - !note {msg: "{{ to_json m }}"}
`)
	pb, err := l.parse()
	if err != nil {
		t.Fatal(err)
	}
	inv := l.inventory()
	ran := make(chan string)
	for range 2 {
		go func() {
			var last string
			_, err := Run(t.Context(), pb, inv, Options{Dialer: l, Report: func(e Event) {
				if e.Message != "" {
					last = e.Message
				}
			}})
			ran <- fmt.Sprint(last, " ", err)
		}()
	}
	for range 2 {
		if got, want := <-ran, `{"k":[2,1]} <nil>`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// BenchmarkRun is what the engine itself costs: 100 hosts, 20 tasks.
func BenchmarkRun(b *testing.B) {
	hosts := make([]string, 100)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("w%02d", i)
	}
	l := site(b, strings.Join(hosts, " "), "  vars: {word: text, map: {a: 1, b: [1, 2, 3]}}\n  tasks:\n"+
		strings.Repeat("    - !kinds {text: \"a {{ word }}\", list: [a, \"{{ map.a }}\"]}\n", 20))
	pb, err := l.parse()
	if err != nil {
		b.Fatal(err)
	}
	inv := l.inventory()
	b.ReportAllocs()
	for b.Loop() {
		sum, err := Run(b.Context(), pb, inv, Options{Dialer: l})
		if err != nil || sum.Failed() {
			b.Fatal(err, sum.Why())
		}
	}
}
