package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What the flow runs: one rule, one playbook of one task that does nothing, and hosts that are all
// this machine, so that the figures are those of the bus and not of SSH.
const (
	eventType = "com.example.flow"
	ruleName  = "flow"
	hostCount = 64

	ruleFile = `rules:
  - name: flow
    on: [com.example.flow]
    condition: event.data.host startsWith "h"
    run:
      playbook: playbooks/flow.yml
      limit: ${{ event.data.host }}
      vars:
        number: ${{ event.data.number }}
`
	playbookFile = `- name: Do nothing
  groups:
    - all
  tasks:
    - !echo
      msg: "number {{ number }}"
`
)

// hostName is the name of host i, any i.
func hostName(i int) string { return fmt.Sprintf("h%02d", i%hostCount) }

// writeContent makes a content directory.
func writeContent(dir string) error {
	var group strings.Builder
	group.WriteString("hosts:\n")
	files := map[string]string{
		"rules/flow.yml":     ruleFile,
		"playbooks/flow.yml": playbookFile,
	}
	for i := range hostCount {
		group.WriteString("  - " + hostName(i) + "\n")
		files["inventory/host_vars/"+hostName(i)] = "jet_ssh_hostname: localhost\n"
	}
	files["inventory/groups/flow"] = group.String()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return fmt.Errorf("write the content: %w", err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the content: %w", err)
		}
	}
	return nil
}
