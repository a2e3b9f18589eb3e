package conformance

import (
	"os"
	"os/user"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

func moduleLines() []line {
	return []line{
		{46, "C", "shell_results", "shell stores `rc` as a number and `out` as text, and fails where the exit status is not 0.", shellResults},
		{47, "C", "shell_verdicts", "`failed_when` and `changed_when` see `rc` and `out`; `changed_when: false` notifies nobody.", shellVerdicts},
		{48, "N", "whole_output", "Standard output and standard error are whole, over SSH and on this machine, of several commands and of loops.", wholeOutput},
		{49, "N", "values_verbatim", "Quotes, line ends, `$`, `=` and `?` in parameters arrive as they are, and run nothing.", valuesVerbatim},
		{50, "C", "file_contents", "copy and template create what is absent, match what is the same, and modify the Content of what is not.", fileContents},
		{51, "N", "attributes_are_kept", "A file that is written again keeps its owner, group and mode.", attributesAreKept},
		{52, "N", "modes_are_numbers", "0o0755 and 0o755 are the same mode.", modesAreNumbers},
		{53, "C", "copy_refuses", "copy fails where the destination is a directory, and where the source is missing.", copyRefuses},
		{54, "N", "empty_template", "An empty template makes an empty file.", emptyTemplate},
		{55, "C", "environment_in_templates", "Only the template module sees the `ENV_` variables.", environmentInTemplates},
		{56, "C", "files_and_directories", "file makes and changes files and refuses directories, directory refuses files; what is absent is removed already.", filesAndDirectories},
		{57, "C", "removing_directories", "A directory that is not empty is removed with `recurse` alone; `/` never is.", removingDirectories},
		{58, "N", "recursive_attributes", "Attributes for a whole tree match where nothing differs.", recursiveAttributes},
		{59, "C", "stat_results", "stat stores exists, is_dir, mode, owner and group, in check mode too.", statResults},
		{60, "C", "set_variables", "set renders texts; what it stores loses against the play's `vars`.", setVariables},
		{61, "C", "assert_and_friends", "assert fails with its msg where a clause does not hold, fail always fails, echo and debug never change anything.", assertAndFriends},
	}
}

func shellResults(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: fails, cmd: "echo out; exit 3", save: r, and: {ignore_errors: true}}
  - !assert {all_true: [(eq r.rc 3), "(eq r.out 'out')"]}
  - !shell {name: last, cmd: "exit 4"}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 1, "fails h1 ignored", "assert h1 passive", "last h1 failed")
	if c := r.task(t, "last").Command; c == nil || c.RC != 4 {
		t.Errorf("the result has the command %+v", c)
	}
}

func shellVerdicts(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars: {limit: 2}
  tasks:
  - !shell {name: fine, cmd: "exit 2", failed_when: "(gt rc limit)"}
  - !shell {name: passive, cmd: "echo same", changed_when: "(ne out 'same')", and: {notify: n}}
  - !shell {name: changed, cmd: "echo other", changed_when: "out != 'same'"}
  - !shell {name: never, cmd: "true", changed_when: "false", and: {notify: n}}
  - !shell {name: bad, cmd: "echo ERROR", failed_when: "out contains 'ERROR'"}
  handlers:
  - !fail {with: {subscribe: n}}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 1,
		"fine h1 executed", "passive h1 passive", "changed h1 executed", "never h1 passive", "bad h1 failed")
}

