package modules

import (
	"bytes"
	"context"
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

func TestMain(m *testing.M) { lab.Main(m) }

// patience bounds every command.
const patience = 3 * time.Minute

// jet builds the command once and returns its path.
var jet = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := filepath.Join(cache, "jet-bus-modules", "jet")
	out, err := exec.Command("go", "build", "-o", name, "../../cmd/jet").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building jet: %w: %s", err, out)
	}
	return name, nil
})

// site is a directory with one playbook of one task, for one host.
type site struct {
	dir  string
	host lab.Host
}

// newSite writes the playbook of a case for a host.
func newSite(t *testing.T, h lab.Host, c Case) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), host: h}
	s.write(t, "inventory/groups/all.yml", "hosts: ["+h.Name+"]\n")
	s.write(t, "inventory/host_vars/"+h.Name+".yml", fmt.Sprintf(
		"jet_ssh_hostname: %s\njet_ssh_port: %d\njet_ssh_user: %s\n", h.Addr, h.Port, h.User))
	for name, text := range c.Files {
		s.write(t, name, text)
	}
	var play strings.Builder
	play.WriteString("- name: play\n  groups: [all]\n")
	if !c.Login {
		play.WriteString("  sudo: root\n")
	}
	if c.Vars != "" {
		play.WriteString("  vars:\n" + indent("    ", c.Vars))
	}
	play.WriteString("  tasks:\n" + task(c.Task))
	s.write(t, "play.yml", play.String())
	return s
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

// run runs the playbook and returns the task's result and all that was printed.
// There is no result when jet refused the playbook.
func (s *site) run(t *testing.T, args ...string) (*events.TaskFinished, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	var result *events.TaskFinished
	for line := range bytes.Lines(stdout.Bytes()) {
		var e struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("jet printed %q: %v", line, err)
		}
		if e.Type == events.TypeTaskFinished {
			result = new(events.TaskFinished)
			if err := json.Unmarshal(e.Data, result); err != nil {
				t.Fatal(err)
			}
		}
	}
	return result, stdout.String() + stderr.String()
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

// verdict is what a case showed.
type verdict struct {
	converges, truthful, diff bool
}

// drive runs a case: check, apply, check, apply.
func drive(t *testing.T, h lab.Host, c Case) (v verdict) {
	t.Helper()
	s := newSite(t, h, c)
	if c.Before != "" {
		s.outside(t, c.Before)
	}
	before := s.outside(t, c.Probe)
	checked, said := s.run(t, "--check", "--diff")
	if c.Fails != "" {
		return fails(t, s, c, before)
	}
	if checked == nil || checked.Status == "failed" {
		t.Fatalf("the check failed:\n%s", said)
	}
	v.truthful = true
	lie := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
		v.truthful = false
	}
	if now := s.outside(t, c.Probe); now != before {
		lie("the check changed the host: before\n%s\nafter\n%s", before, now)
	}
	if checked.Status != c.Need || !slices.Equal(checked.Fields, c.Fields) {
		lie("the check says %s %q, want %s %q", checked.Status, checked.Fields, c.Need, c.Fields)
	}
	v.diff = true
	for _, line := range c.Diff {
		if !slices.Contains(strings.Split(checked.Diff, "\n"), line) {
			t.Errorf("the diff has no line %q:\n%s", line, checked.Diff)
			v.diff = false
		}
	}

	applied, said := s.run(t, "--diff")
	if applied == nil || applied.Status == "failed" {
		t.Fatalf("the run failed:\n%s", said)
	}
	if applied.Status != checked.Status || !slices.Equal(applied.Fields, checked.Fields) {
		lie("the run says %s %q, the check %s %q", applied.Status, applied.Fields, checked.Status, checked.Fields)
	}
	if applied.Diff != checked.Diff {
		t.Errorf("the run shows another diff\n%s\nthan the check\n%s", applied.Diff, checked.Diff)
		v.diff = false
	}
	after := s.outside(t, c.Probe)
	v.converges = true
	diverges := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
		v.converges = false
	}
	if after != strings.TrimSpace(c.Want) {
		diverges("after the run the host has\n%s\nwant\n%s", after, c.Want)
	}

	again := "matched"
	if c.Always {
		again = c.Need
	}
	for _, args := range [][]string{{"--check", "--diff"}, {"--diff"}} {
		r, said := s.run(t, args...)
		if r == nil || r.Status != again {
			diverges("%q after the run: want %s:\n%s", args, again, said)
		}
	}
	if now := s.outside(t, c.Probe); now != after {
		diverges("the second run changed the host: before\n%s\nafter\n%s", after, now)
	}
	return v
}

// fails runs a case that must fail, and leave the host alone.
func fails(t *testing.T, s *site, c Case, before string) verdict {
	t.Helper()
	r, said := s.run(t)
	v := verdict{converges: true, truthful: true, diff: true}
	switch {
	case r != nil && r.Status != "failed":
		t.Errorf("the run says %s, want a failure", r.Status)
		v.truthful = false
	case !strings.Contains(said, c.Fails) && (r == nil || !strings.Contains(r.Message, c.Fails)):
		t.Errorf("the run does not fail with %q:\n%s", c.Fails, said)
		v.truthful = false
	}
	if now := s.outside(t, c.Probe); now != before {
		t.Errorf("the failed run changed the host: before\n%s\nafter\n%s", before, now)
		v.converges = false
	}
	return v
}

// TestModules drives all cases.
func TestModules(t *testing.T) {
	hosts := map[Kind]lab.Host{}
	for _, c := range cases {
		for _, kind := range c.kinds() {
			h, ok := hosts[kind]
			if !ok && !c.Alone {
				h = host(t, kind)
				hosts[kind] = h
			}
			t.Run(fmt.Sprintf("%s/%s/%s", c.Module, c.Name, kind), func(t *testing.T) {
				if c.Alone {
					h = host(t, kind)
				}
				drive(t, h, c)
			})
		}
	}
}

func (c Case) kinds() []Kind {
	if len(c.Kinds) == 0 {
		return []Kind{Debian}
	}
	return c.Kinds
}

// host starts a host of a kind.
func host(t *testing.T, kind Kind) lab.Host {
	t.Helper()
	if kind != Debian {
		t.Fatalf("no host of kind %s", kind)
	}
	return lab.Hosts(t, 1)[0]
}
