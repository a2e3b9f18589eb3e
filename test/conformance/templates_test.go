package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/inventory"
)

func templateLines() []line {
	return []line{
		{74, "C", "no_escaping", "Nothing is escaped for HTML; a variable that does not exist is an error that names it.", noEscaping},
		{75, "C", "loops_and_lookups", "`#each` over lists and mappings with `@index`, `@key`, `@first`, `@last` and `../`; `this`, `lookup`, `len`.", loopsAndLookups},
		{76, "C, N", "comparing", "`eq` minds the type; `gt` and its like take decimals, `and` and `or` any number of arguments, and there is `else if`.", comparing},
		{77, "C", "printing", "Lists print as `[a, b, ]`, mappings as `[object]`, a float keeps its point.", printing},
		{78, "C", "precedence", "Variables win from play defaults over role defaults, groups, hosts, what was stored, facts, play vars, files of variables and role variables to those of the command line; `ENV_` beats all in templates.", precedence},
		{79, "N", "groups_in_order", "A subgroup wins over the group it is in, every time.", groupsInOrder},
		{80, "C", "blending", "Mappings merge at every depth, lists are appended.", blending},
		{81, "C", "plain_scalars", "`yes`, `0755` and dates are text; `0o755` is the number 493.", plainScalars},
		{82, "N", "places_in_templates", "A fault in a template names the file or parameter, the line and the column.", placesInTemplates},
		{83, "N", "flavors", "`jet_os_flavor` is right on Debian, Ubuntu, Fedora, RHEL, Alpine, SUSE and Arch.", flavors},
	}
}

// render renders a template file on a host and returns what it came to.
func render(t *testing.T, m *machine, vars, text string) string {
	t.Helper()
	s := newSite(t, m, "-- templates/t --\n"+text+"\n-- vars.yml --\n"+vars+`
-- p.yml --
- name: x
  groups: [web]
  vars_files: [vars.yml]
  tasks:
  - !template {src: t, dest: "@HOST@/f"}
`)
	s.run(t, "p.yml", "--limit", "h1").ok(t)
	return s.file(t, "f")
}