func wholeOutput(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  tasks:
  - !shell {name: list, cmd: "echo o1; echo e1 >&2; echo o2; echo e2 >&2; exit 1", and: {ignore_errors: true}}
  - !shell {name: loop, cmd: "for i in 1 2; do echo o$i; echo e$i >&2; done; exit 1", and: {ignore_errors: true}}
  - !shell {name: subshell, cmd: "( echo ' o1'; echo 'e1 ' >&2 ); { echo o2; echo e2 >&2; }; if true; then exit 1; fi"}
`)
	for how, r := range map[string]result{"ssh": s.run(t, "p.yml", "--limit", "h1"), "local": s.local(t, "p.yml")} {
		for task, want := range map[string][2]string{
			"list": {"o1\no2\n", "e1\ne2\n"}, "loop": {"o1\no2\n", "e1\ne2\n"}, "subshell": {" o1\no2\n", "e1 \ne2\n"},
		} {
			if c := r.task(t, task).Command; c == nil || c.Stdout != want[0] || c.Stderr != want[1] {
				t.Errorf("%s: %s left %+v behind, want %q", how, task, c, want)
			}
		}
	}
}

func valuesVerbatim(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars:
    evil: "a'b\"c\n$(touch @HOST@/ran)`+"`touch @HOST@/ran`"+`;touch @HOST@/ran #=?*&|<>()[]{}\\%!~"
  tasks:
  - !copy {content: "{{evil}}", dest: "@HOST@/dir/content"}
  - !file {path: "@HOST@/dir/{{replace evil '/' '_'}}"}
  - !directory {path: "@HOST@/dir/d{{replace evil '/' '_'}}"}
  - !stat {path: "@HOST@/dir/{{replace evil '/' '_'}}", save: r}
  - !shell {cmd: "printf %s {{quote evil}} > @HOST@/dir/quoted"}
  - !file {name: remove, path: "@HOST@/dir/{{replace evil '/' '_'}}", remove: true}
`)
	must(t, os.Mkdir(s.path("dir"), 0o755))
	s.run(t, "p.yml", "--limit", "h1", "--check").ok(t)
	s.absent(t, "ran")
	r := s.run(t, "p.yml", "--limit", "h1")
	r.ok(t)
	s.absent(t, "ran")
	if got := r.task(t, "remove").Status; got != "removed" {
		t.Errorf("the file with the odd name was %s", got)
	}
	evil := "a'b\"c\n$(touch " + s.host + "/ran)`touch " + s.host + "/ran`;touch " + s.host + "/ran #=?*&|<>()[]{}\\%!~"
	s.holds(t, "dir/content", evil)
	s.holds(t, "dir/quoted", evil)
	list, err := os.ReadDir(s.path("dir"))
	must(t, err)
	if len(list) != 3 || list[1].Name() != "d"+strings.ReplaceAll(evil, "/", "_") {
		t.Errorf("the directory holds %v", list)
	}
}

func fileContents(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- files/f --
one
-- templates/t --
{{v}} for {{me}}
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !copy {name: copy, src: f, dest: "@HOST@/copy"}
  - !template {name: template, src: t, dest: "@HOST@/template"}
`)
	run := func(version string) result {
		return s.run(t, "p.yml", "--limit", "h1", "-e", `{"v": "`+version+`"}`)
	}
	run("1").is(t, 0, "copy h1 created", "template h1 created")
	s.holds(t, "copy", "one\n")
	s.holds(t, "template", "1 for h1\n")
	run("1").is(t, 0, "copy h1 matched", "template h1 matched")
	s.write(t, "-- files/f --\ntwo\n")
	r := run("2")
	r.is(t, 0, "copy h1 modified", "template h1 modified")
	if f := r.task(t, "copy").Fields; len(f) != 1 || f[0] != "Content" {
		t.Errorf("copy modified %q", f)
	}
	s.holds(t, "copy", "two\n")
	s.holds(t, "template", "2 for h1\n")
}

func attributesAreKept(t *testing.T, m *machine) {
	m.root(t)
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !copy {name: write, content: new, dest: "@HOST@/f"}
  - !stat {path: "@HOST@/f", save: r}
  - !echo {name: attributes, msg: "{{r.owner}} {{r.group}} {{r.mode}}"}
`)
	s.put(t, "f", "old", 0o640)
	must(t, os.Chown(s.path("f"), 1, 2))
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 0, "write h1 modified", "stat h1 passive", "attributes h1 passive")
	r.says(t, "attributes", "daemon bin 0o640")
	s.holds(t, "f", "new")
}

func modesAreNumbers(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: t, path: "@HOST@/f", attributes: {mode: 0o0755}}
  - !file {name: u, path: "@HOST@/f", attributes: {mode: 0o755}}
  - !file {name: v, path: "@HOST@/f", attributes: {mode: 0o4755}}
