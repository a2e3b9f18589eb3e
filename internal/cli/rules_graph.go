package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/plans"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/rulegraph"
)

func (a *app) rulesGraphCommand() *cobra.Command {
	var format string
	var fail bool
	cmd := &cobra.Command{
		Use:   "graph [DIR]",
		Short: "Draw which events lead to which rules, and these to playbooks and events again",
		Long: `graph draws how the rules of a content directory (the current one by default)
hang together: events, the rules that are for them, the playbooks they run, and
what rules and the publish tasks of playbooks publish, notify, and set as facts;
and the events about jobs, where a rule is for them.

Circles, in which an event leads to rules and these to it again, are marked. A
condition may well end such a circle: graph looks at one kind of demand alone, that
for the jobs of one rule, event.data.rule == "NAME", at the beginning of a condition
that has no or, no pipe and no choice. Rules that are disabled or shadows are drawn,
and are part of no circle; nor are facts, which start no rule by themselves.

Exit codes: 0 drawn, 1 faults, 2 wrong usage; with --fail-on-loop also 3: there
is a circle.`,
		Example: `  jet rules graph content
  jet rules graph --format dot | dot -Tsvg >rules.svg
  jet rules graph --fail-on-loop`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			draw, ok := map[string]func(*rulegraph.Graph) string{
				"text": (*rulegraph.Graph).Text, "dot": (*rulegraph.Graph).DOT, "mermaid": (*rulegraph.Graph).Mermaid,
			}[format]
			if !ok {
				return proc.Usagef("--format is text, dot or mermaid, not %s", format)
			}
			return a.rulesGraph(cmd.Context(), contentDir(args), draw, fail)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, dot (Graphviz) or mermaid")
	cmd.Flags().BoolVar(&fail, "fail-on-loop", false, "exit with 3 if there is a circle")
	return cmd
}

func (a *app) rulesGraph(ctx context.Context, dir string, draw func(*rulegraph.Graph) string, fail bool) error {
	set, err := loadRules(dir)
	if err != nil {
		return err
	}
	p, err := plans.Read(ctx, dir, set)
	if err != nil {
		return err
	}
	var errs []error
	g := rulegraph.Build(set, func(playbook string) []string {
		types, err := p.Published(playbook)
		errs = append(errs, err)
		return types
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if a.json {
		if err := a.line(g); err != nil {
			return err
		}
	} else {
		a.printable(draw(g))
	}
	if fail && len(g.Loops) > 0 {
		a.exit = exitLoops
	}
	return nil
}

// printable writes a text of several lines, each fit for a terminal.
func (a *app) printable(text string) {
	for line := range strings.Lines(text) {
		a.printf("%s\n", proc.Printable(strings.TrimSuffix(line, "\n")))
	}
}