// rendered compares lines of a template with what they come to: "template → text".
func rendered(t *testing.T, m *machine, vars string, lines ...string) {
	t.Helper()
	var text, want []string
	for _, line := range lines {
		from, to, _ := strings.Cut(line, " → ")
		text, want = append(text, from), append(want, to)
	}
	got := strings.Split(strings.TrimSuffix(render(t, m, vars, strings.Join(text, "\n")), "\n"), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func noEscaping(t *testing.T, m *machine) {
	rendered(t, m, "html: <a href=\"x\">'&'</a>\n",
		`{{html}} {{{html}}} {{&html}} → <a href="x">'&'</a> <a href="x">'&'</a> <a href="x">'&'</a>`)
	s := newSite(t, m, "-- p.yml --\n- name: x\n  groups: [all]\n  tasks:\n  - !echo {name: t, msg: \"{{nothing.here}}\"}\n")
	s.local(t, "p.yml").failed(t, "t", `"nothing.here" is not defined`)
}

func loopsAndLookups(t *testing.T, m *machine) {
	rendered(t, m, "list: [a, b]\nmap: {k: v, l: w}\nhosts: [{name: h, ports: [1, 2]}]\n",
		"{{#each list}}{{@index}}{{this}}{{@first}}{{@last}} {{/each}} → 0atruefalse 1bfalsetrue ",
		"{{#each map}}{{@key}}={{this}}{{@first}}{{@last}} {{/each}} → k=vtruefalse l=wfalsetrue ",
		"{{#each hosts}}{{#each ports}}{{../name}}{{this}}{{@../index}} {{/each}}{{/each}} → h10 h20 ",
		"{{#each list as |v i|}}{{i}}{{v}} {{/each}}{{#with map}}{{k}}{{this.l}}{{/with}} → 0a 1b vw",
		`{{lookup list 1}} {{lookup map "k"}} {{len list}} {{len map}} {{len "abc"}} → b v 2 2 3`,
		"{{#each none}}x{{else}}empty{{/each}}{{#if nothing}}x{{/if}}{{#unless nothing}}y{{/unless}} → emptyy")
}

func comparing(t *testing.T, m *machine) {
	rendered(t, m, "i: 5\ns: \"5\"\nf: 5.0\nt: true\nz: 0\n",
		`{{eq i 5}} {{eq i s}} {{eq i f}} {{eq s "5"}} {{ne i s}} → true false false true true`,
		"{{gt i 4.5}} {{lt f 5.5}} {{gte i f}} {{lte 1 0.5}} → true true true false",
		"{{and t i s f}} {{and t t t z}} {{or z z t}} {{or z z z}} {{not z}} → true false true false true",
		"{{#if z}}1{{else if (gt i 9)}}2{{else if (eq i 5)}}3{{else}}4{{/if}} → 3")
}

func printing(t *testing.T, m *machine) {
	rendered(t, m, "list: [a, 1, [b]]\nmap: {a: 1}\none: 1.0\nk: 1e3\nn: null\nb: true\nbig: 18446744073709551615\n",
		"{{list}} {{map}} → [a, 1, [b, ], ] [object]",
		"{{one}} {{k}} [{{n}}] {{b}} {{big}} → 1.0 1000.0 [] true 18446744073709551615")
}

// precedence defines a variable in each layer and in the one above, so that each
// pair of neighbours is decided.
func precedence(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- inventory/groups/web --
hosts: [h1]
-- inventory/groups/top --
subgroups: [web]
-- inventory/group_vars/all.yml --
p03: all
p04: all
-- inventory/group_vars/top --
p04: top
p05: top
-- inventory/group_vars/web --
p05: web
p06: web
-- inventory/host_vars/h1 --
p06: host
p07: host
jet_kernel: host
-- templates/t --
{{p01}} {{p02}} {{p03}} {{p04}} {{p05}} {{p06}} {{p07}} {{isdefined jet_kernel}} {{eq jet_kernel "host"}} {{jet_arch}} {{p10}} {{p11}} {{p12}} {{ENV_P13}}
-- p.yml --
- name: stored
  groups: [web]
  tasks:
  - !set {vars: {p07: stored}}
  - !facts
- name: x
  groups: [web]
  defaults: {p01: play-defaults, p02: play-defaults}
  vars: {jet_arch: vars, p10: vars, p11: x}
  vars_files: [more.yml]
  roles:
  - role: r
    vars: {p11: role-vars, p12: role-vars}
-- more.yml --
p10: file
p11: file
-- roles/r/role.yml --
name: r
defaults: {p02: role-defaults, p03: role-defaults}
tasks: [t.yml]
-- roles/r/templates/t --
{{p01}} {{p02}} {{p03}} {{p04}} {{p05}} {{p06}} {{p07}} {{eq jet_kernel "host"}} {{jet_arch}} {{p10}} {{p11}} {{p12}} {{ENV_P13}}
-- roles/r/tasks/t.yml --
- !template {src: t, dest: "@HOST@/f"}
`)
	s.env = []string{"P13=environment"}
	s.run(t, "p.yml", "-e", `{"p12": "extra", "ENV_P13": "extra"}`).ok(t)
	s.holds(t, "f", "play-defaults role-defaults all top web host stored false vars file role-vars extra environment\n")
}

func groupsInOrder(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- inventory/groups/parent --
subgroups: [child]
-- inventory/groups/child --
hosts: [localhost]
-- inventory/groups/b --
hosts: [localhost]
-- inventory/groups/a --
hosts: [localhost]
-- inventory/group_vars/parent --
v: parent
-- inventory/group_vars/child --
v: child
-- inventory/group_vars/all --
v: all
-- inventory/group_vars/a --
w: a
-- inventory/group_vars/b --
w: b
-- p.yml --
- name: x
  groups: [all]
  tasks:
  - !echo {name: t, msg: "{{v}} {{w}}"}
`)
	s.offline(t, "p.yml").says(t, "t", "child b")
	for range 100 {
		inv, err := inventory.Load(t.Context(), s.dir+"/inventory")
		must(t, err)
		h, _ := inv.Host("localhost")
		if vars := inv.Vars(h); vars["v"] != "child" || vars["w"] != "b" {
			t.Fatalf("the variables are %v", vars)
		}
	}
}

func blending(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- inventory/groups/web --
hosts: [localhost]
-- inventory/group_vars/all --
m: {a: {x: 1, l: [1]}, b: all}
l: [1]
-- inventory/group_vars/web --
m: {a: {y: 2, l: [2]}, c: null}
l: [2]
-- inventory/host_vars/localhost --
m: {a: null, b: host}
-- p.yml --
- name: x
  groups: [all]
  vars: {l: [3]}
  tasks:
  - !echo {name: t, msg: "{{to_json m}} {{to_json l}}"}
`)
	s.offline(t, "p.yml", "-e", `{"l": [4]}`).says(t, "t", `{"a":{"l":[1,2],"x":1,"y":2},"b":"host","c":null} [1,2,3,4]`)
}

func plainScalars(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- p.yml --
- name: x
  groups: [all]
  vars:
    list: [yes, off, 0755, 1_000, 2020-01-01, 12:30, 0o755, 0x1F, 0b101, 1e3, .5, ~, true, 18446744073709551615]
  tasks:
  - !echo {name: t, msg: "{{to_json list}}"}
`)
	s.local(t, "p.yml").says(t, "t",
		`["yes","off","0755","1_000","2020-01-01","12:30",493,31,5,1000.0,0.5,null,true,18446744073709551615]`)
}

