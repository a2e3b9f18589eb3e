package conformance

import (
	"strings"
	"testing"
)

func taskLines() []line {
	return []line{
		{17, "C", "false_condition_skips", "A task whose condition is false is skipped: no command runs, and a variable that its parameters lack goes unnoticed.", falseConditionSkips},
		{18, "N", "false_condition_opens_nothing", "A false condition opens no connection to the host that the task is delegated to.", falseConditionOpensNothing},
		{19, "C", "undefined_in_conditions", "A variable that does not exist is false as a whole condition, and an error as the argument of a helper.", undefinedInConditions},
		{20, "N", "calls_need_parentheses", "A helper call without parentheses is an error, not false.", callsNeedParentheses},
		{21, "C, N", "condition_and_items", "A false condition is found before the items are looked at; it is asked for each item where it speaks of one.", conditionAndItems},
		{22, "C", "items_by_name", "Items may name a list variable; what is no list is an error.", itemsByName},
		{23, "N", "empty_items", "No items make a task that is skipped.", emptyItems},
		{24, "N", "items_of_any_type", "Items written in place may be numbers and mappings.", itemsOfAnyType},
		{25, "N", "items_are_apart", "An item holds nothing of the item before it, and there is no item after the loop.", itemsAreApart},
		{26, "N", "status_over_items", "The status of a task with items is the strongest of theirs.", statusOverItems},
		{27, "C", "retry", "`retry: 2` tries three times at most, a second apart unless `delay` says otherwise.", retry},
		{28, "N", "retry_before_ignore", "With `ignore_errors` all attempts are made before the failure is ignored.", retryBeforeIgnore},
		{29, "C", "ignored_failure", "A failure that is ignored keeps the host in the run and notifies nobody.", ignoredFailure},
		{30, "C", "strict_values", "A boolean is true or false and nothing else, a mode begins with 0o.", strictValues},
		{31, "C, N", "sudo_of_tasks", "A task's sudo wins over its play's, and none switches it off.", sudoOfTasks},
		{32, "N", "sudo_of_whole_lines", "Under sudo every command of a command line runs as that user.", sudoOfWholeLines},
		{33, "C", "skip_if_exists", "A task of any module is skipped where the path of `skip_if_exists` is there, in check mode too.", skipIfExists},
		{34, "N", "skip_if_exists_elsewhere", "`skip_if_exists` looks at the host that the task is delegated to, for each item.", skipIfExistsElsewhere},
		{35, "C", "delegation", "Delegating to this machine takes a flag, to an unknown host fails, and to the host itself is as if it were not said.", delegation},
		{36, "C", "delegated_results", "A delegated task sees the original host's name as `delegate_host`, and what it stores belongs to that host.", delegatedResults},
		{37, "N", "delegated_files", "A delegated task works on the delegate: its files, its accounts, its system.", delegatedFiles},
	}
}

func falseConditionSkips(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars: {wanted: false}
  tasks:
  - !shell {name: cmd, cmd: "touch @HOST@/{{nothing}}", with: {condition: wanted}}
  - !file {name: prefix, path: "@HOST@/{{nothing}}", with: {condition: "(eq wanted true)"}}
  - !file {name: infix, path: "@HOST@/{{nothing}}", with: {condition: "wanted == true"}}
  - !file {name: done, path: "@HOST@/done", with: {condition: "(not wanted)"}}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "cmd h1 skipped", "prefix h1 skipped", "infix h1 skipped", "done h1 created")
}

func falseConditionOpensNothing(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- inventory/groups/web --
hosts: [h1, far]
-- inventory/host_vars/far --
jet_ssh_port: 1
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: far, cmd: "true", with: {condition: "false", delegate_to: far}}
  - !shell {name: unknown, cmd: "true", with: {condition: "false", delegate_to: nobody-knows}}
  - !shell {name: open, cmd: "true", with: {delegate_to: far}}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 1, "far h1 skipped", "unknown h1 skipped", "open h1 failed")
	r.failed(t, "open", "connection refused")
}

