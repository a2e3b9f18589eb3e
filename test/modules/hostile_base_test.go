package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// base is the tasks that hostile values are put into: each value goes into the
// first task that has the parameter, or the first of all.
type base struct {
	tasks []string
	// fails says why the tasks themselves fail, where they cannot but do.
	fails string
}

// bases are the tasks of the modules for which their examples would be slow, or
// depend on too much.
var bases = map[string]base{
	"apk":    {tasks: []string{"!apk {package: busybox}"}, fails: "Debian has no apk"},
	"apt":    {tasks: []string{"!apt {package: base-files}"}},
	"assert": {tasks: []string{"!assert {true: 1 == 1, msg: m}"}},
	"copy":   {tasks: []string{"!copy {content: a, dest: /srv/hostile/copy, attributes: {owner: ops}}", "!copy {src: a, dest: /srv/hostile/copy}"}},
	"debug":  {tasks: []string{"!debug {vars: [big]}"}},
	"dnf":    {tasks: []string{"!dnf {package: bash}"}, fails: "Debian has no dnf"},
	"echo":   {tasks: []string{"!echo {msg: m}"}},
	"facts":  {tasks: []string{"!facts {}"}},
	"fail":   {tasks: []string{"!fail {msg: m}"}, fails: "it is meant to"},
	"file":   {tasks: []string{"!file {path: /srv/hostile/file, attributes: {mode: 0o644}}"}},
	"group":  {tasks: []string{"!group {group: hostile, users: [ops]}"}},
	"line":   {tasks: []string{"!line {path: /srv/hostile/lines, line: a, create: true}"}},
	"move":   {tasks: []string{"!move {src: /srv/hostile/moved, dest: /srv/hostile/lines, force: true}"}},
	"pacman": {tasks: []string{"!pacman {package: bash}"}, fails: "the host has no pacman"},
	"script": {tasks: []string{"!script {src: a, args: [a]}"}},
	"set":    {tasks: []string{"!set {vars: {a: b}}"}},
	"shell":  {tasks: []string{"!shell {cmd: 'true'}"}},
	"stat":   {tasks: []string{"!stat {path: /etc, save: s}"}},
	"unpack": {tasks: []string{"!unpack {src: /srv/hostile/a.tar, dest: /srv/hostile/unpacked}"}},
	"user":   {tasks: []string{"!user {user: hostile-user, gecos: a}"}},
	"yum":    {tasks: []string{"!yum {package: bash}"}, fails: "Debian has no yum"},
	"zypper": {tasks: []string{"!zypper {package: bash}"}, fails: "the host has no zypper"},

	"directory": {tasks: []string{
		"!directory {path: /srv/hostile/directory, attributes: {owner: ops}}",
		"!directory {path: /srv/hostile/directory, remove: true}",
	}},
	"download": {
		tasks: []string{"!download {url: \"http://127.0.0.1:1/x\", dest: /srv/hostile/download, retries: 0, timeout: 2s}"},
		fails: "nothing listens there",
	},
	"external": {tasks: []string{"!external {use: a, params: {a: b}}"}},
	"git":      {tasks: []string{"!git {repo: \"file:///srv/hostile/repo.git\", path: /srv/hostile/git, branch: main}"}},
	"github_release": {
		tasks: []string{"!github_release {repo: a/b, base_url: \"http://127.0.0.1:1\", dest: /srv/hostile/release, asset: a}"},
		fails: "nothing listens there",
	},
	"http": {
		tasks: []string{
			"!http {url: \"http://127.0.0.1:1/x\", timeout: 2s, save: r}",
			"!http {url: \"http://127.0.0.1:1/x\", timeout: 2s, method: POST, body: a}",
		},
		fails: "nothing listens there",
	},
	"publish": {tasks: []string{"!publish {type: org.example.a, data: {a: b}}"}, fails: "there is no bus"},
	"wait_for": {tasks: []string{
		"!wait_for {path: /etc/passwd, timeout: 100ms}",
		"!wait_for {port: 22, host: 127.0.0.1, timeout: 100ms}",
	}},
	"homebrew":   {tasks: []string{"!homebrew {package: bash}"}, fails: "Debian has no brew"},
	"sd_service": {tasks: []string{"!sd_service {service: cron, started: true}"}},
	"template":   {tasks: []string{"!template {src: a, dest: /srv/hostile/template}"}},
}

// hostileBefore makes what the bases need.
const hostileBefore = `set -e
mkdir -p /srv/hostile && cd /srv/hostile
echo a >lines
tar -cf a.tar lines
git init -q -b main work && cd work
echo a >a && git add a && git -c user.name=a -c user.email=a@a commit -qm a && cd ..
git clone -q --bare work repo.git`

// undriven are modules that get no hostile values, and why.
var undriven = map[string]string{
	"reboot": "the values that it takes would end the host under test",
}

// commandLines are the parameters that are command lines: what stands in them is
// run, and is meant to be.
var commandLines = map[string]bool{
	"shell cmd":           true,
	"cron command":        true,
	"copy validate":       true,
	"template validate":   true,
	"line validate":       true,
	"text_block validate": true,
	"ini validate":        true,
}

// suspect is a module with the tasks to put hostile values into.
type suspect struct {
	module string
	// vars are variables of the play, and prelude tasks that are run first; nil
	// and empty where there are none.
	vars    *yaml.Node
	prelude []*yaml.Node
	tasks   []*yaml.Node
	fails   string
}

// newSuspect returns a module's suspect: of the table above, or of its example.
func newSuspect(t *testing.T, module string) suspect {
	t.Helper()
	s := suspect{module: module}
	if b, ok := bases[module]; ok {
		s.fails = b.fails
		for _, text := range b.tasks {
			var doc yaml.Node
			if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
				t.Fatalf("the task of %s: %v", module, err)
			}
			s.tasks = append(s.tasks, doc.Content[0])
		}
		s.prelude = s.tasks
		return s
	}
	name := filepath.Join("..", "..", "modules", "examples", module+".yml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Errorf("module %s has no task to put hostile values into: write %s", module, name)
		return s
	}
	if first, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(first, "# host: ") {
		s.fails = "it is for another host: " + first
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 || len(doc.Content[0].Content) == 0 {
		t.Fatalf("%s is no playbook: %v", name, err)
	}
	play := doc.Content[0].Content[0]
	s.vars = value(play, "vars")
	if tasks := value(play, "tasks"); tasks != nil {
		s.prelude = tasks.Content
	}
	for _, task := range s.prelude {
		if task.Tag == "!"+module {
			s.tasks = append(s.tasks, task)
		}
	}
	if len(s.tasks) == 0 {
		t.Errorf("%s has no task of %s", name, module)
	}
	return s
}
