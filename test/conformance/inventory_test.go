package conformance

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

func inventoryLines() []line {
	return []line{
		{84, "C", "inventory_directories", "`groups/`, `group_vars/` and `host_vars/` hold a file for each name, with .yml or without; names that begin with a dot or end in ~ are passed over.", inventoryDirectories},
		{85, "C", "subgroups", "Hosts of subgroups are members; groups that hold each other do no harm.", subgroups},
		{86, "C", "inventory_programs", "A program prints groups as JSON, with hosts, vars, children and hostvars, and `_meta`; other groups that begin with an underscore are ignored.", inventoryPrograms},
		{87, "N", "inventory_programs_fail", "What a program says on standard error does no harm, an exit status other than 0 does; files of variables blend over what it prints.", inventoryProgramsFail},
		{88, "C", "magic_variables", "Variables of any layer choose address, port, user and key of a host.", magicVariables},
		{89, "C", "limits", "A limit keeps hosts of the play alone; a name that nothing has and a choice of no host end with exit code 1.", limits},
		{90, "C", "ways_to_log_in", "The password is tried if one was asked for, else the key file, else the agent, with the key of that comment if one was given.", waysToLogIn},
		{91, "N", "host_keys", "A host key that is unknown, or not the known one, refuses the connection.", hostKeys},
		{92, "C, N", "localhost", "The host localhost, or one whose address that is, is this machine, with all that is known of its system.", localhost},
	}
}

// showHosts is a play that lets each host print variables.
func showHosts(group, msg string) string {
	return "-- p.yml --\n- name: x\n  groups: [" + group + "]\n  tasks:\n  - !echo {name: t, msg: \"" + msg + "\"}\n"
}

