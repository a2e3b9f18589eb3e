package sources

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/test/process"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file that only its owner reads, and the directories on its way.
func write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o700))
	must(t, os.WriteFile(name, []byte(text), 0o600))
}

// site is a jet-bus with TLS, and the machine around it as an operator has it.
type site struct {
	// dir holds the rest: content, data, what the page has in /etc and elsewhere, and
	// work, where the operator's shell is.
	dir       string
	address   access.Address
	authority authority
	bus       *process.Process
}

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// newSite lays out a site; nothing is started.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), authority: newAuthority(t, "our own")}
	for _, dir := range []string{"data", "home", "work", "drop"} {
		must(t, os.Mkdir(s.path(dir), 0o700))
	}
	write(t, s.path("ca.pem"), string(s.authority.pem))
	write(t, s.path("content", "inventory", "groups", "web"), "hosts: [web1]\n")
	write(t, s.path("content", "rules", "start.yml"), "rules: [{name: never, on: com.example.never, run: {playbook: playbooks/none.yml}}]\n")
	write(t, s.path("content", "playbooks", "none.yml"), playbook)
	write(t, s.path("content", "notify.yml"), "targets: {ops: {webhook: {url: \"http://127.0.0.1:9/ops\"}}}\n")
	return s
}

// playbook stands for what the rules of the page run.
const playbook = "- name: Nothing\n  groups: [web]\n  tasks:\n    - !echo {msg: hello}\n"

// start starts jet-bus and returns when it takes events.
func (s *site) start(t *testing.T) {
	t.Helper()
	cert, key := s.authority.issue(t, s.dir, "bus", "127.0.0.1", x509.ExtKeyUsageServerAuth)
	s.bus = process.Start(t, s.env(t), "jet-bus", "jet-bus", "--content", s.path("content"), "--data", s.path("data"), "--listen", "127.0.0.1:0",
		"--http", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--allow-exec", "--durability", "process")
	process.Eventually(t, "the bus", func() bool {
		if !s.bus.Running() {
			t.Fatalf("jet-bus ended: %s", s.bus.Errors(t))
		}
		var err error
		s.address, err = access.ReadAddress(s.path("data"))
		return err == nil
	})
}

// env is that of the operator's shell, where our authority is one that the system knows.
func (s *site) env(t *testing.T) []string {
	t.Helper()
	return append(process.Environment(s.path("home")), "JET_DATA="+s.path("data"), "SSL_CERT_FILE="+s.path("ca.pem"),
		"CURL_CA_BUNDLE="+s.path("ca.pem"), "PATH="+filepath.Dir(process.Binary(t, "jet"))+":"+os.Getenv("PATH"))
}

// run runs a command in the operator's shell and returns what it printed.
func (s *site) run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*process.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.path("work"), env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), errors.Join(err, errors.New(stderr.String()))
	}
	return stdout.String(), nil
}

// jet runs a command of the operator, which must end well.
func (s *site) jet(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.run(t, s.env(t), process.Binary(t, "jet"), args...)
	if err != nil {
		t.Fatalf("jet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// lines runs a command that prints JSON, an object a line.
func lines[T any](t *testing.T, s *site, args ...string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(s.jet(t, append(args, "--json")...)) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("jet %s: %v in %s", strings.Join(args, " "), err, line)
		}
		all = append(all, v)
	}
	return all
}

// states returns how sources and webhooks fare, by name.
func (s *site) states(t *testing.T) map[string]intake.State {
	t.Helper()
	all := make(map[string]intake.State)
	for _, state := range lines[intake.State](t, s, "sources") {
		all[state.Name] = state
	}
	return all
}

// jobs returns how many jobs there are of a rule.
func (s *site) jobs(t *testing.T, rule string) int {
	t.Helper()
	n := 0
	for _, job := range lines[struct {
		Rule string `json:"rule"`
	}](t, s, "jobs") {
		if job.Rule == rule {
			n++
		}
	}
	return n
}
