package conformance

import "testing"

func handlerLines() []line {
	return []line{
		{38, "C", "what_notifies", "Created, modified, removed and executed notify; matched, passive and skipped do not.", whatNotifies},
		{39, "C", "handlers_run_once", "A handler runs once a host, however often it was notified; several may wait for one event.", handlersRunOnce},
		{40, "C", "notifications_stay", "A notification reaches no other play and no other host.", notificationsStay},
		{41, "N", "subscribe_is_for_handlers", "A handler without `subscribe`, and a task with it, are refused when the file is read.", subscribeIsForHandlers},
		{42, "N", "handlers_at_rest", "A handler that nobody notified is not looked at: what it lacks does not matter.", handlersAtRest},
		{43, "C", "tags", "`--tags x` runs the tasks that are tagged x, or are in a role whose invocation is.", tags},
		{44, "N", "handlers_under_tags", "Handlers that were notified run under `--tags`, tagged or not.", handlersUnderTags},
		{45, "C", "names_of_events", "`notify` is a template, `subscribe` is taken as it is written.", namesOfEvents},
	}
}

func whatNotifies(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: t1, path: "@HOST@/a", and: {notify: created}}
  - !file {name: t2, path: "@HOST@/a", and: {notify: matched}}
  - !file {name: t3, path: "@HOST@/a", attributes: {mode: "0o600"}, and: {notify: modified}}
  - !file {name: t4, path: "@HOST@/a", remove: true, and: {notify: removed}}
  - !shell {name: t5, cmd: "true", and: {notify: executed}}
  - !shell {name: t6, cmd: "true", changed_when: "false", and: {notify: passive}}
  - !shell {name: t7, cmd: "true", with: {condition: "false"}, and: {notify: skipped}}
  handlers:
  - !echo {name: created, msg: x, with: {subscribe: created}}
  - !echo {name: matched, msg: x, with: {subscribe: matched}}
  - !echo {name: modified, msg: x, with: {subscribe: modified}}
  - !echo {name: removed, msg: x, with: {subscribe: removed}}
  - !echo {name: executed, msg: x, with: {subscribe: executed}}
  - !echo {name: passive, msg: x, with: {subscribe: passive}}
  - !echo {name: skipped, msg: x, with: {subscribe: skipped}}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	r.is(t, 0, "t1 h1 created", "t2 h1 matched", "t3 h1 modified", "t4 h1 removed", "t5 h1 executed",
		"t6 h1 passive", "t7 h1 skipped",
		"created h1 passive", "modified h1 passive", "removed h1 passive", "executed h1 passive")
	if !r.task(t, "created").Handler || r.task(t, "t1").Handler {
		t.Error("handlers and tasks are not told apart")
	}
}

func handlersRunOnce(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: "t", cmd: "true", with: {items: [1, 2, 3, 4]}, and: {notify: n}}
  - !shell {name: "t", cmd: "true", and: {notify: n}}
  handlers:
  - !shell {name: one, cmd: "echo {{me}} >> @HOST@/{{me}}", with: {subscribe: n}}
  - !echo {name: two, msg: x, with: {subscribe: n}}
`)
	s.run(t, "p.yml", "--limit", "h1,h2").is(t, 0,
		"t h1 executed", "t h1 executed", "one h1 executed", "two h1 passive",
		"t h2 executed", "t h2 executed", "one h2 executed", "two h2 passive")
	s.holds(t, "h1", "h1\n")
	s.holds(t, "h2", "h2\n")
}

func notificationsStay(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: one
  groups: [web]
  tasks:
  - !shell {name: t, cmd: "true", with: {condition: "(eq me 'h1')"}, and: {notify: n}}
  handlers:
  - !echo {name: first, msg: x, with: {subscribe: n}}
- name: two
  groups: [web]
  tasks:
  - !echo {name: u, msg: x}
  handlers:
  - !echo {name: second, msg: x, with: {subscribe: n}}
`)
	s.run(t, "p.yml", "--limit", "h1,h2").is(t, 0,
		"t h1 executed", "t h2 skipped", "first h1 passive", "u h1 passive", "u h2 passive")
}

func subscribeIsForHandlers(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  tasks:
  - !echo {msg: x, with: {subscribe: n}}
  handlers:
  - !echo {msg: x, with: {condition: "true"}}
  - !echo {msg: x}
`)
	s.offline(t, "p.yml").refused(t, 1, "p.yml:4:38: subscribe is for handlers",
		"p.yml:6:5: a handler needs subscribe", "p.yml:7:5: a handler needs subscribe")
}

func handlersAtRest(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  tasks:
  - !echo {name: t, msg: x, and: {notify: n}}
  handlers:
  - !echo {name: h, msg: "{{nothing}}", with: {subscribe: n, condition: "(eq nothing 1)", items: nothing}}
`)
	s.local(t, "p.yml").is(t, 0, "t localhost passive")
}

const tagged = `
-- p.yml --
- name: x
  groups: [web]
  roles:
  - role: r
    tags: [x]
  - role: s
  tasks:
  - !echo {name: one, msg: x, with: {tags: [x]}}
  - !echo {name: two, msg: x, with: {tags: [y, z]}}
  - !echo {name: bare, msg: x}
  - !shell {name: change, cmd: "true", with: {tags: [change]}, and: {notify: n}}
  handlers:
  - !echo {name: handler, msg: x, with: {subscribe: n}}
-- roles/r/role.yml --
name: r
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !echo {name: in-r, msg: x}
-- roles/s/role.yml --
name: s
tasks: [t.yml]
-- roles/s/tasks/t.yml --
- !echo {name: in-s, msg: x}
- !echo {name: in-s-x, msg: x, with: {tags: [x]}}
`

func tags(t *testing.T, m *machine) {
	s := newSite(t, m, tagged)
	s.run(t, "p.yml", "--limit", "h1", "--tags", "x").is(t, 0, "in-r h1 passive", "in-s-x h1 passive", "one h1 passive")
	s.run(t, "p.yml", "--limit", "h1", "--tags", "x,z").is(t, 0,
		"in-r h1 passive", "in-s-x h1 passive", "one h1 passive", "two h1 passive")
	s.run(t, "p.yml", "--limit", "h1", "--tags", "z", "--tags", "y").is(t, 0, "two h1 passive")
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "in-r h1 passive", "in-s h1 passive", "in-s-x h1 passive",
		"one h1 passive", "two h1 passive", "bare h1 passive", "change h1 executed", "handler h1 passive")
}

func handlersUnderTags(t *testing.T, m *machine) {
	s := newSite(t, m, tagged)
	s.run(t, "p.yml", "--limit", "h1", "--tags", "change").is(t, 0, "change h1 executed", "handler h1 passive")
}

func namesOfEvents(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [web]
  vars: {app: web}
  tasks:
  - !shell {name: t, cmd: "true", and: {notify: "restart {{app}}"}}
  handlers:
  - !echo {name: written, msg: x, with: {subscribe: "restart web"}}
  - !echo {name: template, msg: x, with: {subscribe: "restart {{app}}"}}
`)
	s.run(t, "p.yml", "--limit", "h1").is(t, 0, "t h1 executed", "written h1 passive")
}
