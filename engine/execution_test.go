package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTasks runs one play over the host w1 and compares results and calls.
func TestTasks(t *testing.T) {
	t.Parallel()
	const list = "\n  vars: {list: [a, b], deep: {er: [{n: x, extra: 1}, {n: y}]}, none: [], word: text, which: list, t: '{{ word }}'}\n"
	tests := []struct {
		name    string
		play    string
		want    []string // results
		calls   []string
		message string // part of the last result's message
	}{
		{
			name: "17 false condition",
			play: `
  tasks:
    - !note
      msg: "{{ undefined }}"
      with: {condition: false, sudo: "{{ undefined }}", skip_if_exists: "{{ undefined }}"}`,
			want: []string{"w1 note skipped"},
		},
		{
			name: "19 undefined in conditions",
			play: `
  tasks:
    - !note
      msg: a
      with: {condition: undefined}
    - !note
      msg: a
      with: {condition: (eq undefined 1)}`,
			want:    []string{"w1 note skipped", "w1 note failed"},
			message: "undefined",
		},
		{
			name: "21 condition before items",
			play: list + `
  tasks:
    - !note
      msg: a
      with: {condition: (isdefined gone), items: gone}
    - !note
      msg: "{{ item }}"
      with: {condition: (eq item "b"), items: list}`,
			want:  []string{"w1 note skipped", "w1 note passive"},
			calls: []string{"w1 as login: b"},
		},
		{
			name: "22 items by name and path",
			play: list + `
  tasks:
    - !note
      msg: "{{ item }}"
      with: {items: list}
    - !note
      msg: "{{ item.n }}"
      with: {items: deep.er}
    - !note
      msg: "{{ item }}"
      with: {items: "{{ list }}"}
    - !note
      msg: "{{ item }}"
      with: {items: "{{ which }}{{#if none}}x{{/if}}"}
    - !note
      msg: "{{ item }}"
      with: {items: "{{ to_json list }}"}`,
			want: []string{"w1 note passive", "w1 note passive", "w1 note passive", "w1 note passive", "w1 note passive"},
			calls: []string{
				"w1 as login: a", "w1 as login: b", "w1 as login: x", "w1 as login: y", "w1 as login: a", "w1 as login: b",
				"w1 as login: a", "w1 as login: b", "w1 as login: a", "w1 as login: b",
			},
		},
		{
			name: "22 not a list",
			play: list + `
  tasks:
    - !note
      msg: "{{ item }}"
      with: {items: word}`,
			want:    []string{"w1 note failed"},
			message: `items: "word" is not a list`,
		},
		{
			name: "23 empty list",
			play: list + `
  tasks:
    - !note
      msg: "{{ item }}"
      with: {items: none}
    - !note
      msg: "{{ item }}"
      with: {items: []}`,
			want: []string{"w1 note skipped", "w1 note skipped"},
		},
		{
			name: "24 items of any type",
			play: list + `
  tasks:
    - !note
      msg: "{{ to_json item }}"
      with: {items: [1, 1.5, true, null, text, "{{ word }}", {a: ["{{ word }}", 2]}, [x]]}`,
			want: []string{"w1 note passive"},
			calls: []string{
				"w1 as login: 1", "w1 as login: 1.5", "w1 as login: true", "w1 as login: null", `w1 as login: "text"`,
				`w1 as login: "text"`, `w1 as login: {"a":["text",2]}`, `w1 as login: ["x"]`,
			},
		},
		{
			name: "25 item is gone between items and afterwards",
			play: list + `
  tasks:
    - !note
      msg: "{{#if (isdefined item.extra)}}extra{{else}}none{{/if}}"
      with: {items: deep.er}
    - !note {msg: "{{ item }}"}`,
			want:    []string{"w1 note passive", "w1 note failed"},
			calls:   []string{"w1 as login: extra", "w1 as login: none"},
			message: "item",
		},
		{
			name: "26 strongest status",
			play: list + `
  tasks:
    - !act
      need: "{{ item }}"
      with: {items: [matched, create, modify, passive]}
      and: {notify: "{{ item }}"}
    - !act
      need: "{{ item }}"
      with: {items: [passive, matched]}
  handlers:
    - !note
      msg: created
      with: {subscribe: create}
    - !note
      msg: matched
      with: {subscribe: matched}`,
			want: []string{"w1 act created", "w1 act matched", "w1 note passive"},
			calls: []string{
				"query w1 ", "query w1 ", "apply w1 ", "query w1 ", "apply w1 ", "query w1 ", "apply w1 ",
				"query w1 ", "apply w1 ", "query w1 ", "w1 as login: created",
			},
		},
		{
			name: "items stop at a failure",
			play: list + `
  tasks:
    - !act
      key: "{{ item }}"
      fail: "{{#if (eq item \"b\")}}1{{else}}0{{/if}}"
      with: {items: [a, b, c]}`,
			want:    []string{"w1 act failed"},
			calls:   []string{"query w1 a", "apply w1 a"},
			message: "try 1 failed",
		},
		{
			name: "29 ignored failures do not notify",
			play: `
  tasks:
    - !act
      fail: 1
      and: {notify: h, ignore_errors: true}
    - !note
      msg: "{{ undefined }}"
      and: {ignore_errors: true}
    - !note {msg: after}
  handlers:
    - !note
      msg: handled
      with: {subscribe: h}`,
			want:  []string{"w1 act ignored", "w1 note ignored", "w1 note passive"},
			calls: []string{"w1 as login: after"},
		},
		{
			name: "31 sudo",
			play: `
  sudo: player
  tasks:
    - !note {msg: a}
    - !note
      msg: b
      with: {sudo: "t{{ 1 }}"}
    - !note
      msg: c
      with: {sudo: none}
    - !note
      msg: d
      with: {sudo: "{{#if no}}x{{/if}}"}`,
			want:    []string{"w1 note passive", "w1 note passive", "w1 note passive", "w1 note failed"},
			calls:   []string{"w1 as player: a", "w1 as t1: b", "w1 as login: c"},
			message: "sudo is empty",
		},
		{
			name: "33 skip_if_exists",
			play: `
  tasks:
    - !note
      msg: "{{ undefined }}"
      with: {skip_if_exists: /there}
    - !note
      msg: "{{ item }}"
      with: {items: [there, gone], skip_if_exists: "/{{ item }}"}
    - !note
      msg: a
      with: {skip_if_exists: there}
      and: {ignore_errors: true}
    - !note
      msg: a
      with: {skip_if_exists: /denied, sudo: web}`,
			want:    []string{"w1 note skipped", "w1 note passive", "w1 note ignored", "w1 note failed"},
			calls:   []string{"w1 as login: gone"},
			message: "lstat /denied as web",
		},
		{
			name: "39 handlers run once, and follow each other",
			play: `
  tasks:
    - !act
      with: {items: [1, 2, 3, 4, 5]}
      and: {notify: [h, "{{ item }}"]}
  handlers:
    - !note
      msg: chained
      with: {subscribe: chain}
    - !note
      msg: one
      with: {subscribe: h}
    - !act
      key: again
      with: {subscribe: h}
      and: {notify: [chain, h]}`,
			want: []string{"w1 act created", "w1 note passive", "w1 act created", "w1 note passive"},
			calls: append(slicesRepeat(5, "query w1 ", "apply w1 "),
				"w1 as login: one", "query w1 again", "apply w1 again", "w1 as login: chained"),
		},
		{
			name: "42 and 45 handlers that are not notified",
			play: `
  vars: {name: web}
  tasks:
    - !act
      and: {notify: "reload {{ name }}"}
  handlers:
    - !note
      msg: "{{ undefined }}"
      with: {subscribe: other}
    - !note
      msg: literal
      with: {subscribe: "reload {{ name }}"}
    - !note
      msg: rendered
      with: {subscribe: reload web}`,
			want:  []string{"w1 act created", "w1 note passive"},
			calls: []string{"query w1 ", "apply w1 ", "w1 as login: rendered"},
		},
		{
			name: "become fails",
			play: `
  tasks:
    - !note
      msg: a
      with: {sudo: nobody-such}`,
			want:    []string{"w1 note failed"},
			message: "becoming nobody-such",
		},
		{
			name: "values are not templates",
			play: list + `
  tasks:
    - !note {msg: "{{ t }}"}
    - !note
      msg: "{{ item }}"
      with: {items: ["{{ t }}"]}
    - !kinds {text: "{{ t }}", raw: "{{ undefined }}", any: {k: ["{{ word }}", 7]}, list: [a, "{{ word }}"], mode: "0o{{ 644 }}", flag: "{{ true }}", count: "{{ 3 }}", cond: "rc == 3"}`,
			want:    []string{"w1 note passive", "w1 note passive", "w1 kinds passive"},
			calls:   []string{"w1 as login: {{ word }}", "w1 as login: {{ word }}"},
			message: `text="{{ word }}" flag=true count=3 mode=0o644 raw="{{ undefined }}" list=["a" "text"] any=map[string]interface {}{"k":[]interface {}{"text", 7}} cond=true`,
		},
		{
			name: "30 rendered values are checked",
			play: `
  tasks:
    - !kinds {flag: "{{ 1 }}", mode: "{{ 755 }}"}`,
			want:    []string{"w1 kinds failed"},
			message: "flag: must be true or false",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := site(t, "w1", tt.play+"\n")
			l.files["/there"] = true
			r := l.run(Options{})
			wantLines(t, "results", r.finished(), tt.want...)
			if diff := cmp.Diff(tt.calls, l.calls); diff != "" {
				t.Errorf("calls differ (-want +got):\n%s", diff)
			}
			if e := r.last(t); !strings.Contains(e.Message, tt.message) {
				t.Errorf("message %q has no %q", e.Message, tt.message)
			}
		})
	}
}