func undefinedInConditions(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  tasks:
  - !echo {name: bare, msg: x, with: {condition: nothing}}
  - !echo {name: dotted, msg: x, with: {condition: nothing.at.all}}
  - !echo
    name: argument
    msg: x
    with: {condition: "(eq nothing 5)"}
`)
	r := s.local(t, "p.yml")
	r.is(t, 1, "bare localhost skipped", "dotted localhost skipped", "argument localhost failed")
	r.failed(t, "argument", `p.yml:9:28: "nothing" is not defined`)
}

func callsNeedParentheses(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars: {x: 5}
  tasks:
  - !echo {msg: x, with: {condition: eq x 5}}
  - !echo {msg: x, with: {condition: x y}}
  - !assert {true: eq x 5}
`)
	s.offline(t, "p.yml").refused(t, 1,
		"p.yml:5:38: a call needs parentheses: (eq x 5)", "p.yml:6:40: ", "p.yml:7:20: a call needs parentheses")
}

func conditionAndItems(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars: {text: no list}
  tasks:
  - !echo {name: before, msg: x, with: {condition: "false", items: text}}
  - !echo {name: missing, msg: x, with: {condition: "isdefined(nothing)", items: nothing}}
  - !file
    name: each
    path: "@HOST@/{{item}}"
    with: {items: [a, b, c], condition: "(ne item 'b')"}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "before h1 skipped", "missing h1 skipped", "each h1 created")
	s.holds(t, "a", "")
	s.holds(t, "c", "")
	s.absent(t, "b")
}

func itemsByName(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars: {list: [a, b], deep: {list: [c]}, text: a, number: 5}
  tasks:
  - !echo {name: named, msg: "{{item}}", with: {items: list}}
  - !echo {name: dotted, msg: "{{item}}", with: {items: deep.list}}
  - !echo {name: text, msg: "{{item}}", with: {items: text}, and: {ignore_errors: true}}
  - !echo {name: number, msg: "{{item}}", with: {items: number}, and: {ignore_errors: true}}
  - !echo {name: missing, msg: "{{item}}", with: {items: nothing}, and: {ignore_errors: true}}
`)
	r := s.local(t, "p.yml")
	r.is(t, 0, "named localhost passive", "dotted localhost passive",
		"text localhost ignored", "number localhost ignored", "missing localhost ignored")
	r.says(t, "named", "a\nb")
	r.says(t, "dotted", "c")
	for task, reason := range map[string]string{"text": "is not a list", "number": "is not a list", "missing": "no variable"} {
		if got := r.task(t, task).Message; !strings.Contains(got, reason) {
			t.Errorf("%s says %q, want %q", task, got, reason)
		}
	}
}

func emptyItems(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars: {list: []}
  tasks:
  - !fail {name: named, with: {items: list}}
  - !fail {name: inline, with: {items: []}}
  - !echo {name: after, msg: x}
`)
	s.local(t, "p.yml").is(t, 0, "named localhost skipped", "inline localhost skipped", "after localhost passive")
}

func itemsOfAnyType(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars: {who: world}
  tasks:
  - !echo {name: scalars, msg: "{{to_json item}}", with: {items: [1, 2.5, true, text, null, "hello {{who}}"]}}
  - !echo {name: mappings, msg: "{{item.name}}={{item.port}}", with: {items: [{name: a, port: 1}, {name: "{{who}}", port: 2}]}}
`)
	r := s.local(t, "p.yml")
	r.says(t, "scalars", "1\n2.5\ntrue\n\"text\"\nnull\n\"hello world\"")
	r.says(t, "mappings", "a=1\nworld=2")
}

func itemsAreApart(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars:
    list: [{a: 1, l: [1]}, {b: 2, l: [2]}]
  tasks:
  - !echo {name: loop, msg: "{{isdefined item.a}} {{len item.l}}", with: {items: list}}
  - !echo {name: after, msg: "{{isdefined item}}"}
  - !echo {name: used, msg: "{{item}}"}
`)
	r := s.local(t, "p.yml")
	r.says(t, "loop", "true 1\nfalse 1")
	r.says(t, "after", "false")
	r.failed(t, "used", `"item" is not defined`)
}

func statusOverItems(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: mixed, path: "@HOST@/{{item}}", with: {items: [a, b, a]}}
  - !file {name: same, path: "@HOST@/{{item}}", with: {items: [a, b]}}
  - !file {name: attributes, path: "@HOST@/{{item}}", attributes: {mode: "0o600"}, with: {items: [a, a]}}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 0, "mixed h1 created", "same h1 matched", "attributes h1 modified")
	if got := r.task(t, "mixed"); !got.Changed || got.Items != 3 {
		t.Errorf("mixed: changed %t, %d items", got.Changed, got.Items)
	}
}