// said is what each host printed, sorted.
func saidBy(r result) string {
	var out []string
	for _, task := range r.tasks {
		out = append(out, task.Host+"="+task.Message)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// heard compares what the hosts printed. Printing needs no connection.
func (r result) heard(t *testing.T, want string) {
	t.Helper()
	r.ok(t)
	if got := saidBy(r); got != want {
		t.Errorf("the hosts say %s, want %s", got, want)
	}
}

func inventoryDirectories(t *testing.T, m *machine) {
	s := newSite(t, m, showHosts("all", "{{default v 'none'}} {{default w 'none'}}")+`
-- inventory/groups/one.yml --
hosts: [a, b]
-- inventory/groups/two --
hosts: [c]
-- inventory/groups/none.yml --
-- inventory/groups/.hidden --
nonsense: [
-- inventory/groups/old~ --
nonsense: [
-- inventory/group_vars/one --
v: one
-- inventory/group_vars/two.yml --
v: two
-- inventory/group_vars/.swp --
nonsense: [
-- inventory/host_vars/a.yml --
w: a
-- inventory/host_vars/b --
w: b
`)
	s.offline(t, "p.yml").heard(t, "a=one a b=one b c=two none")
	s.write(t, "-- inventory/groups/sub/file --\n")
	s.offline(t, "p.yml").refused(t, 1, "subdirectories are not read")
	must(t, os.RemoveAll(filepath.Join(s.dir, "inventory/groups/sub")))
	s.write(t, "-- inventory/groups/bad --\nhosts: [d]\nhots: [e]\n")
	s.offline(t, "p.yml").refused(t, 1, `groups/bad:2:1: unknown key "hots"; did you mean "hosts"?`)
}

func subgroups(t *testing.T, m *machine) {
	s := newSite(t, m, showHosts("top", "{{v}}")+`
-- inventory/groups/top --
hosts: [a]
subgroups: [middle, not-defined]
-- inventory/groups/middle --
hosts: [b]
subgroups: [bottom]
-- inventory/groups/bottom --
hosts: [c]
subgroups: [top, bottom]
-- inventory/groups/apart --
hosts: [d]
-- inventory/group_vars/top --
v: top
`)
	s.offline(t, "p.yml").heard(t, "a=top b=top c=top")
}

const program = `
-- inventory.sh --
#!/bin/sh
test $# = 0 || exit 1
cat <<'JSON'
{
  "web": {"hosts": ["a", "b"], "vars": {"v": "web", "n": 1, "f": 1.0}, "children": ["canary"]},
  "canary": {"hostvars": {"c": {"v": "c"}}},
  "_meta": {"hostvars": {"a": {"v": "meta"}}},
  "_other": {"hosts": ["nobody"]}
}
JSON
`

func inventoryPrograms(t *testing.T, m *machine) {
	s := newSite(t, m, showHosts("all", "{{v}} {{n}} {{f}}")+program)
	r := s.jet(t, "run", s.paths("p.yml")[0], "-i", filepath.Join(s.dir, "inventory.sh"), "--json")
	r.heard(t, "a=meta 1 1.0 b=web 1 1.0 c=c 1 1.0")
	// A bare name is a program of this directory.
	s.jet(t, "run", "p.yml", "-i", "inventory.sh", "--limit", "b", "--json").heard(t, "b=web 1 1.0")
}

func inventoryProgramsFail(t *testing.T, m *machine) {
	s := newSite(t, m, showHosts("web", "{{v}} {{n}} {{to_json m}}")+`
-- inv/noisy.sh --
#!/bin/sh
echo "warning: slow" >&2
echo '{"web": {"hosts": ["a"], "vars": {"v": "program", "n": 1, "m": {"x": 1}}}}'
-- inv/group_vars/web.yml --
v: file
m: {y: 2}
-- failing.sh --
#!/bin/sh
echo '{"web": {"hosts": ["a"]}}'
echo "no such cloud" >&2
exit 3
-- broken.sh --
#!/bin/sh
echo '{"web": ["a"]}'
`)
	s.jet(t, "run", "p.yml", "-i", "inv/noisy.sh", "--json").heard(t, `a=file 1 {"x":1,"y":2}`)
	s.jet(t, "run", "p.yml", "-i", "failing.sh", "--json").refused(t, 1, "failing.sh: exit status 3", "no such cloud")
	s.jet(t, "run", "p.yml", "-i", "broken.sh", "--json").refused(t, 1, `group "web"`)
}

func magicVariables(t *testing.T, m *machine) {
	d := m.server(t)
	key := d.KeyFile
	s := newSite(t, m, `
-- inventory/groups/web --
hosts: [h1]
-- inventory/host_vars/h1 --
jet_ssh_hostname: 127.0.0.1
jet_ssh_port: 1
jet_ssh_user: nobody-of-this-name
jet_ssh_private_key_file: /nowhere
-- play.yml --
- name: x
  groups: [web]
  vars: &v {jet_ssh_port: `+strconv.Itoa(d.Port)+`, jet_ssh_user: `+d.User+`, jet_ssh_private_key_file: `+key+`}
  tasks:
  - !shell {name: t, cmd: "true"}
-- role.yml --
- name: x
  groups: [web]
  roles:
  - role: r
    vars: {jet_ssh_port: "`+strconv.Itoa(d.Port)+`", jet_ssh_user: `+d.User+`, jet_ssh_private_key_file: `+key+`}
-- roles/r/role.yml --
name: r
tasks: [t.yml]
-- roles/r/tasks/t.yml --
- !shell {name: t, cmd: "true"}
-- extra.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: t, cmd: "true"}
`)
	run := func(playbook string, args ...string) result {
		return s.jet(t, append([]string{
			"run", playbook, "-i", "inventory", "--known-hosts", d.KnownHosts, "--json",
		}, args...)...)
	}
	run("play.yml").is(t, 0, "t h1 executed")
	run("role.yml").is(t, 0, "t h1 executed")
	run("extra.yml").is(t, 1, "t h1 unreachable")
	extra := fmt.Sprintf(`{"jet_ssh_port": %d, "jet_ssh_user": %q, "jet_ssh_private_key_file": %q}`, d.Port, d.User, key)
	run("extra.yml", "-e", extra).is(t, 0, "t h1 executed")
	s.env = []string{"JET_SSH_USER=" + d.User, "JET_SSH_PORT=" + strconv.Itoa(d.Port)}
	s.write(t, "-- inventory/host_vars/h1 --\njet_ssh_hostname: 127.0.0.1\njet_ssh_private_key_file: "+key+"\n")
	run("extra.yml").is(t, 0, "t h1 executed")
}

func limits(t *testing.T, m *machine) {
	s := newSite(t, m, showHosts("web", "x")+`
-- inventory/groups/web --
hosts: [a, b, c]
-- inventory/groups/eu --
hosts: [b, c, d]
-- inventory/groups/empty --
-- empty.yml --
- name: x
  groups: [empty]
`)
	s.offline(t, "p.yml", "--limit", "eu").heard(t, "b=x c=x")
	s.offline(t, "p.yml", "--limit", "a,d").heard(t, "a=x")
	s.offline(t, "p.yml", "--limit", "web,&eu,!c").heard(t, "b=x")
	s.offline(t, "p.yml", "--limit", "nobody").refused(t, 1, `unknown host or group "nobody"`)
	s.offline(t, "p.yml", "--limit", "d").refused(t, 1, "no host")
	s.offline(t, "empty.yml").refused(t, 1, "no host")
}

// passwordServer is a server that takes one password, and ends what it let in.
// It returns its port, its line of known hosts, and what was tried.
func passwordServer(t *testing.T, password string) (port int, known string, tried func() []string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := gossh.NewSignerFromKey(key)
	must(t, err)
	var mu sync.Mutex
	var methods []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		methods = append(methods, what)
	}
	config := &gossh.ServerConfig{
		PasswordCallback: func(_ gossh.ConnMetadata, given []byte) (*gossh.Permissions, error) {
			note("password")
			if string(given) != password {
				return nil, errors.New("wrong password")
			}
			return nil, nil
		},
		PublicKeyCallback: func(gossh.ConnMetadata, gossh.PublicKey) (*gossh.Permissions, error) {
			note("key")
			return nil, errors.New("no keys")
		},
	}
	config.AddHostKey(signer)
	port = listen(t, func(c net.Conn) {
		server, _, _, err := gossh.NewServerConn(c, config)
		if err == nil {
			note("in")
			_ = server.Close()
		}
	})
	known = knownhosts.Line([]string{knownhosts.Normalize(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))}, signer.PublicKey())
	return port, known, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(methods)
	}
}

