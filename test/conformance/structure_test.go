package conformance

import (
	"strings"
	"testing"
)

func structureLines() []line {
	return []line{
		{1, "C", "playbook_is_a_list", "A playbook that is no list of plays is refused, with file and line.", playbookIsAList},
		{2, "C", "unknown_keys", "A key that nothing knows is refused and named: in plays, tasks, `with`, `and`, `attributes`, role files and role invocations.", unknownKeys},
		{3, "C", "play_needs_groups_and_name", "A play must have a name and groups.", playNeedsGroupsAndName},
		{4, "C", "tasks_have_a_tag", "A task is a module's tag with its parameters: a module as a key, or in capitals, is refused; a tag alone is a task without parameters.", tasksHaveATag},
		{5, "C", "empty_playbook", "An empty file is a playbook without plays, and succeeds.", emptyPlaybook},
		{6, "C", "duplicate_keys", "A key that is given twice and a file of several documents are refused.", duplicateKeys},
		{7, "C", "order_in_a_play", "Roles come before the play's own tasks, handlers after all tasks, and those of roles before the play's.", orderInAPlay},
		{8, "C", "order_of_plays", "Plays and playbooks run in the order given; what tasks stored and found out stays for later ones.", orderOfPlays},
		{9, "N", "everything_is_parsed_first", "Every playbook, role, task file and handler file is read before the first task runs.", everythingIsParsedFirst},
		{10, "C", "where_roles_are", "Roles are looked for in `--roles`, then in `JET_ROLES_PATH`, then beside the playbook; the first that is found is taken.", whereRolesAre},
		{11, "C", "missing_parts", "A role, file of variables or group that does not exist ends the run with exit code 1.", missingParts},
		{12, "C", "variables_of_roles", "Variables of a role's invocation win over the play's, inside of the role alone; a role's defaults win over the play's.", variablesOfRoles},
		{13, "N", "roles_are_apart", "A role sees neither the defaults nor the variables of the role before it.", rolesAreApart},
		{14, "C", "relative_sources", "A relative `src` is in `files/` or `templates/` of the role, and of the playbook outside of roles.", relativeSources},
		{15, "C", "files_of_variables", "`vars_files` win over `vars`, and both over the inventory and facts.", filesOfVariables},
		{16, "N", "ssh_settings_of_a_play", "`ssh_user` and `ssh_port` of a play hold for that play.", sshSettingsOfAPlay},
	}
}

func playbookIsAList(t *testing.T, m *machine) {
	s := newSite(t, m, "-- p.yml --\n\nname: x\ngroups: [all]\n")
	s.offline(t, "p.yml").refused(t, 1, "p.yml:2:1: a playbook is a list of plays")
}

func unknownKeys(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  playkey: 1
  roles:
  - role: r
    invocationkey: 1
  tasks:
  - !echo
    msg: x
    taskkey: 1
  - !echo
    msg: x
    with: {withkey: 1}
    and: {andkey: 1}
  - !file
    path: /x
    attributes: {attrkey: 1}
-- roles/r/role.yml --
name: r
rolekey: 1
`)
	s.offline(t, "p.yml").refused(t, 1,
		`p.yml:3:3: unknown key "playkey"`, `p.yml:6:5: unknown key "invocationkey"`, `p.yml:10:5: unknown key "taskkey"`,
		`p.yml:13:12: unknown key "withkey"`, `p.yml:14:11: unknown key "andkey"`, `p.yml:17:18: unknown key "attrkey"`,
		`role.yml:2:1: unknown key "rolekey"`)
}

func playNeedsGroupsAndName(t *testing.T, m *machine) {
	s := newSite(t, m, "-- p.yml --\n- name: x\n- groups: [all]\n- name: y\n  groups: web\n")
	s.offline(t, "p.yml").refused(t, 1, "p.yml:1:3: ", "groups", "p.yml:2:3: ", "name", "p.yml:4:11: ")
}

func tasksHaveATag(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- bad.yml --
- name: x
  groups: [all]
  tasks:
  - shell: {cmd: "true"}
  - !Shell
    cmd: "true"
-- good.yml --
- name: x
  groups: [all]
  tasks:
  - !facts
`)
	s.offline(t, "bad.yml").refused(t, 1, "bad.yml:4:5: ", `"- !shell"`, `bad.yml:5:5: unknown module "Shell"`)
	s.run(t, "good.yml").is(t, 0, "facts h1 passive", "facts h2 passive", "facts h3 passive")
}