func slicesRepeat(n int, s ...string) []string {
	var out []string
	for range n {
		out = append(out, s...)
	}
	return out
}

// TestNoConnectionWhenSkipped is the first half of checklist line 17: hosts are
// dialled when something is to be done there.
func TestNoConnectionWhenSkipped(t *testing.T) {
	t.Parallel()
	l := site(t, "w1", `
  tasks:
    - !note
      msg: a
      with: {condition: false}
    - !note
      msg: a
      with: {items: []}
`)
	r := l.run(Options{})
	wantLines(t, "results", r.finished(), "w1 note skipped", "w1 note skipped")
	if len(l.dialed) != 0 {
		t.Errorf("dialled %v", l.dialed)
	}
}

// TestHandlerScope is checklist line 40: events do not cross hosts or plays.
func TestHandlerScope(t *testing.T) {
	t.Parallel()
	const handlers = `
  handlers:
    - !note
      msg: handled
      with: {subscribe: h}
`
	l := site(t, "w1 w2", `
  tasks:
    - !act
      with: {condition: (eq who "w1")}
      and: {notify: h}
`+handlers+`
- name: q
  groups: [web]
`+strings.TrimPrefix(handlers, "\n")+`
-- inv/host_vars/w1.yml --
who: w1
-- inv/host_vars/w2.yml --
who: w2
`)
	r := l.run(Options{})
	wantLines(t, "results", r.finished(), "w1 act created", "w1 note passive", "w2 act skipped")
}