`)
	s.put(t, "f", "", 0o755)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "t h1 matched", "u h1 matched", "v h1 modified")
}

func copyRefuses(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- files/f --
x
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !copy {name: directory, src: f, dest: "@HOST@", and: {ignore_errors: true}}
  - !copy {name: missing, src: nothing, dest: "@HOST@/f", and: {ignore_errors: true}}
  - !copy {name: parent, src: f, dest: "@HOST@/no/such/f", and: {ignore_errors: true}}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "directory h1 ignored", "missing h1 ignored", "parent h1 ignored")
	s.absent(t, "f", "no")
}

func emptyTemplate(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- templates/empty --
-- templates/to-nothing --
{{#if wanted}}
x
{{/if}}
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !template {name: empty, src: empty, dest: "@HOST@/empty"}
  - !template {name: to-nothing, src: to-nothing, dest: "@HOST@/to-nothing"}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "empty h1 created", "to-nothing h1 created")
	s.holds(t, "empty", "")
	s.holds(t, "to-nothing", "")
}

func environmentInTemplates(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- templates/t --
{{ENV_SITE_NAME}} {{isdefined ENV_OLDPWD}}
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !template {name: template, src: t, dest: "@HOST@/f"}
  - !echo {name: echo, msg: "{{ENV_SITE_NAME}}"}
`)
	s.env = []string{"SITE_NAME=of the runner", "OLDPWD=/"}
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 1, "template h1 created", "echo h1 failed")
	r.failed(t, "echo", `"ENV_SITE_NAME" is not defined`)
	s.holds(t, "f", "of the runner false\n")
}

func filesAndDirectories(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: touch, path: "@HOST@/f"}
  - !file {name: again, path: "@HOST@/f"}
  - !directory {name: mkdir, path: "@HOST@/a/b/c", attributes: {mode: 0o700}}
  - !directory {name: mkdir-again, path: "@HOST@/a/b/c", attributes: {mode: 0o700}}
  - !file {name: file-is-directory, path: "@HOST@/a", and: {ignore_errors: true}}
  - !file {name: file-is-directory, path: "@HOST@/a", remove: true, and: {ignore_errors: true}}
  - !directory {name: directory-is-file, path: "@HOST@/f", and: {ignore_errors: true}}
  - !file {name: gone, path: "@HOST@/nothing", remove: true}
  - !directory {name: gone, path: "@HOST@/nothing", remove: true}
`)
	s.put(t, "kept", "content", 0o600)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0,
		"touch h1 created", "again h1 matched", "mkdir h1 created", "mkdir-again h1 matched",
		"file-is-directory h1 ignored", "file-is-directory h1 ignored", "directory-is-file h1 ignored",
		"gone h1 matched", "gone h1 matched")
	s.holds(t, "f", "")
}

func removingDirectories(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !directory {name: full, path: "@HOST@/full", remove: true, and: {ignore_errors: true}}
  - !directory {name: recurse, path: "@HOST@/full", remove: true, recurse: true}
  - !directory {name: empty, path: "@HOST@/empty", remove: true}
-- root.yml --
- name: x
  groups: [web]
  tasks:
  - !directory {name: root, path: /, remove: true, recurse: true}
-- late.yml --
- name: x
  groups: [web]
  vars: {where: "/../."}
  tasks:
  - !directory {name: root, path: "{{where}}", remove: true, recurse: true}
`)
	s.put(t, "full/sub/f", "", 0o600)
	must(t, os.Mkdir(s.path("empty"), 0o755))
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "full h1 ignored", "recurse h1 removed", "empty h1 removed")
	s.absent(t, "full", "empty")
	s.offline(t, "root.yml").refused(t, 1, "refused for /")
	s.run(t, "late.yml", "--limit", "h1", "--check").failed(t, "root", "refused for /")
}

