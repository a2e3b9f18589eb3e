package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// direct is jet run over hosts, with no bus.
type direct struct {
	*site
	hosts []lab.Host
}

// run runs a playbook of the site.
func (d direct) run(t *testing.T, playbook string, more ...string) process.Output {
	t.Helper()
	args := []string{
		"run", filepath.Join(d.content, "playbooks", playbook),
		"-i", filepath.Join(d.content, "inventory"), "--known-hosts", d.knownHosts,
	}
	return process.Run(t, process.Environment(d.home), "jet", append(args, more...)...)
}

// events runs a playbook and returns its results and the exit code.
func (d direct) events(t *testing.T, playbook string, more ...string) ([]events.TaskFinished, int) {
	t.Helper()
	out := d.run(t, playbook, append(more, "--json")...)
	if out.Stderr != "" {
		t.Errorf("jet run wrote %q to its standard error", out.Stderr)
	}
	return results(t, strings.Split(out.Stdout, "\n")), out.Code
}

// outcome counts results by host and how they ended, as "host1 executed".
func outcome(rs []events.TaskFinished) map[string]int {
	count := map[string]int{}
	for _, r := range rs {
		count[r.Host+" "+r.Status]++
	}
	return count
}

// changed counts the results that say that something changed, by module.
func changed(rs []events.TaskFinished) map[string]int {
	count := map[string]int{}
	for _, r := range rs {
		if r.Changed {
			count[r.Module]++
		}
	}
	return count
}

func TestRunSSH(t *testing.T) {
	t.Parallel()
	hosts := lab.Hosts(t, 3)
	d := direct{newSite(t, hosts), hosts}
	// The user to become is left to the command line.
	playbook := filepath.Join(d.content, "playbooks", "deploy.yml")
	text, err := os.ReadFile(playbook)
	must(t, err)
	write(t, playbook, strings.Replace(string(text), "  sudo: root\n", "", 1))

	// check
	rs, code := d.events(t, "deploy.yml", "--sudo", "root", "--check")
	if code != 0 || !slices.ContainsFunc(rs, func(r events.TaskFinished) bool { return r.Status == "created" && r.Check }) {
		t.Errorf("--check: exit code %d, %v", code, outcome(rs))
	}
	for _, h := range hosts {
		if got := on(t, h, "ls", "-A", "/srv"); got != "" {
			t.Errorf("--check has left %q on %s", got, h.Name)
		}
	}
	// for real
	rs, code = d.events(t, "deploy.yml", "--sudo", "root", "-e", `{"version": "2.0.0"}`)
	want := map[string]int{"directory": 3, "copy": 3, "template": 3, "shell": 12}
	if diff := cmp.Diff(want, changed(rs)); code != 0 || diff != "" {
		t.Errorf("exit code %d, changed (-want +got):\n%s", code, diff)
	}
	if got := on(t, hosts[2], "cat", "/srv/app/app.conf"); got != "version = 2.0.0\nlabel = three\n" {
		t.Errorf("the configuration is %q", got)
	}
	// and again
	vars := filepath.Join(d.home, "vars.yml")
	write(t, vars, "version: 2.0.0\n")
	rs, code = d.events(t, "deploy.yml", "--sudo", "root", "-e", "@"+vars)
	if diff := cmp.Diff(map[string]int{"shell": 9}, changed(rs)); code != 0 || diff != "" {
		t.Errorf("again: exit code %d, changed (-want +got):\n%s", code, diff)
	}
	t.Run("limit", func(t *testing.T) { testLimit(t, d) })
	t.Run("partly", func(t *testing.T) { testPartly(t, d) })
}

func testLimit(t *testing.T, d direct) {
	rs, code := d.events(t, "note.yml", "--limit", "host2", "-e", `{"note": "limited"}`)
	if got := slices.Collect(maps.Keys(outcome(rs))); code != 0 || !slices.Equal(got, []string{"host2 created"}) {
		t.Errorf("exit code %d, %q", code, got)
	}
	if got := on(t, d.hosts[0], "ls", "/srv"); strings.Contains(got, "note") {
		t.Errorf("host1 has %q", got)
	}
	if out := d.run(t, "note.yml", "--limit", "host4"); out.Code != 1 || !strings.Contains(out.Stderr, `unknown host or group "host4"`) {
		t.Errorf("a host that is not there: exit code %d: %s", out.Code, out.Stderr)
	}
}

// testPartly fails on one host, and on no other.
func testPartly(t *testing.T, d direct) {
	rs, code := d.events(t, "partly.yml")
	want := map[string]int{"host1 executed": 2, "host2 failed": 1, "host3 executed": 2}
	if diff := cmp.Diff(want, outcome(rs)); code != 1 || diff != "" {
		t.Errorf("exit code %d, results (-want +got):\n%s", code, diff)
	}
	if got := on(t, d.hosts[2], "stat", "-c", "%U", "/tmp/went-on"); got != "ops\n" {
		t.Errorf("the file that host3 made belongs to %q", got)
	}
	out := d.run(t, "partly.yml")
	if out.Code != 1 || !strings.Contains(out.Stdout, "FAILED") || !strings.Contains(out.Stdout, `$ test "two" != two`) {
		t.Errorf("exit code %d: %s", out.Code, out.Stdout)
	}
}