// listen serves connections on the loopback interface and returns the port.
func listen(t *testing.T, serve func(net.Conn)) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	accept(t, l, serve)
	return l.Addr().(*net.TCPAddr).Port
}

// accept serves the connections of a listener until the test ends.
func accept(t *testing.T, l net.Listener, serve func(net.Conn)) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
}

// startAgent serves keys with comments on a socket.
func startAgent(t *testing.T, keys map[string]ed25519.PrivateKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	for comment, key := range keys {
		must(t, ring.Add(agent.AddedKey{PrivateKey: key, Comment: comment}))
	}
	// The path of a socket is short.
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // its names are long
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", socket)
	must(t, err)
	accept(t, l, func(c net.Conn) { _ = agent.ServeAgent(ring, c) })
	return socket
}

func waysToLogIn(t *testing.T, m *machine) {
	d := m.server(t)
	port, known, tried := passwordServer(t, "open sesame")
	s := newSite(t, m, `
-- inventory/groups/web --
hosts: [h1]
-- inventory/host_vars/h1 --
jet_ssh_hostname: 127.0.0.1
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !shell {name: t, cmd: "true"}
-- known --
`+known+"\n")
	run := func(args ...string) result {
		return s.jet(t, append([]string{"run", "p.yml", "-i", "inventory", "--json", "--user", d.User}, args...)...)
	}
	// The password is asked for, here on the standard input, or is a variable. It
	// comes before a key.
	at := []string{"--port", strconv.Itoa(port), "--known-hosts", "known", "--key", d.KeyFile}
	s.stdin = "open sesame\n"
	run(append(at, "--ask-login-password")...)
	s.stdin = ""
	asked := tried()
	run(append(at, "-e", `{"jet_ssh_password": "open sesame"}`)...)
	for _, got := range [][]string{asked, tried()[len(asked):]} {
		if !slices.Contains(got, "in") || got[0] != "password" {
			t.Errorf("with a password the server saw %q", got)
		}
	}
	sshd := []string{"--port", strconv.Itoa(d.Port), "--known-hosts", d.KnownHosts}
	run(append(sshd, "--key", d.KeyFile)...).is(t, 0, "t h1 executed")

	// The agent has the right key, among others.
	pem, err := os.ReadFile(d.KeyFile)
	must(t, err)
	raw, err := gossh.ParseRawPrivateKey(pem)
	must(t, err)
	right := *raw.(*ed25519.PrivateKey)
	_, wrong, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s.env = []string{"SSH_AUTH_SOCK=" + startAgent(t, map[string]ed25519.PrivateKey{"right": right, "wrong": wrong})}
	run(sshd...).is(t, 0, "t h1 executed")
	run(append(sshd, "-e", `{"jet_ssh_key_comment": "right"}`)...).is(t, 0, "t h1 executed")
	run(append(sshd, "-e", `{"jet_ssh_key_comment": "wrong"}`)...).is(t, 1, "t h1 unreachable")
	// A key file is given: the agent is not asked.
	s.write(t, "-- nothing --\n")
	conntest.WriteKey(t, filepath.Join(s.dir, "other_key"))
	run(append(sshd, "--key", filepath.Join(s.dir, "other_key"))...).is(t, 1, "t h1 unreachable")
}