func emptyPlaybook(t *testing.T, m *machine) {
	s := newSite(t, m, "-- p.yml --\n# nothing\n")
	s.offline(t, "p.yml").is(t, 0)
}

func duplicateKeys(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- twice.yml --
- name: x
  groups: [all]
  name: y
-- two.yml --
- name: x
  groups: [all]
---
- name: y
  groups: [all]
`)
	s.offline(t, "twice.yml").refused(t, 1, `twice.yml:3:3: duplicate key "name"`)
	s.offline(t, "two.yml").refused(t, 1, "two.yml:3")
}

const changeAndNotify = "cmd: \"true\"\n    and: {notify: changed}"

func orderInAPlay(t *testing.T, m *machine) {
	s := newSite(t, m, strings.ReplaceAll(`
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell
    name: loose
    CHANGE
  handlers:
  - !echo
    name: loose-handler
    msg: x
    with: {subscribe: changed}
  roles:
  - role: one
  - role: two
-- roles/one/role.yml --
name: one
tasks: [b.yml, a.yml]
handlers: [h.yml]
-- roles/one/tasks/a.yml --
- !echo {name: one-a, msg: x}
-- roles/one/tasks/b.yml --
- !echo {name: one-b, msg: x}
-- roles/one/handlers/h.yml --
- !echo
  name: one-handler
  msg: x
  with: {subscribe: changed}
-- roles/two/role.yml --
name: two
tasks: [a.yml]
-- roles/two/tasks/a.yml --
- !echo {name: two-a, msg: x}
`, "CHANGE", changeAndNotify))
	r := s.run(t, "p.yml")
	r.ok(t)
	r.ordered(t, "one-b one-a two-a loose one-handler loose-handler")
}

func orderOfPlays(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- a.yml --
- name: a1
  groups: [web]
  tasks:
  - !shell {name: first, cmd: "echo out-{{me}}", save: stored}
  - !facts {name: facts}
- name: a2
  groups: [web]
  tasks:
  - !echo {name: second, msg: "{{stored.out}} {{jet_os_type}}"}
-- b.yml --
- name: b1
  groups: [web]
  tasks:
  - !echo {name: third, msg: "{{stored.out}} {{jet_os_type}}"}
`)
	r := s.run(t, "a.yml b.yml", "--limit", "h2")
	r.is(t, 0, "first h2 executed", "facts h2 passive", "second h2 passive", "third h2 passive")
	r.ordered(t, "first facts second third")
	r.says(t, "second", "out-h2 Linux")
	r.says(t, "third", "out-h2 Linux")
}

func everythingIsParsedFirst(t *testing.T, m *machine) {
	const first = "- name: x\n  groups: [web]\n  tasks:\n  - !file {path: \"@HOST@/ran\"}\n"
	s := newSite(t, m, `
-- play.yml --
`+first+`- name: y
  groups: [web]
  tasks:
  - !nonsense
-- good.yml --
`+first+`-- bad.yml --
- nonsense
-- role.yml --
`+first+`- name: y
  groups: [web]
  roles:
  - role: r
-- roles/r/role.yml --
name: r
tasks: [t.yml]
handlers: [h.yml]
-- roles/r/tasks/t.yml --
- !echo {msg: "{{#if}}"}
-- roles/r/handlers/h.yml --
- !echo {msg: x, with: {subscribe: a, condition: "eq x 5"}}
`)
	s.run(t, "play.yml").refused(t, 1, `play.yml:8:5: unknown module "nonsense"`)
	s.run(t, "good.yml bad.yml").refused(t, 1, "bad.yml:1:3: ")
	s.run(t, "role.yml").refused(t, 1, "t.yml:1:", "h.yml:1:")
	s.absent(t, "ran")
}

