package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// TestBadInput is what users and the world get wrong. Everything is answered by
// one sentence that says what and where, and an exit code.
func TestBadInput(t *testing.T) {
	t.Parallel()
	t.Run("hosts", func(t *testing.T) {
		t.Parallel()
		hosts := lab.Hosts(t, 2)
		d := direct{newSite(t, hosts), hosts}
		testUnknownKey(t, d)
		testChangedKey(t, d)
		testWrongKey(t, d)
		testHostDown(t, d)
	})
	t.Run("files", testFiles)
	t.Run("bus", testBus)
}

// sentence checks that a command ended with this code and one line of text that
// holds all of want.
func sentence(t *testing.T, what string, out process.Output, code int, want ...string) {
	t.Helper()
	text := strings.TrimSuffix(out.Stderr, "\n")
	if out.Code != code || strings.Contains(text, "\n") {
		t.Errorf("%s: exit code %d, want %d and one sentence: %s", what, out.Code, code, text)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s: no %q in %q", what, w, text)
		}
	}
}

// keyPair makes an SSH key.
func keyPair(t *testing.T) (ssh.PublicKey, []byte) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	key, err := ssh.NewPublicKey(public)
	must(t, err)
	return key, pem.EncodeToMemory(block)
}

// refusals returns the lines of a run's output that say why, without the margin.
func refusals(out process.Output) []string {
	var why []string
	for line := range strings.Lines(out.Stdout) {
		if _, text, ok := strings.Cut(line, " | "); ok {
			why = append(why, strings.TrimSpace(text))
		}
	}
	return why
}

