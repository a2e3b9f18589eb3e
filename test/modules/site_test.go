package modules

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/test/lab"
)

// patience bounds every command.
const patience = 3 * time.Minute

// jet builds the command once and returns its path.
var jet = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	// Each working copy has a command of its own.
	name := filepath.Join(cache, "jet-bus-modules", fmt.Sprintf("%x", sha256.Sum256([]byte(here)))[:16], "jet")
	out, err := exec.Command("go", "build", "-o", name, "../../cmd/jet").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building jet: %w: %s", err, out)
	}
	return name, nil
})

// site is a directory with a playbook for one host.
type site struct {
	dir  string
	host lab.Host
	// patience bounds a run of the playbook; zero is the same as for all commands.
	patience time.Duration
}

// newSite writes the playbook of a case for a host.
func newSite(t *testing.T, h lab.Host, c Case) *site {
	t.Helper()
	var play strings.Builder
	play.WriteString("- name: play\n  groups: [all]\n")
	if !c.Login {
		play.WriteString("  sudo: root\n")
	}
	if c.Vars != "" {
		play.WriteString("  vars:\n" + indent("    ", c.Vars))
	}
	play.WriteString("  tasks:\n" + task(c.Task))
	for _, then := range c.Then {
		play.WriteString(task(then))
	}
	s := &site{dir: t.TempDir(), host: h}
	for name, text := range c.Files {
		s.write(t, name, text)
	}
	s.inventory(t)
	s.write(t, "play.yml", play.String())
	return s
}

// inventory writes the inventory of the one host.
func (s *site) inventory(t *testing.T) {
	t.Helper()
	s.write(t, "inventory/groups/all.yml", "hosts: ["+s.host.Name+"]\n")
	s.write(t, "inventory/host_vars/"+s.host.Name+".yml", fmt.Sprintf(
		"jet_ssh_hostname: %s\njet_ssh_port: %d\njet_ssh_user: %s\n", s.host.Addr, s.host.Port, s.host.User))
}

// task writes a task as an item of a list.
func task(text string) string {
	return "    - " + strings.TrimPrefix(indent("      ", text), "      ")
}

func indent(by, text string) string {
	var b strings.Builder
	for l := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if strings.TrimSpace(l) != "" {
			b.WriteString(by)
		}
		b.WriteString(l)
	}
	return b.String()
}

func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// run runs the playbook and returns the first task's result and all that was
// printed. There is no result when jet refused the playbook. The tasks after the
// first must not fail.
func (s *site) run(t *testing.T, args ...string) (*events.TaskFinished, string) {
	t.Helper()
	results, said := s.play(t, args...)
	if len(results) == 0 {
		return nil, said
	}
	for _, r := range results[1:] {
		if r.Status == "failed" {
			t.Errorf("%q: %s after it failed: %s", args, r.Task, r.Message)
		}
	}
	return &results[0], said
}

// play runs the playbook and returns the results of its tasks and all that was
// printed.
func (s *site) play(t *testing.T, args ...string) ([]events.TaskFinished, string) {
	t.Helper()
	most := cmp.Or(s.patience, patience)
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	name, err := jet()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, name, slices.Concat([]string{
		"run", "play.yml", "-i", "inventory", "--json", "--known-hosts", s.host.KnownHosts, "--key", s.host.KeyFile,
	}, args)...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "USER=nobody", "LANG=C.UTF-8"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("jet was not done in %v:\n%s", most, tail(stdout.String()+stderr.String()))
	}
	var results []events.TaskFinished
	for line := range bytes.Lines(stdout.Bytes()) {
		var e struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("jet printed %q: %v", tail(string(line)), err)
		}
		if e.Type == events.TypeTaskFinished {
			var r events.TaskFinished
			if err := json.Unmarshal(e.Data, &r); err != nil {
				t.Fatal(err)
			}
			results = append(results, r)
		}
	}
	return results, stdout.String() + stderr.String()
}

// tail is the end of a text that may be long.
func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// outside runs a script as root on the host, past the connection under test.
func (s *site) outside(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := s.host.Exec(ctx, "sh", "-c", script)
	if err != nil {
		t.Fatalf("outside: %v", err)
	}
	return strings.TrimSpace(out)
}