// TestRetry is checklist lines 27 and 28, and that a lost connection is dialled
// anew for another try but never ignored.
func TestRetry(t *testing.T) {
	tests := []struct {
		name, params, and string
		tries             int
		status            Status
		took              time.Duration
		dialed            int
	}{
		{"default delay", "fail: 9", "{retry: 2}", 3, StatusFailed, 2 * time.Second, 1},
		{"works the second time", "fail: 1", "{retry: 2, delay: 7}", 2, StatusCreated, 7 * time.Second, 1},
		{"no delay", "fail: 9", "{retry: 4, delay: 0}", 5, StatusFailed, 0, 1},
		{"ignored", "fail: 9", "{retry: 2, ignore_errors: true}", 3, StatusIgnored, 2 * time.Second, 1},
		{"lost connection", "lost: 1", "{retry: 1}", 1, StatusCreated, 0, 2},
		{"lost connections", "lost: 2", "{retry: 1}", 2, StatusCreated, time.Second, 3},
		{"lost for good", "lost: 9", "{retry: 1, ignore_errors: true}", 2, StatusUnreachable, time.Second, 4},
		{"lost while writing", "lost_at: 1", "{retry: 1}", 2, StatusCreated, time.Second, 2},
		{"lost while running", "lost_at: 1, need: execute", "{retry: 3}", 1, StatusUnreachable, 0, 1},
		{"nothing to gain", `key: "{{ undefined }}"`, "{retry: 2}", 1, StatusFailed, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := site(t, "w1", fmt.Sprintf("  tasks:\n    - !act\n      %s\n      and: %s\n",
					strings.ReplaceAll(tt.params, ", ", "\n      "), tt.and))
				e := l.run(Options{}).last(t)
				if e.Status != tt.status || e.Attempts != tt.tries || e.Duration != tt.took {
					t.Errorf("%s after %d attempts and %s, want %s, %d, %s",
						e.Status, e.Attempts, e.Duration, tt.status, tt.tries, tt.took)
				}
				if len(l.dialed) != tt.dialed {
					t.Errorf("dialled %d times, want %d", len(l.dialed), tt.dialed)
				}
			})
		})
	}
}