func placesInTemplates(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- templates/t --
first line
é {{nothing}}
-- templates/bad --
x
  {{#if a}}
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !template {name: file, src: t, dest: "@HOST@/f", and: {ignore_errors: true}}
  - !template {name: syntax, src: bad, dest: "@HOST@/f", and: {ignore_errors: true}}
  - !echo {name: parameter, msg: "x {{nothing}}", and: {ignore_errors: true}}
  - !copy
    name: block
    dest: "@HOST@/f"
    content: |
      first
        {{nothing}}
-- early.yml --
- name: x
  groups: [web]
  tasks:
  - !echo {msg: "{{#iff a}}"}
  - !echo
    msg: >-
      {{trimm a}}
`)
	r := s.run(t, "p.yml", "--limit", "h1")
	for task, place := range map[string]string{
		"file":      `templates/t:2:5: "nothing" is not defined`,
		"syntax":    "templates/bad:2:3: {{#if}} is not closed",
		"parameter": `p.yml:6:39: "nothing" is not defined`,
		"block":     `p.yml:12:11: "nothing" is not defined`,
	} {
		if got := r.task(t, task).Message; !strings.Contains(got, place) {
			t.Errorf("%s says %q, want %q", task, got, place)
		}
	}
	s.offline(t, "early.yml").refused(t, 1, `early.yml:4:21: unknown block "iff"`, "early.yml:7", `unknown helper "trimm"`)
}

func flavors(t *testing.T, m *machine) {
	o := otherMachine(t, m)
	s := newSite(t, m, o.inventory+`
-- p.yml --
- name: x
  groups: [others]
  tasks:
  - !facts
  - !echo {name: t, msg: "{{jet_os_type}} {{jet_os_flavor}} {{jet_os_release_id}} {{jet_os_release_version_id}}"}
`)
	for release, want := range map[string]string{
		"ID=debian\nVERSION_ID=\"12\"\n":                                                    "Linux Debian debian 12",
		"ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n":                                 "Linux Debian ubuntu 24.04",
		"ID=fedora\nVERSION_ID=42\n":                                                        "Linux EL fedora 42",
		"ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n":                             "Linux EL rhel 9.4",
		"ID=alpine\nVERSION_ID=3.20.1\n":                                                    "Linux Alpine alpine 3.20.1",
		"ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"\n":            "Linux SUSE opensuse-leap 15.6",
		"ID=arch\nVERSION_ID=rolling\n":                                                     "Linux Arch arch rolling",
		"ID=rocky\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9'\n":                        "Linux EL rocky 9",
		"ID=manjaro\nID_LIKE=arch\nVERSION_ID=1\nHOME_URL=\"https://x/?a=b&c=\\\"d\\\"\"\n": "Linux Arch manjaro 1",
	} {
		o.put(t, "/etc/os-release", release)
		o.run(t, s, "p.yml").says(t, "t", want)
	}
}
