package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/rulegraph"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

func (a *app) rulesExplainCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "explain RULE",
		Short: "Say in words what a rule waits for, what it does, and what may keep it from that",
		Long: `explain says in plain words what a rule waits for, what it does then, what
bounds it, and what could keep it from firing. The rule is one of those in force
on the bus, or of the content directory --dir, which needs no bus.`,
		Example: `  jet rules explain upgrade-app
  jet rules explain upgrade-app --dir content`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.explainRule(cmd.Context(), args[0], dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the rules of this content `directory`, not those in force")
	return cmd
}

func (a *app) explainRule(ctx context.Context, name, dir string) error {
	set, err := a.rulesOf(ctx, dir)
	if err != nil {
		return err
	}
	r := set.Rule(name)
	if r == nil {
		var known []string
		for _, r := range set.Rules() {
			known = append(known, r.Name)
		}
		return fmt.Errorf("there is no rule %s in rule set %s%s", name, set.Digest()[:shortID], strictyaml.Suggest(name, known))
	}
	e := rulegraph.Explain(set, r)
	if a.json {
		return a.line(e)
	}
	a.printable(e.String())
	return nil
}

// rulesOf returns the rules of a directory, or those in force if there is none.
func (a *app) rulesOf(ctx context.Context, dir string) (*rules.Set, error) {
	if dir != "" {
		return loadRules(dir)
	}
	b, done, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return a.rulesInForce(ctx, b)
}
