package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// TestExamples runs the playbooks that we show to people, twice: the second run
// changes nothing.
func TestExamples(t *testing.T) {
	t.Parallel()
	hosts := lab.Hosts(t, 2)
	examples, err := filepath.Abs("../../examples")
	must(t, err)
	inventory := filepath.Join(t.TempDir(), "inventory")
	writeInventory(t, inventory, hosts)
	home := t.TempDir()
	run := func(t *testing.T, args ...string) process.Output {
		t.Helper()
		all := append([]string{"run", "-i", inventory, "--known-hosts", hosts[0].KnownHosts, "--json"}, args...)
		return process.Run(t, process.Environment(home), "jet", all...)
	}
	for _, tt := range []struct {
		name string
		args []string
	}{
		// Its own host is this machine, which is left out.
		{"quickstart", []string{
			"quickstart/playbooks/upgrade.yml", "-i", filepath.Join(examples, "quickstart/inventory"), "--limit", "host*",
			"-e", `{"app_root": "/var/tmp/quickstart"}`,
		}},
		{"webapp", []string{"webapp/playbooks/site.yml", "-i", filepath.Join(examples, "webapp/inventory")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{filepath.Join(examples, tt.args[0])}, tt.args[1:]...)
			for again := range 2 {
				out := run(t, args...)
				rs := results(t, strings.Split(out.Stdout, "\n"))
				if out.Code != 0 || out.Stderr != "" {
					t.Fatalf("run %d: exit code %d: %s%s", again+1, out.Code, out.Stderr, out.Stdout)
				}
				if n := len(changed(rs)); (n == 0) != (again == 1) {
					t.Errorf("run %d changed (by module): %v", again+1, changed(rs))
				}
			}
		})
	}
	t.Run("rescue", func(t *testing.T) {
		// There is no such port, so the first host fails, and the second is left
		// alone.
		out := run(t, filepath.Join(examples, "webapp/playbooks/site.yml"), "-i", filepath.Join(examples, "webapp/inventory"),
			"-e", `{"app_port": 70000}`)
		rs := results(t, strings.Split(out.Stdout, "\n"))
		failed := map[string]string{}
		for _, r := range rs {
			if r.Host != "host1" {
				t.Fatalf("%s was worked on", r.Host)
			}
			if r.Status == "failed" || r.Status == "rescued" {
				failed[r.Task] = r.Status
			}
		}
		want := map[string]string{"Restart it": "rescued", "fail": "failed"}
		if diff := cmp.Diff(want, failed); out.Code != 1 || diff != "" || !strings.Contains(out.Stdout, "port must be 0-65535") {
			t.Errorf("exit code %d, failed (-want +got):\n%s\n%s", out.Code, diff, out.Stdout)
		}
		if got := on(t, hosts[1], "systemctl", "is-active", "webapp"); got != "active\n" {
			t.Errorf("the second host's application is %s", got)
		}
	})
}