// TestCommandError checks that a failed command's output is in the event.
func TestCommandError(t *testing.T) {
	t.Parallel()
	e := site(t, "w1", "  tasks:\n    - !act {fail: 1, command: true}\n").run(Options{}).last(t)
	want := &CommandResult{Cmd: "false", RC: 1, Stderr: "no\n"}
	if diff := cmp.Diff(want, e.Command); diff != "" || e.Message != "exit status 1: no" {
		t.Errorf("message %q, command differs (-want +got):\n%s", e.Message, diff)
	}
}

// TestSourcePath is checklist line 14: files/ of the role, else of the playbook.
func TestSourcePath(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  vars: {word: text}
  roles:
    - role: r
  tasks:
    - !kinds {source: a.txt}
    - !kinds {source: ""}
    - !kinds
      source: "{{ dir }}/files/a.txt"
    - !kinds
      source: gone.txt
      and: {ignore_errors: true}
    - !kinds {source: sub}
-- files/a.txt --
playbook {{ word }} {{ more }}
-- files/sub/b.txt --
-- roles/r/role.yml --
name: r
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !kinds {source: a.txt}
-- roles/r/files/a.txt --
role {{ word }} {{ more }}
`).hosts("w1")
	r := l.run(Options{ExtraVars: map[string]any{"dir": l.dir}})
	var got []string
	for _, e := range r.events {
		if e.Kind == TaskFinished && !strings.HasPrefix(e.Message, "text=") {
			got = append(got, strings.ReplaceAll(strings.TrimSpace(e.Message), l.dir, "DIR"))
		}
	}
	wantLines(t, "messages", got,
		"role text extra", "playbook text extra", "playbook text extra",
		"finding source file gone.txt: stat DIR/files/gone.txt: no such file or directory",
		"finding source file sub: DIR/files/sub is not a regular file")
}

// TestModulesPath checks where the modules that users wrote are found.
func TestModulesPath(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- modules/both --
-- modules/beside --
-- modules/dir/x --
-- first/both --
`)
	h := &Host{run: &hostRun{modules: []string{filepath.Join(l.dir, "first"), filepath.Join(l.dir, "modules")}}}
	for name, want := range map[string]string{
		"both": "first/both", "beside": "modules/beside", "dir/x": "modules/dir/x", "dir": "", "gone": "",
		"../first/both": "", filepath.Join(l.dir, "first/both"): "first/both", "/gone": "",
	} {
		got, err := h.Modules(name)
		if want != "" {
			want = filepath.Join(l.dir, want)
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Modules(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
}

// TestLostCommand checks that a command that was lost says so.
func TestLostCommand(t *testing.T) {
	t.Parallel()
	e := site(t, "w1", "  tasks:\n    - !act {lost_at: 1, need: execute}\n").run(Options{}).last(t)
	if want := "the connection was lost while this ran: it may still run on the host, and is not tried again: running the command: host unreachable"; e.Message != want {
		t.Errorf("message %q, want %q", e.Message, want)
	}
}

// TestLoopFailures checks that a loop shows the command of the item that decided
// the outcome, and names the items that failed.
func TestLoopFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, params, and string
		status            Status
		message, command  string
	}{
		{"ignored before success", `need: execute, cmd: "run {{ item }}", code: "{{#if (eq item 2)}}7{{else}}0{{/if}}"`, "ignore_errors: true", StatusIgnored, "item 2: exit status 7", "run 2"},
		{"failed", `need: execute, cmd: "run {{ item }}", code: "{{#if (eq item 2)}}7{{else}}0{{/if}}"`, "retry: 0", StatusFailed, "item 2: exit status 7", "run 2"},
		{"all ignored", `need: execute, cmd: "run {{ item }}", code: "{{ item }}"`, "ignore_errors: true", StatusIgnored, "item 1: exit status 1\nitem 2: exit status 2\nitem 3: exit status 3", "run 1"},
		{"place", `key: "{{ gone }}"`, "ignore_errors: true", StatusIgnored, `site.yml:7:16: item 1: "gone" is not defined`, ""},
		{"panic", "panic: true", "retry: 0", StatusFailed, "item 1: module act panicked: oh dear", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "-- site.yml --\n- name: p\n  groups: [web]\n  tasks:\n    - !act\n      with: {items: [1, 2, 3]}\n      and: {"+
				tt.and+"}\n      "+strings.ReplaceAll(tt.params, ", ", "\n      ")+"\n").hosts("w1")
			e := l.run(Options{}).last(t)
			if got := strings.ReplaceAll(e.Message, l.dir+"/", ""); e.Status != tt.status || got != tt.message && !strings.HasPrefix(got, tt.message+"\n") {
				t.Errorf("%s %q, want %s %q", e.Status, got, tt.status, tt.message)
			}
			cmd := ""
			if e.Command != nil {
				cmd = e.Command.Cmd
			}
			if cmd != tt.command {
				t.Errorf("command %q, want %q", cmd, tt.command)
			}
		})
	}
}

