package conformance

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

func runLines() []line {
	return []line{
		{93, "C", "failed_hosts_leave", "A host that failed gets no more tasks, the others go on, and the exit code is 1.", failedHostsLeave},
		{94, "N", "all_hosts_fail", "Where all hosts of a play fail there is a recap, and the exit code is 1, whether tasks follow or not.", allHostsFail},
		{95, "C", "batches", "Batches are hosts in the order of their names; each runs tasks and handlers to the end before the next; the play wins over the command line.", batches},
		{96, "N", "odd_batches", "A batch size of 0 is refused; a batch of hosts that failed before is passed over.", oddBatches},
		{97, "C, N", "check_mode", "Check mode changes nothing, runs what changes nothing anyway, says what would be done, and has an exit code of its own for that if asked.", checkMode},
		{98, "N", "one_at_a_time", "`--threads 1` works on one host at a time.", oneAtATime},
		{99, "C, N", "extra_variables", "`-e` takes JSON and @file, in order, and wins over everything; what is no object is wrong usage.", extraVariables},
		{100, "C, N", "json_lines", "The JSON output is one object a line, from the start of the run to its end, with the reasons of failures and without secrets.", jsonLines},
		{101, "N", "no_crash", "No file, flag or answer of a host makes the command crash.", noCrash},
	}
}

func failedHostsLeave(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: one, cmd: "test {{me}} != h2", and: {notify: n}}
  - !echo {name: two, msg: x}
  handlers:
  - !echo {name: h, msg: x, with: {subscribe: n}}
- name: y
  groups: [web]
  tasks:
  - !echo {name: three, msg: x}
`)
	s.run(t, "p.yml").is(t, 1, "one h1 executed", "one h2 failed", "one h3 executed",
		"two h1 passive", "two h3 passive", "h h1 passive", "h h3 passive", "three h1 passive", "three h3 passive")
}

func allHostsFail(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- last.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: one, cmd: "false"}
-- more.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: one, cmd: "false"}
  - !echo {name: two, msg: x}
- name: y
  groups: [web]
  tasks:
  - !echo {name: three, msg: x}
`)
	for _, playbook := range []string{"last.yml", "more.yml"} {
		s.run(t, playbook).is(t, 1, "one h1 failed", "one h2 failed", "one h3 failed")
		r := s.shown(t, playbook)
		last := r.stdout[max(0, strings.LastIndex(r.stdout, "exit status")):]
		for _, host := range []string{"h1", "h2", "h3"} {
			if r.code != 1 || !strings.Contains(last, host) {
				t.Errorf("%s: exit code %d, no recap for %s:\n%s", playbook, r.code, host, r.stdout)
			}
		}
	}
}

const batched = `
-- p.yml --
- name: x
  groups: [web]
  batch_size: 2
  tasks:
  - !shell {name: task, cmd: "true", and: {notify: n}}
  handlers:
  - !echo {name: handler, msg: x, with: {subscribe: n}}
-- plain.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: task, cmd: "true", and: {notify: n}}
  handlers:
  - !echo {name: handler, msg: x, with: {subscribe: n}}
`

// steps lists what ran, as task and the hosts that were at it together.
func steps(r result) []string {
	var out []string
	for i := 0; i < len(r.tasks); {
		name := r.tasks[i].Task
		var hosts []string
		for ; i < len(r.tasks) && r.tasks[i].Task == name; i++ {
			hosts = append(hosts, r.tasks[i].Host)
		}
		slices.Sort(hosts)
		out = append(out, name+" "+strings.Join(hosts, ","))
	}
	return out
}

func batches(t *testing.T, m *machine) {
	s := newSite(t, m, batched)
	for _, tt := range []struct {
		playbook string
		flags    []string
		want     []string
	}{
		{"p.yml", nil, []string{"task h1,h2", "handler h1,h2", "task h3", "handler h3"}},
		{"p.yml", []string{"--batch-size", "1"}, []string{"task h1,h2", "handler h1,h2", "task h3", "handler h3"}},
		{"plain.yml", []string{"--batch-size", "1"}, []string{"task h1", "handler h1", "task h2", "handler h2", "task h3", "handler h3"}},
		{"plain.yml", nil, []string{"task h1,h2,h3", "handler h1,h2,h3"}},
	} {
		r := s.run(t, tt.playbook, tt.flags...)
		r.ok(t)
		if diff := cmp.Diff(tt.want, steps(r)); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", tt.playbook, tt.flags, diff)
		}
	}
}

func oddBatches(t *testing.T, m *machine) {
	s := newSite(t, m, batched+`
-- zero.yml --
- name: x
  groups: [web]
  batch_size: 0
-- failed.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: one, cmd: "test {{me}} != h1"}
- name: y
  groups: [web]
  batch_size: 1
  tasks:
  - !echo {name: two, msg: x}
`)
	s.offline(t, "zero.yml").refused(t, 1, "zero.yml:3:15: ")
	s.offline(t, "plain.yml", "--batch-size", "0").refused(t, 2, "batch")
	s.run(t, "failed.yml").is(t, 1, "one h1 failed", "one h2 executed", "one h3 executed", "two h2 passive", "two h3 passive")
}

