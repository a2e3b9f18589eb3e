package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The events of a run, and the rules they meet. A load event says on which hosts its jobs work, and for
// how long each task does.
const (
	typeNone  = "com.example.chaos.none"  // no rule knows it
	typeOne   = "com.example.chaos.one"   // one job, unless the event says skip
	typeTwo   = "com.example.chaos.two"   // two jobs
	typeGroup = "com.example.chaos.group" // one job on several hosts
	typeLeft  = "com.example.chaos.left"  // what the rules that remember wait for, by key; see ordered.go
	typeRight = "com.example.chaos.right"
	typeLink  = "com.example.chaos.link." // and the name of the rule that published it
)

const hookName = "chaos"

// rulesOf returns the names of the rules that fire for an event.
func rulesOf(eventType string, skip bool) []string {
	switch {
	case eventType == typeOne && !skip:
		return []string{"one"}
	case eventType == typeTwo:
		return []string{"two-a", "two-b"}
	case eventType == typeGroup:
		return []string{"group"}
	}
	return nil
}

// rules are the names of the rules that are for one event of the load.
func rules() []string { return []string{"one", "two-a", "two-b", "group"} }

// tasks are the names of the playbook's tasks, in order.
func tasks() []string { return []string{"first", "second", "third"} }

// markScript leaves marks in a host's journal: who did what, when it began and how it ended. The time is
// that of the machine since its start, the same clock for all hosts and processes.
const markScript = `#!/bin/sh
# mark JOURNAL EVENT RULE TASK SECONDS
journal=$1 line="$$ ${SSH_CONNECTION%% *} $2 $3 $4"
seconds=$5
say() {
	read -r now rest </proc/uptime
	echo "$now $1 $line" >>"$journal"
}
trap 'say killed; exit 143' TERM HUP INT
say begin
sleep "$seconds"
say end
`

func rule(name, on, condition string) string {
	return marking(name, fmt.Sprintf("on: [%s]\n    condition: %s", on, condition))
}

// marking is a rule whose job leaves marks where the event says.
func marking(name, when string) string {
	return fmt.Sprintf(`  - name: %[1]s
    %[2]s
    run:
      playbook: playbooks/mark.yml
      limit: ${{ event.data.hosts }}
      vars: {cause: "${{ event.id }}", rule: %[1]s, work: "${{ event.data.work }}"}
`, name, when)
}

// writeSite makes the content directory, and the webhooks with their secret in the data directory.
func writeSite(dir, data, secret string, hosts int) error {
	var playbook, group strings.Builder
	playbook.WriteString("- name: Leave marks\n  groups: [all]\n  tasks:\n")
	for _, t := range tasks() {
		fmt.Fprintf(&playbook, "    - !shell\n      name: %[1]s\n      cmd: '{{mark}} {{journal}} {{cause}} {{rule}} %[1]s {{work}}'\n", t)
	}
	files := map[string]string{
		filepath.Join(dir, "mark"): markScript,
		filepath.Join(dir, "content/rules/chaos.yml"): "rules:\n" +
			rule("one", typeOne, "not event.data.skip") + rule("two-a", typeTwo, "true") +
			rule("two-b", typeTwo, "true") + rule("group", typeGroup, "true") + orderedRules(),
		filepath.Join(dir, "content/playbooks/mark.yml"): playbook.String(),
		filepath.Join(data, "hooks.yml"): "hooks:\n  - name: " + hookName +
			"\n    kind: cloudevents\n    secret_files: [chaos.secret]\n",
		filepath.Join(data, "chaos.secret"): secret + "\n",
	}
	group.WriteString("hosts:\n")
	for i := range hosts {
		name := hostName(i)
		group.WriteString("  - " + name + "\n")
		files[filepath.Join(dir, "content/inventory/host_vars", name)] = fmt.Sprintf(
			"jet_ssh_hostname: %s\njet_ssh_user: root\njet_ssh_private_key_file: %s\nmark: %s\njournal: %s\n",
			hostAddress(i), filepath.Join(dir, "key"), filepath.Join(dir, "mark"), journalFile(dir, name))
	}
	files[filepath.Join(dir, "content/inventory/groups/chaos")] = group.String()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return fmt.Errorf("write the content: %w", err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the content: %w", err)
		}
	}
	return os.Chmod(filepath.Join(dir, "mark"), 0o700) //nolint:gosec // a script
}

func journalFile(dir, host string) string { return filepath.Join(dir, host+".journal") }
