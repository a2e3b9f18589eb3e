package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/modules"
)

// Both playbooks for jet are read by this tree, have ten tasks and all files that they name.
func TestSite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := writeSite(dir); err != nil {
		t.Fatal(err)
	}
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jet.yml", "jet-plain.yml"} {
		if _, err := engine.Parse(filepath.Join(dir, name), reg, engine.ParseOptions{}); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n    - !")); n != 10 {
			t.Errorf("%s has %d tasks", name, n)
		}
	}
	for name, size := range map[string]int64{"files/small.txt": 1024, "files/big.bin": 1 << 20} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// The inventory is one that jet reads, with the variables of each target.
func TestJetInventory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	targets := manyTargets(3)
	for name, text := range jetInventory(targets) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inv, err := inventory.Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := inv.Select([]string{"all"})
	if err != nil || len(hosts) != len(targets) {
		t.Fatalf("%d hosts, %v", len(hosts), err)
	}
	want := map[string]any{
		"jet_ssh_hostname": "10.77.100.2", "jet_ssh_port": int64(manyPort), "jet_ssh_user": "root",
		"label": "m00002", "base": "/root/s10-m00002",
	}
	got := inv.Vars(hosts[1])
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	a := access{Key: "/k", KnownHosts: "/kh"}
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"inventory": {ansibleInventory(hostTargets(2), a), []string{
			"ansible_ssh_private_key_file=/k\n", "-o UserKnownHostsFile=/kh ",
			"\nh002 ansible_host=10.77.1.2 ansible_port=2222 label=h002 base=/root/s10\n",
		}},
		"ssh":     {sshConfig(hostTargets(2), a), []string{"IdentityFile /k\n", "\nHost h002\n  HostName 10.77.1.2\n  Port 2222\n"}},
		"tuned":   {ansibleConfig(peerTuned, 50, "/m"), []string{"forks = 50\n", "pipelining = True", "ControlPersist=60s"}},
		"mitogen": {ansibleConfig(peerMitogen, 50, "/m"), []string{"forks = 50\n", "strategy_plugins = /m\n", "strategy = mitogen_linear\n"}},
	} {
		for _, want := range tc.want {
			if !strings.Contains(tc.text, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, tc.text)
			}
		}
	}
	if text := ansibleConfig(peerDefault, 50, "/m"); strings.Contains(text, "forks") || strings.Contains(text, "pipelining") {
		t.Errorf("the default is tuned: %s", text)
	}
}