func retry(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: waits, cmd: "echo x >> @HOST@/waits; test -e @HOST@/second || { touch @HOST@/second; false; }", and: {retry: 2}}
  - !shell {name: fails, cmd: "echo x >> @HOST@/fails; false", and: {retry: 2, delay: 0}}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 1, "waits h1 executed", "fails h1 failed")
	s.holds(t, "waits", "x\nx\n")
	s.holds(t, "fails", "x\nx\nx\n")
	if got := r.task(t, "waits"); got.DurationMS < 1000 || got.DurationMS > 10000 || got.Attempts != 2 {
		t.Errorf("two attempts took %g ms, and are counted as %d", got.DurationMS, got.Attempts)
	}
}

func retryBeforeIgnore(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: fails, cmd: "echo x >> @HOST@/fails; false", and: {retry: 2, delay: 0, ignore_errors: true}}
  - !shell {name: mends, cmd: "echo x >> @HOST@/mends; test -e @HOST@/second || { touch @HOST@/second; false; }", and: {retry: 2, delay: 0, ignore_errors: true}}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "fails h1 ignored", "mends h1 executed")
	s.holds(t, "fails", "x\nx\nx\n")
	s.holds(t, "mends", "x\nx\n")
}

func ignoredFailure(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: fails, cmd: "exit 3", and: {ignore_errors: true, notify: n}}
  - !echo {name: undefined, msg: "{{nothing}}", and: {ignore_errors: true}}
  - !echo {name: after, msg: x}
  handlers:
  - !echo {name: handler, msg: x, with: {subscribe: n}}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "fails h1 ignored", "undefined h1 ignored", "after h1 passive")
}

func strictValues(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  tasks:
  - !file {path: /x, remove: yes}
  - !file {path: /x, remove: 1}
  - !file {path: /x, remove: True}
  - !file {path: /x, attributes: {mode: 755}}
  - !file {path: /x, attributes: {mode: "0644"}}
  - !file {path: /x, attributes: {mode: 0o888}}
-- late.yml --
- name: x
  groups: [all]
  vars: {answer: "yes"}
  tasks:
  - !file {name: t, path: /x, remove: "{{answer}}"}
`)
	s.offline(t, "p.yml").refused(t, 1, "p.yml:4:30: ", "p.yml:5:30: ", "p.yml:6:30: ",
		"p.yml:7:41: mode must be octal digits after 0o", "p.yml:8:41: ", "p.yml:9:41: ")
	s.local(t, "late.yml").failed(t, "t", "true or false")
}

func sudoOfTasks(t *testing.T, m *machine) {
	m.root(t)
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  sudo: nobody
  vars: {who: daemon}
  tasks:
  - !shell {name: play, cmd: whoami, save: r}
  - !echo {name: play-user, msg: "{{r.out}}"}
  - !shell {name: task, cmd: whoami, save: r, with: {sudo: "{{who}}"}}
  - !echo {name: task-user, msg: "{{r.out}}"}
  - !shell {name: none, cmd: whoami, save: r, with: {sudo: none}}
  - !echo {name: none-user, msg: "{{r.out}}"}
`)
	r := s.run(t, "p.yml", "--limit", "h1", "--sudo", "bin")
	r.ok(t)
	r.says(t, "play-user", "nobody")
	r.says(t, "task-user", "daemon")
	r.says(t, "none-user", "root")
}

func sudoOfWholeLines(t *testing.T, m *machine) {
	m.root(t)
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: t, cmd: "whoami; whoami && (whoami) | cat", save: r, with: {sudo: nobody}}
  - !echo {name: users, msg: "{{r.out}}"}
`)
	s.run(t, "p.yml", "--limit", "h1").says(t, "users", "nobody\nnobody\nnobody")
}

func skipIfExists(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: shell, cmd: "touch @HOST@/shell", with: &w {skip_if_exists: "@HOST@/there"}}
  - !file {name: file, path: "@HOST@/file", with: *w}
  - !copy {name: copy, src: nothing, dest: "@HOST@/copy", with: *w}
  - !directory {name: directory, path: "@HOST@/directory", with: *w}
  - !echo {name: echo, msg: "{{nothing}}", with: *w}
  - !fail {name: fail, with: *w}
  - !facts {name: facts, with: *w}
  - !set {name: set, vars: {a: 1}, with: *w}
  - !file {name: other, path: "@HOST@/other", with: {skip_if_exists: "@HOST@/not-there"}}
`)
	s.put(t, "there", "", 0o600)
	skipped := []string{
		"shell h1 skipped", "file h1 skipped", "copy h1 skipped", "directory h1 skipped", "echo h1 skipped",
		"fail h1 skipped", "facts h1 skipped", "set h1 skipped", "other h1 created",
	}
	s.run(t, "p.yml", "--limit", "h1", "--check").is(t, 0, skipped...)
	s.absent(t, "other")
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, skipped...)
}

