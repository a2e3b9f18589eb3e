package main

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// site holds the playbooks and the template.
//
//go:embed site
var site embed.FS

// writeSite puts the playbooks, their template and the files to copy into dir. Two playbooks are
// made for jet: jet.yml, and jet-plain.yml for builds that have no module line yet.
func writeSite(dir string) error {
	embedded, err := fs.Sub(site, "site")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, embedded); err != nil {
		return fmt.Errorf("writing the playbooks: %w", err)
	}
	book, err := fs.ReadFile(embedded, "jet.yml")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil { //nolint:gosec // nothing secret is in it
		return err
	}
	small, big := payload()
	for name, data := range map[string][]byte{
		"jet-plain.yml": plain(book), "files/small.txt": small, "files/big.bin": big,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil { //nolint:gosec // nothing secret is in it
			return fmt.Errorf("writing the files of the playbooks: %w", err)
		}
	}
	return nil
}

// payload makes a text of 1 KiB and 1 MiB of noise, the same ones each time.
func payload() (small, big []byte) {
	source := rand.NewChaCha8([32]byte([]byte("the same bytes whenever it runs.")))
	big = make([]byte, 1<<20)
	_, _ = source.Read(big) // never fails
	raw := make([]byte, 768)
	_, _ = source.Read(raw)
	text := []byte(base64.StdEncoding.EncodeToString(raw))
	for i := 63; i < len(text); i += 64 {
		text[i] = '\n'
	}
	return text, big
}

// plain replaces the task of the module line by a command that does the same.
func plain(book []byte) []byte {
	const (
		tag  = "    - !line\n"
		next = "    - !shell\n      name: 09"
	)
	before, rest, _ := bytes.Cut(book, []byte(tag))
	_, after, _ := bytes.Cut(rest, []byte(next))
	const task = `    - !shell
      name: 08 ensure a line
      cmd: "grep -q '^answer=' {{ base }}/d/lines.txt 2>/dev/null || echo answer=42 >> {{ base }}/d/lines.txt"
      changed_when: "false"
`
	return bytes.Join([][]byte{before, []byte(task), []byte(next), after}, nil)
}

// jetInventory is an inventory for jet as the text of its files.
func jetInventory(targets []target) map[string]string {
	files := make(map[string]string, len(targets)+1)
	var group strings.Builder
	group.WriteString("hosts:\n")
	for _, t := range targets {
		_, _ = fmt.Fprintf(&group, "  - %s\n", t.Name)
		files["host_vars/"+t.Name+".yml"] = fmt.Sprintf(
			"jet_ssh_hostname: %s\njet_ssh_port: %d\njet_ssh_user: root\nlabel: %s\nbase: %s\n",
			t.Address, t.Port, t.Name, t.Base)
	}
	files["groups/lab.yml"] = group.String()
	return files
}

// access says how tools log in.
type access struct{ Key, KnownHosts string }

// ansibleInventory is an inventory for ansible-playbook.
func ansibleInventory(targets []target, a access) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, `[all:vars]
ansible_user=root
ansible_python_interpreter=/usr/bin/python3
ansible_ssh_private_key_file=%s
ansible_ssh_common_args=-F none -o UserKnownHostsFile=%s -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes
[lab]
`, a.Key, a.KnownHosts)
	for _, t := range targets {
		_, _ = fmt.Fprintf(&b, "%s ansible_host=%s ansible_port=%d label=%s base=%s\n", t.Name, t.Address, t.Port, t.Name, t.Base)
	}
	return b.String()
}

// sshConfig is a configuration for the OpenSSH client.
func sshConfig(targets []target, a access) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, `Host *
  User root
  IdentityFile %s
  IdentitiesOnly yes
  UserKnownHostsFile %s
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
`, a.Key, a.KnownHosts)
	for _, t := range targets {
		_, _ = fmt.Fprintf(&b, "Host %s\n  HostName %s\n  Port %d\n", t.Name, t.Address, t.Port)
	}
	return b.String()
}

// ansibleConfig is the ansible.cfg of one of the peers.
func ansibleConfig(peer string, forks int, mitogen string) string {
	if peer == peerDefault {
		return "[defaults]\nretry_files_enabled = False\n"
	}
	cfg := fmt.Sprintf("[defaults]\nretry_files_enabled = False\nforks = %d\n", forks)
	if peer == peerMitogen {
		return cfg + "strategy_plugins = " + mitogen + "\nstrategy = mitogen_linear\n"
	}
	return cfg + "[ssh_connection]\npipelining = True\n" +
		"ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o Compression=no\n"
}