func checkMode(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: create, path: "@HOST@/new", and: {notify: n}}
  - !copy {name: modify, content: new, dest: "@HOST@/old"}
  - !file {name: remove, path: "@HOST@/gone", remove: true}
  - !shell {name: execute, cmd: "touch @HOST@/ran"}
  - !stat {name: stat, path: "@HOST@/old", save: r}
  - !assert {name: assert, true: r.exists}
  - !file {name: match, path: "@HOST@/old"}
-- same.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: match, path: "@HOST@/old"}
-- bad.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: create, path: "@HOST@/new"}
  - !fail
`)
	s.put(t, "old", "old", 0o600)
	s.put(t, "gone", "", 0o600)
	r := s.run(t, "p.yml", "--limit", "h1", "--check")
	r.is(t, 0, "create h1 created", "modify h1 modified", "remove h1 removed", "execute h1 executed",
		"stat h1 passive", "assert h1 passive", "match h1 matched")
	if got := r.task(t, "create"); !got.Check || !got.Changed {
		t.Errorf("the result does not say that it is one of check mode: %+v", got)
	}
	s.absent(t, "new", "ran")
	s.holds(t, "old", "old")
	s.holds(t, "gone", "")
	shown := s.shown(t, "p.yml", "--limit", "h1", "--check")
	if shown.code != 0 || strings.Count(shown.stdout, "would") < 4 {
		t.Errorf("exit code %d, and it does not say what would be done:\n%s", shown.code, shown.stdout)
	}
	for playbook, want := range map[string]int{"p.yml": 3, "same.yml": 0, "bad.yml": 1} {
		if r := s.run(t, playbook, "--limit", "h1", "--check", "--exit-changed"); r.code != want {
			t.Errorf("%s with --exit-changed: exit code %d, want %d: %s", playbook, r.code, want, r.said())
		}
	}
}

func oneAtATime(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: t, cmd: "echo in >> @HOST@/log; sleep 0.2; echo out >> @HOST@/log"}
-- together.yml --
- name: x
  groups: [web]
  tasks:
  - !shell
    name: t
    cmd: |
      echo in >> @HOST@/together
      for i in $(seq 200); do
        test $(grep -c in @HOST@/together) = 3 && break
        sleep 0.05
      done
      echo out >> @HOST@/together
`)
	s.run(t, "p.yml", "--threads", "1").ok(t)
	s.holds(t, "log", "in\nout\nin\nout\nin\nout\n")
	// Three at a time wait for each other.
	s.run(t, "together.yml", "--forks", "3").ok(t)
	s.holds(t, "together", "in\nin\nin\nout\nout\nout\n")
}