func testUnknownKey(t *testing.T, d direct) {
	known := filepath.Join(t.TempDir(), "known_hosts")
	write(t, known, "")
	out := d.run(t, "note.yml", "--known-hosts", known, "-e", `{"note": "unknown"}`)
	why := refusals(out)
	if out.Code != 1 || len(why) != len(d.hosts) || strings.Count(out.Stdout, "UNREACHABLE") != len(d.hosts) {
		t.Errorf("unknown host key: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	for _, line := range why {
		if !regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}\b`).MatchString(line) || !strings.Contains(line, "--accept-new") {
			t.Errorf("unknown host key: no fingerprint or no way out in %q", line)
		}
	}
	if text, err := os.ReadFile(known); err != nil || len(text) > 0 {
		t.Errorf("unknown host key: recorded %q, %v", text, err)
	}
	if out := d.run(t, "note.yml", "--known-hosts", known, "-e", `{"note": "new"}`, "--accept-new"); out.Code != 0 {
		t.Errorf("--accept-new: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	text, err := os.ReadFile(known)
	must(t, err)
	for _, h := range d.hosts {
		if !strings.Contains(string(text), knownhosts.Normalize(h.Address())+" ssh-") && !strings.Contains(string(text), knownhosts.Normalize(h.Address())+" ecdsa-") {
			t.Errorf("--accept-new: no line for %s in %q", h.Name, text)
		}
		if got := on(t, h, "cat", "/srv/note"); got != "new\n" {
			t.Errorf("--accept-new: the note on %s is %q", h.Name, got)
		}
	}
	if out := d.run(t, "note.yml", "--known-hosts", known, "-e", `{"note": "new"}`); out.Code != 0 {
		t.Errorf("once recorded: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
}

func testChangedKey(t *testing.T, d direct) {
	known := filepath.Join(t.TempDir(), "known_hosts")
	other, _ := keyPair(t)
	line := knownhosts.Line([]string{d.hosts[0].Address()}, other) + "\n"
	write(t, known, line)
	out := d.run(t, "note.yml", "--known-hosts", known, "-e", `{"note": "changed"}`, "--limit", "host1", "--accept-new")
	why := refusals(out)
	if out.Code != 1 || len(why) != 1 || !strings.Contains(why[0], known+":1") || !strings.Contains(why[0], "someone may be in between") {
		t.Errorf("changed host key: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	if text, err := os.ReadFile(known); err != nil || string(text) != line {
		t.Errorf("changed host key: the record is %q, %v", text, err)
	}
	if got := on(t, d.hosts[0], "cat", "/srv/note"); got != "new\n" {
		t.Errorf("changed host key: the note is %q", got)
	}
}

func testWrongKey(t *testing.T, d direct) {
	_, private := keyPair(t)
	file := filepath.Join(d.home, "other_key")
	write(t, file, string(private))
	inventory := filepath.Join(d.home, "inventory")
	h := d.hosts[0]
	h.KeyFile = file
	writeInventory(t, inventory, []lab.Host{h})
	out := process.Run(t, process.Environment(d.home), "jet", "run", filepath.Join(d.content, "playbooks/note.yml"),
		"-i", inventory, "--known-hosts", d.knownHosts, "-e", `{"note": "wrong"}`)
	why := refusals(out)
	if out.Code != 1 || len(why) != 1 || !strings.Contains(why[0], "ops") || !strings.Contains(out.Stdout, "UNREACHABLE") {
		t.Errorf("wrong key: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
}

func testHostDown(t *testing.T, d direct) {
	must(t, d.hosts[1].Stop(t.Context()))
	rs, code := d.events(t, "note.yml", "-e", `{"note": "half"}`)
	got := outcome(rs)
	if code != 1 || len(got) != 2 || got["host1 modified"] != 1 || got["host2 unreachable"] != 1 {
		t.Errorf("host down: exit code %d, %v", code, got)
	}
	if got := on(t, d.hosts[0], "cat", "/srv/note"); got != "half\n" {
		t.Errorf("host down: the note on the other host is %q", got)
	}
}

func testFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	playbooks := filepath.Join(s.content, "playbooks")
	write(t, filepath.Join(playbooks, "broken.yml"), "- name: x\n  groups: [web]\n  tasks:\n    - !copy\n      dets: /x\n      content: y\n")
	write(t, filepath.Join(s.home, "inventory/groups/web"), "hosts:\n  - host1\nhost: x\n")
	for _, tt := range []struct {
		what, playbook, inventory string
		want                      []string
	}{
		{"a playbook with a wrong key", "broken.yml", s.content, []string{"broken.yml:5:7", "dets", "dest"}},
		{"an inventory with a wrong key", "note.yml", s.home, []string{"groups/web:3:1", "host"}},
		{"a playbook that is not there", "gone.yml", s.content, []string{"gone.yml"}},
		{"an inventory that is not there", "note.yml", playbooks, []string{"playbooks/inventory"}},
	} {
		out := process.Run(t, process.Environment(s.home), "jet", "run", filepath.Join(playbooks, tt.playbook), "-i", filepath.Join(tt.inventory, "inventory"))
		for _, w := range tt.want {
			if out.Code != 1 || out.Stdout != "" || !strings.Contains(out.Stderr, w) {
				t.Errorf("%s: exit code %d, want 1 and %q in %q", tt.what, out.Code, w, out.Stderr)
			}
		}
	}

	rules := filepath.Join(s.content, "rules", "site.yml")
	text, err := os.ReadFile(rules)
	must(t, err)
	for _, tt := range []struct{ what, old, new, want string }{
		{"a condition that is none", `event.source == "/e2e"`, `event.source == `, "rules/site.yml:17:"},
		{"a key that is none", "run:", "runs:", "rules/site.yml:6:5"},
		{"a function that is none", "semver(event", "semvar(event", "rules/site.yml:5:7"},
	} {
		write(t, rules, strings.Replace(string(text), tt.old, tt.new, 1))
		out := process.Run(t, process.Environment(s.home), "jet-bus", s.busArgs()...)
		if out.Code != 1 || !strings.Contains(out.Stderr, tt.want) || out.Stdout != "" {
			t.Errorf("%s: exit code %d, want 1 and %q in %s", tt.what, out.Code, tt.want, out.Stderr)
		}
		if entries, err := os.ReadDir(s.data); err != nil || len(entries) != 2 { // hooks.yml and its secret
			t.Errorf("%s: the data directory has %v, %v", tt.what, entries, err)
		}
	}
}

// port returns the port of an address.
func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

func testBus(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	sentence(t, "no credentials", s.jet(t, "jobs"), 1, s.data, "no credentials", "--bus")
	sentence(t, "a runner with no credentials", process.Run(t, process.Environment(s.home), "jet-runner", "--bus", s.data), 1, "no credentials")
	s.startBus(t)

	other := newSite(t, nil)
	other.listen = s.listen
	sentence(t, "the bus's port in use", process.Run(t, process.Environment(s.home), "jet-bus", other.busArgs()...), 1, port(s.listen), "in use")
	other.listen = "127.0.0.1:0"
	webhooks := "127.0.0.1:" + port(s.addr.HTTP)
	twice := process.Run(t, process.Environment(s.home), "jet-bus", other.busArgs("--http", webhooks)...)
	twice.Stderr = twice.Stderr[strings.LastIndex(strings.TrimSpace(twice.Stderr), "\n")+1:] // past the log
	sentence(t, "the webhooks' port in use", twice, 1, port(webhooks), "in use")
	second := *s
	second.listen = "127.0.0.1:0"
	sentence(t, "a second jet-bus", process.Run(t, process.Environment(s.home), "jet-bus", second.busArgs()...), 1, s.data, "another jet-bus")
	sentence(t, "beyond loopback", process.Run(t, process.Environment(s.home), "jet-bus", other.busArgs("--listen", "0.0.0.0:0")...), 1, "TLS")

	// The first one has not noticed.
	s.publish(t, "com.example.nothing", `{}`)
	other.startBus(t)
	stranger := filepath.Join(other.data, "creds", "admin.creds")
	sentence(t, "credentials of another bus", s.jet(t, "jobs", "--creds", stranger), 1, s.addr.Bus)
	viewer := filepath.Join(s.data, "creds", "viewer.creds")
	sentence(t, "a viewer who publishes", s.jet(t, "publish", "--creds", viewer, "--type", "a.b", "--source", "/x"), 1, "permitted")
	s.bus.Stop(t)
	sentence(t, "no bus", s.jet(t, "jobs"), 1, s.addr.Bus)
}