func hostKeys(t *testing.T, m *machine) {
	d := *m.server(t)
	s := newSite(t, m, "-- p.yml --\n- name: x\n  groups: [web]\n  tasks:\n  - !file {name: t, path: \"@HOST@/f\"}\n")
	strange := conntest.WriteKey(t, filepath.Join(s.dir, "strange"))
	name := knownhosts.Normalize(d.Addr)
	for what, known := range map[string]string{
		"unknown": "", "changed": knownhosts.Line([]string{name}, strange), "revoked": "@revoked " + knownhosts.Line([]string{name}, d.HostKey),
	} {
		d.KnownHosts = filepath.Join(s.dir, what)
		must(t, os.WriteFile(d.KnownHosts, []byte(known+"\n"), 0o600))
		for _, flags := range [][]string{{"--json"}, {"--json", "--accept-new"}} {
			if what == "unknown" && len(flags) == 2 {
				continue
			}
			r := s.over(t, d, "p.yml", append(flags, "--limit", "h1")...)
			r.is(t, 1, "t h1 unreachable")
			if got := r.task(t, "t").Message; !strings.Contains(got, "host key") {
				t.Errorf("%s: the message is %q", what, got)
			}
		}
	}
	s.absent(t, "f")
	// On first sight, if that is asked for, and known from then on.
	d.KnownHosts = filepath.Join(s.dir, "new")
	s.over(t, d, "p.yml", "--json", "--limit", "h1", "--accept-new").is(t, 0, "t h1 created")
	s.over(t, d, "p.yml", "--json", "--limit", "h1").is(t, 0, "t h1 matched")
}

func localhost(t *testing.T, m *machine) {
	s := newSite(t, m, `
-- inventory/groups/web --
hosts: [localhost, here]
-- inventory/host_vars/here --
jet_ssh_hostname: localhost
-- p.yml --
- name: x
  groups: [web]
  tasks:
  - !file {name: file, path: "@HOST@/f"}
  - !facts
  - !echo {name: system, msg: "{{jet_os_type}} {{isdefined jet_os_flavor}} {{isdefined jet_arch}}"}
`)
	r := s.offline(t, "p.yml", "--forks", "1")
	r.ok(t)
	for _, task := range r.tasks {
		if task.Task == "system" && task.Message != "Linux true true" {
			t.Errorf("%s says %q", task.Host, task.Message)
		}
	}
	s.holds(t, "f", "")
}