// TestFailedFields checks that what a failure did not change is not named.
func TestFailedFields(t *testing.T) {
	t.Parallel()
	e := site(t, "w1", "  tasks:\n    - !act {need: modify, cmd: x, code: 1}\n").run(Options{}).last(t)
	if e.Status != StatusFailed || e.Changed || len(e.Fields) > 0 {
		t.Errorf("%s, changed %t, fields %q", e.Status, e.Changed, e.Fields)
	}
}

// TestSecrets checks that the values of secret variables are in no result.
func TestSecrets(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  vars: {jet_ssh_password: s3cret, jet_ssh_private_key_passphrase: s3cret-opens, jet_sudo_password: 4711}
  tasks:
    - !note
      msg: "{{ jet_sudo_password }} asked-login asked-sudo"
    - !note
      msg: "with {{ jet_ssh_password }} and {{ jet_ssh_private_key_passphrase }}"
    - !act
      need: execute
      cmd: "login s3cret"
      code: 1
`).hosts("w1")
	r := l.run(Options{LoginPassword: "asked-login", SudoPassword: "asked-sudo"})
	var got []string
	for _, e := range r.events {
		if e.Kind == TaskFinished {
			got = append(got, e.Message)
		}
	}
	wantLines(t, "messages", got, "(hidden) (hidden) (hidden)", "with (hidden) and (hidden)", "exit status 1")
	if cmd := r.last(t).Command.Cmd; cmd != "login (hidden)" {
		t.Errorf("command %q", cmd)
	}
}

// TestQuotedSecrets checks that quoting a secret does not show it.
func TestQuotedSecrets(t *testing.T) {
	t.Parallel()
	e := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  vars: {jet_sudo_password: "it's \"x\\<y"}
  tasks:
    - !note
      msg: "{{ quote jet_sudo_password }} {{ to_json jet_sudo_password }} {{ base64 jet_sudo_password }}"
`).hosts("w1").run(Options{}).last(t)
	if want := `'(hidden)' "(hidden)" (hidden)`; e.Message != want {
		t.Errorf("message %q, want %q", e.Message, want)
	}
}

// TestHostName checks that every host knows its name, whatever anyone says.
func TestHostName(t *testing.T) {
	t.Parallel()
	r := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  vars: {jet_host: other}
  tasks:
    - !note {msg: "{{ jet_host }}"}
`).hosts("w1", "w2").run(Options{ExtraVars: map[string]any{"jet_host": "another"}})
	var got []string
	for _, e := range r.events {
		if e.Kind == TaskFinished {
			got = append(got, e.Host+" "+e.Message)
		}
	}
	slices.Sort(got)
	wantLines(t, "messages", got, "w1 w1", "w2 w2")
}

// TestDelegateSecrets is the same for those of the host that a task is delegated
// to.
func TestDelegateSecrets(t *testing.T) {
	t.Parallel()
	e := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  tasks:
    - !note
      msg: "it is {{ word }}"
      with: {delegate_to: db1}
-- inv/groups/db.yml --
hosts: [db1]
-- inv/host_vars/db1.yml --
jet_ssh_password: s3cret
-- inv/host_vars/w1.yml --
word: s3cret
`).hosts("w1").run(Options{}).last(t)
	if e.Message != "it is (hidden)" {
		t.Errorf("message %q", e.Message)
	}
}