func extraVariables(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars: {a: play, b: play, c: play, d: play}
  roles:
  - role: r
    vars: {d: role}
-- roles/r/role.yml --
name: r
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !set {vars: {c: set}}
- !echo {name: t, msg: "{{a}} {{b}} {{c}} {{d}}"}
-- extra.yml --
a: file
b: file
`)
	r := s.local(t, "p.yml", "-e", `{"a": "one", "c": "one", "d": "one"}`, "-e", "@extra.yml", "-e", `{"b": "two"}`)
	r.ok(t)
	r.says(t, "t", "file two one one")
	for _, wrong := range []string{`["a"]`, `"a"`, `5`, `null`, `a=b`, `{"a": `} {
		s.local(t, "p.yml", "-e", wrong).refused(t, 2, "-e")
	}
	s.write(t, "-- list.yml --\n- a\n")
	s.local(t, "p.yml", "-e", "@list.yml").refused(t, 2, "list.yml")
	s.local(t, "p.yml", "-e", "@nothing.yml").refused(t, 1, "nothing.yml")
}

func jsonLines(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars: {jet_ssh_password: "very secret"}
  tasks:
  - !shell {name: retried, cmd: "false", and: {retry: 1, delay: 0, ignore_errors: true}}
  - !debug {name: debug}
  - !shell {name: leak, cmd: "echo '{{jet_ssh_password}}'; echo '{{jet_ssh_password}}' >&2; exit 3", and: {ignore_errors: true}}
  - !fail {name: fail, msg: "no good: {{jet_ssh_password}}"}
`)
	r := s.run(t, "p.yml", "--limit", "h1", "--log", s.dir+"/log")
	r.is(t, 1, "retried h1 ignored", "debug h1 passive", "leak h1 ignored", "fail h1 failed")
	if got := r.task(t, "fail").Message; !strings.Contains(got, "no good") {
		t.Errorf("the failure is said to be %q", got)
	}
	var kinds []string
	for _, typ := range r.types {
		kinds = append(kinds, strings.TrimSuffix(strings.TrimPrefix(typ, "dev.jet-bus."), ".v1"))
	}
	want := []string{
		"run.started", "play.started", "task.started", "task.retrying", "task.finished", "task.started", "task.finished",
		"task.started", "task.finished", "task.started", "task.finished", "play.finished", "run.finished",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	must(t, err)
	if _, types := decode(t, string(log)); !slices.Equal(types, r.types) {
		t.Errorf("the log has the events %q", types)
	}
	for where, text := range map[string]string{"output": r.stdout, "errors": r.stderr, "log": string(log)} {
		if strings.Contains(text, "very secret") {
			t.Errorf("the %s has the password", where)
		}
	}
}

// noCrash feeds the command what nobody should write. That it ended in an orderly
// way is checked for every run of these tests.
func noCrash(t *testing.T, m *machine) {
	const play = "- name: x\n  groups: [all]\n  tasks:\n"
	for i, text := range []string{
		"", "\x00", "\xff\xfe", "- ", "- - -", "[[[[", "{{{{", "- &a [*a]", "a: &a {b: *a}", "- name: 5\n  groups: {}", "- !x", "- null", "- ~\n- 5",
		"- name: x\n  groups: [all]\n  roles: [r]", "- name: x\n  groups: [[all]]", "- name: x\n  groups: [all]\n  vars: [1]",
		"- name: x\n  groups: [all]\n  batch_size: -1", "- name: x\n  groups: [all]\n  ssh_port: 99999999999999999999",
		play + "  - !shell", play + "  - !shell {cmd: }", play + "  - !shell {cmd: [x]}", play + "  - !echo {msg: {a: b}}",
		play + "  - !echo {msg: x, with: 5}", play + "  - !echo {msg: x, with: {items: {a: b}}}", play + "  - !echo {msg: x, and: {retry: -1}}",
		play + "  - !echo {msg: \"" + strings.Repeat("{{#if a}}", 1000) + "\"}", play + "  - !echo {msg: \"{{" + strings.Repeat("(", 1000) + "\"}",
		play + "  - !echo {msg: x, with: {condition: \"" + strings.Repeat("(", 1000) + "\"}}", play + "  - !debug {vars: [[1]]}",
		play + "  - !set {vars: {1: {2: 3}, ~: x}}", play + "  - !block", play + "  - !block {tasks: [!block {tasks: 5}]}", play + "  - !include {file: p.yml}",
		play + "  - !echo {msg: \"{{to_json item}}\", with: {items: [[], {}, ~, 1e999, -0, 0x]}}",
		play + "  - !file {path: \"/proc/self/nothing/\\0\"}", play + "  - !stat {path: \"/" + strings.Repeat("x", 5000) + "\", save: r}",
	} {
		s := newSite(t, m, "")
		must(t, os.WriteFile(filepath.Join(s.dir, "p.yml"), []byte(text), 0o600))
		if r := s.local(t, "p.yml"); r.code != 0 && r.code != 1 {
			t.Errorf("playbook %d: exit code %d: %s", i, r.code, r.stderr)
		}
	}
	for i, text := range []string{
		"hosts: 5", "hosts: [[a]]", "- a", "hosts: [a]\nsubgroups: {}", "\x00", "hosts: ['h[1:99999999]']", "hosts: ['[']", "subgroups: [all, g, '']", "&a [*a]",
	} {
		s := newSite(t, m, showHosts("all", "x")+"-- inventory/groups/h --\nhosts: [h]\n")
		must(t, os.WriteFile(filepath.Join(s.dir, "inventory/groups/g"), []byte(text), 0o600))
		if r := s.offline(t, "p.yml"); r.code != 0 && r.code != 1 {
			t.Errorf("group file %d: exit code %d: %s", i, r.code, r.stderr)
		}
	}
	for _, args := range [][]string{
		{"run"},
		{"run", ""},
		{"run", "/"},
		{"run", "p.yml", "-i", ""},
		{"run", "p.yml", "--forks", "-1"},
		{"run", "p.yml", "--limit", ","},
		{"run", "p.yml", "--connection", "carrier pigeon"},
		{"run", "p.yml", "-e", ""},
		{"run", "p.yml", "-e", "@"},
		{"nothing"},
		{"run", "--nothing"},
	} {
		s := newSite(t, m, "-- p.yml --\n")
		if r := s.jet(t, args...); r.code != 1 && r.code != 2 {
			t.Errorf("jet %q: exit code %d: %s", args, r.code, r.stderr)
		}
	}
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: bytes, cmd: "head -c 100000 /dev/urandom; printf '\\033[2J\\000\\377' >&2", save: r}
  - !echo {name: echo, msg: "{{len r.out}} {{r.err}}"}
  - !shell {name: much, cmd: "head -c 20000000 /dev/zero | tr '\\000' x", save: r}
  - !shell {name: killed, cmd: "kill -9 $$", and: {ignore_errors: true}}
  - !shell {name: closed, cmd: "exec >&- 2>&-; exit 0"}
`)
	garbage := conntest.SSHD{Port: listen(t, func(c net.Conn) {
		_, _ = c.Write([]byte("SSH-2.0-x\r\n" + strings.Repeat("\x00\xff", 5000)))
	}), User: "root", KeyFile: s.server(t).KeyFile, KnownHosts: s.server(t).KnownHosts}
	s.over(t, garbage, "p.yml", "--limit", "h1", "--json").is(t, 1, "bytes h1 unreachable")
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "bytes h1 executed", "echo h1 passive", "much h1 executed",
		"killed h1 ignored", "closed h1 executed")
}