func skipIfExistsElsewhere(t *testing.T, m *machine) {
	other := otherMachine(t, m)
	s := newSite(t, m, other.inventory+`
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: there, path: "/tmp/{{item}}-made", with: {items: [a, b], delegate_to: other, skip_if_exists: "/tmp/{{item}}"}}
  - !file {name: here, path: /tmp/here-made, with: {delegate_to: other, skip_if_exists: "@HOST@/a"}}
`)
	other.put(t, "/tmp/a", "")
	s.put(t, "a", "", 0o600)
	other.run(t, s, "p.yml", "--limit", "h1").is(t, 0, "there h1 created", "here h1 created")
	if got := other.names(t, "/tmp"); got != "a b-made here-made" {
		t.Errorf("the delegate has %s", got)
	}
}

func delegation(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- here.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: here, path: "@HOST@/here-{{me}}", with: {delegate_to: localhost}}
-- unknown.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: unknown, path: "@HOST@/unknown", with: {delegate_to: "h{{me}}"}}
-- self.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: self, path: "@HOST@/self-{{me}}", with: {delegate_to: "{{me}}"}}
  - !echo {name: host, msg: "{{isdefined delegate_host}}"}
`)
	r := s.run(t, "here.yml", "--limit", "h1")
	r.is(t, 1, "here h1 failed")
	r.failed(t, "here", "--allow-localhost-delegation")
	r = s.run(t, "here.yml", "--allow-localhost-delegation", "--limit", "h1,h2")
	r.is(t, 0, "here h1 created", "here h2 created")
	if got := r.task(t, "here").Delegate; got != "localhost" {
		t.Errorf("the result says that it ran on %q", got)
	}
	r = s.run(t, "unknown.yml", "--limit", "h1")
	r.is(t, 1, "unknown h1 failed")
	r.failed(t, "unknown", `"hh1"`)
	r = s.run(t, "self.yml", "--limit", "h1")
	r.is(t, 0, "self h1 created", "host h1 passive")
	if got := r.task(t, "self").Delegate; got != "" {
		t.Errorf("a task that was delegated to its own host ran on %q", got)
	}
	s.absent(t, "unknown")
}

func delegatedResults(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: t, cmd: "echo {{delegate_host}} {{me}}", save: r, with: {delegate_to: h3}}
  - !set {vars: {mine: "of {{me}}"}, with: {delegate_to: h3}}
- name: y
  groups: [web]
  tasks:
  - !echo {name: "see-{{me}}", msg: "{{default r.out 'nothing'}}, {{default mine 'nothing'}}"}
`)
	r := s.run(t, "p.yml", "--limit", "h1,h2")
	r.ok(t)
	said := map[string]string{}
	for _, task := range r.tasks {
		if task.Module == "echo" {
			said[task.Host] = task.Message
		}
	}
	if said["h1"] != "h1 h1, of h1" || said["h2"] != "h2 h2, of h2" {
		t.Errorf("the hosts say %q", said)
	}
}

func delegatedFiles(t *testing.T, m *machine) {
	other := otherMachine(t, m)
	s := newSite(t, m, other.inventory+`
-- files/f --
content
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !copy {src: f, dest: /srv-of-other, attributes: {owner: somebody, group: somegroup, mode: "0o640"}, with: &d {delegate_to: other}}
  - !stat {path: /srv-of-other, save: r, with: *d}
  - !echo {name: file, msg: "{{r.owner}} {{r.group}} {{r.mode}}"}
  - !facts {with: *d}
  - !echo {name: system, msg: "{{jet_os_release_id}} {{jet_os_flavor}}"}
`)
	other.put(t, "/etc/os-release", "ID=alpine\n")
	r := other.run(t, s, "p.yml", "--limit", "h1")
	r.ok(t)
	r.says(t, "file", "somebody somegroup 0o640")
	r.says(t, "system", "alpine Alpine")
	if got := other.file(t, "/srv-of-other"); got != "content\n" {
		t.Errorf("the delegate has %q", got)
	}
}
