package cli

import (
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// listTasks prints tasks under the names of their plays.
func (a *app) listTasks(tasks []engine.TaskInfo) error {
	play := ""
	for i, t := range tasks {
		if a.json {
			line := map[string]any{
				"play": t.Play, "task": t.Name, "module": t.Module, "tags": append([]string{}, t.Tags...),
				"handler": t.Handler, "place": t.Pos.String(),
			}
			if t.Role != "" {
				line["role"] = t.Role
			}
			if t.Block != "" {
				line["block"] = t.Block
			}
			if err := a.line(line); err != nil {
				return err
			}
			continue
		}
		if i == 0 || play != t.Play {
			play = t.Play
			a.printf("play: %s\n", proc.Printable(play))
		}
		if _, err := fmt.Fprintf(a.env.Stdout, "  %s\n", proc.Printable(describe(t))); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	if len(tasks) == 0 && !a.json {
		a.printf("no task would run\n")
	}
	return nil
}

// describe says in one line what a task is.
func describe(t engine.TaskInfo) string {
	kind, name := "task", t.Name
	if t.Handler {
		kind = "handler"
	}
	if t.Block != "" {
		name = t.Block + ": " + name
	}
	if t.Role != "" {
		name = t.Role + ": " + name
	}
	line := fmt.Sprintf("%s: %s (%s)", kind, name, t.Module)
	if len(t.Tags) > 0 {
		line += " [" + strings.Join(t.Tags, ", ") + "]"
	}
	return line
}

// listHosts prints hosts, one a line.
func (a *app) listHosts(hosts []string) error {
	for _, h := range hosts {
		var err error
		if a.json {
			err = a.line(map[string]any{"host": h})
		} else {
			_, err = fmt.Fprintln(a.env.Stdout, proc.Printable(h))
		}
		if err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}

// noFaults says that the files of a run have no faults.
func (a *app) noFaults(files, hosts []string) error {
	if a.json {
		return a.line(map[string]any{"playbooks": files, "hosts": len(hosts), "faults": 0})
	}
	a.printf("no faults in %s\n", proc.Printable(strings.Join(files, ", ")))
	return nil
}