func recursiveAttributes(t *testing.T, m *machine) {
	m.root(t)
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !directory {name: t, path: "@HOST@/tree", recurse: true, attributes: {owner: daemon, group: "2", mode: 0o750}}
  - !directory {name: again, path: "@HOST@/tree", recurse: true, attributes: {owner: "1", group: bin, mode: 0o0750}}
  - !stat {path: "@HOST@/tree/sub/f", save: r}
  - !echo {name: attributes, msg: "{{r.owner}} {{r.group}} {{r.mode}}"}
`)
	s.put(t, "tree/sub/f", "", 0o600)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 0, "t h1 modified", "again h1 matched", "stat h1 passive", "attributes h1 passive")
	r.says(t, "attributes", "daemon bin 0o750")
}

func statResults(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !stat {path: "@HOST@/f", save: f}
  - !stat {path: "@HOST@", save: d}
  - !stat {path: "@HOST@/nothing", save: n}
  - !echo {name: file, msg: "{{f.exists}} {{f.is_dir}} {{f.mode}} {{f.owner}} {{f.group}}"}
  - !echo {name: directory, msg: "{{d.exists}} {{d.is_dir}} {{d.mode}}"}
  - !echo {name: nothing, msg: "{{n.exists}} {{n.is_dir}} {{to_json n.mode}} {{to_json n.owner}}"}
`)
	s.put(t, "f", "", 0o644)
	me, err := user.Current()
	must(t, err)
	group, err := user.LookupGroupId(me.Gid)
	must(t, err)
	r := s.run(t, "p.yml", "--limit", "h1", "--check")
	r.ok(t)
	r.says(t, "file", "true false 0o644 "+me.Username+" "+group.Name)
	r.says(t, "directory", "true true 0o755")
	r.says(t, "nothing", "false false null null")
}

func setVariables(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars: {name: world, mine: play}
  tasks:
  - !set {vars: {greeting: "hello {{name}}", number: 5, list: [1, 2], mine: set, me: replaced}}
  - !echo {name: t, msg: "{{greeting}} {{number}} {{to_json list}} {{mine}} {{me}}"}
`)
	s.run(t, "p.yml", "--limit", "h1", "--check").says(t, "t", "hello world 5 [1,2] play replaced")
}

func assertAndFriends(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars: {a: 1, b: 2}
  tasks:
  - !assert {name: holds, msg: no, true: (eq a 1), false: (eq a 2), all_true: [a == 1, b == 2], all_false: [a == b], some_true: [a == 5, a == 1]}
  - !assert {name: true, msg: broken, true: (eq a 2), and: &i {ignore_errors: true}}
  - !assert {name: false, msg: broken, false: (eq a 1), and: *i}
  - !assert {name: all_true, msg: broken, all_true: [a == 1, a == 2], and: *i}
  - !assert {name: all_false, msg: broken, all_false: [a == 2, a == 1], and: *i}
  - !assert {name: some_true, msg: broken, some_true: [a == 2, a == 3], and: *i}
  - !assert {name: none, msg: broken, some_true: [], and: *i}
  - !assert {name: empty, all_true: [], all_false: []}
  - !fail {name: fail, msg: on purpose, and: *i}
  - !echo {name: echo, msg: "a is {{a}}"}
  - !debug {name: debug, vars: [a, b]}
  - !fail {name: last}
`)
	r := s.local(t, "p.yml")
	r.is(t, 1, "holds localhost passive", "true localhost ignored", "false localhost ignored", "all_true localhost ignored",
		"all_false localhost ignored", "some_true localhost ignored", "none localhost ignored", "empty localhost passive",
		"fail localhost ignored", "echo localhost passive", "debug localhost passive", "last localhost failed")
	for task := range strings.FieldsSeq("true false all_true all_false some_true none") {
		if got := r.task(t, task).Message; !strings.Contains(got, "broken") {
			t.Errorf("%s says %q, without its msg", task, got)
		}
	}
	if got := r.task(t, "fail").Message; !strings.Contains(got, "on purpose") {
		t.Errorf("fail says %q", got)
	}
	r.says(t, "echo", "a is 1")
	r.says(t, "debug", "a: 1\nb: 2")
}

// needs says that a line needs programs on this machine.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := lookPath(name); err != nil {
			conntest.Missing(t, name+" is needed: "+err.Error())
		}
	}
}