func whereRolesAre(t *testing.T, m *machine) {
	const role = "name: r\ntasks: [t.yml]\n"
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  roles:
  - role: r
-- one/r/role.yml --
`+role+`-- one/r/tasks/t.yml --
- !echo {name: t, msg: one}
-- two/r/role.yml --
`+role+`-- two/r/tasks/t.yml --
- !echo {name: t, msg: two}
-- three/r/role.yml --
`+role+`-- three/r/tasks/t.yml --
- !echo {name: t, msg: three}
-- roles/r/role.yml --
`+role+`-- roles/r/tasks/t.yml --
- !echo {name: t, msg: beside}
`)
	s.local(t, "p.yml").says(t, "t", "beside")
	s.env = []string{"JET_ROLES_PATH=" + s.dir + "/nothing:" + s.dir + "/three:" + s.dir + "/two"}
	s.local(t, "p.yml").says(t, "t", "three")
	s.local(t, "p.yml", "--roles", s.dir+"/one", "--roles", s.dir+"/two").says(t, "t", "one")
}

func missingParts(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- role.yml --
- name: x
  groups: [web]
  roles:
  - role: nothing
-- vars.yml --
- name: x
  groups: [web]
  vars_files: [nothing.yml]
-- group.yml --
- name: x
  groups: [wep]
`)
	s.offline(t, "role.yml").refused(t, 1, `role.yml:4:11: there is no role "nothing"`)
	s.offline(t, "vars.yml").refused(t, 1, "vars.yml:3:16: ", "nothing.yml")
	s.offline(t, "group.yml").refused(t, 1, `group.yml:2:12: unknown group "wep"; did you mean "web"?`)
}

func variablesOfRoles(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  defaults: {d: play, e: play}
  vars: {v: play}
  roles:
  - role: r
    vars: {v: role}
  tasks:
  - !echo {name: outside, msg: "{{d}} {{e}} {{v}}"}
-- roles/r/role.yml --
name: r
defaults: {d: role}
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !echo {name: inside, msg: "{{d}} {{e}} {{v}}"}
`)
	r := s.local(t, "p.yml")
	r.says(t, "inside", "role play role")
	r.says(t, "outside", "play play play")
}

func rolesAreApart(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  roles:
  - role: one
    vars: {v: one}
  - role: two
-- roles/one/role.yml --
name: one
defaults: {d: one}
-- roles/two/role.yml --
name: two
tasks: [t.yml]
-- roles/two/tasks/t.yml --
- !echo {name: t, msg: "{{isdefined d}} {{isdefined v}}"}
`)
	s.local(t, "p.yml").says(t, "t", "false false")
}

func relativeSources(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- play/p.yml --
- name: x
  groups: [web]
  roles:
  - role: r
  tasks:
  - !copy {src: f, dest: "@HOST@/play-file"}
  - !template {src: t, dest: "@HOST@/play-template"}
  - !copy {src: "@SITE@/play/files/f", dest: "@HOST@/absolute"}
-- play/files/f --
file of the play
-- play/templates/t --
template of the play: {{me}}
-- play/roles/r/role.yml --
name: r
tasks: [t.yml]
-- play/roles/r/tasks/t.yml --
- !copy {src: f, dest: "@HOST@/role-file"}
- !template {src: t, dest: "@HOST@/role-template"}
-- play/roles/r/files/f --
file of the role
-- play/roles/r/templates/t --
template of the role: {{me}}
`)
	s.run(t, "play/p.yml", "--limit", "h1").ok(t)
	s.holds(t, "play-file", "file of the play\n")
	s.holds(t, "play-template", "template of the play: h1\n")
	s.holds(t, "absolute", "file of the play\n")
	s.holds(t, "role-file", "file of the role\n")
	s.holds(t, "role-template", "template of the role: h1\n")
}

func filesOfVariables(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: facts
  groups: [web]
  tasks:
  - !facts
- name: x
  groups: [web]
  vars: {a: vars, me: vars, jet_os_type: vars}
  vars_files: [one.yml, more/two.yml]
  tasks:
  - !echo {name: t, msg: "{{a}} {{b}} {{me}} {{jet_os_type}} {{jet_arch}}"}
-- one.yml --
a: one
b: one
jet_arch: one
-- more/two.yml --
b: two
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.ok(t)
	r.says(t, "t", "one two vars vars one")
}

func sshSettingsOfAPlay(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- inventory/groups/one --
hosts: [h1]
-- inventory/groups/two --
hosts: [h2]
-- p.yml --
- name: elsewhere
  groups: [one]
  ssh_port: 1
  ssh_user: nobody-of-this-name
  tasks:
  - !shell {name: first, cmd: "true"}
- name: here
  groups: [two]
  tasks:
  - !shell {name: second, cmd: "true"}
`)
	s.run(t, "p.yml").is(t, 1, "first h1 unreachable", "second h2 executed")
}
