package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/deliver"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/notify"
	"github.com/jet-bus/jet-bus/internal/plans"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/rules"
)

func (a *app) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show the rules in force and before, pause and resume them; check, test and explain rule files",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.rulesList(cmd.Context()) },
	}
	cmd.AddCommand(a.rulesCheckCommand(), a.rulesPauseCommand(), a.rulesResumeCommand(), a.rulesImportCommand())
	cmd.AddCommand(a.rulesTestCommand(), a.rulesSimulateCommand(), a.rulesExplainCommand(), a.rulesGraphCommand())
	cmd.AddCommand(a.rulesHistoryCommand(), a.rulesRollbackCommand(), a.rulesStateCommand())
	return cmd
}

func (a *app) rulesCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check the rules of a content directory, and what they run",
		Long: `check loads rules/ of a content directory (the current one by default) as
jet-bus would, reads every playbook and inventory a rule names, the targets of
notifications in notify.yml, the subscriptions in subscriptions.yml and the sources in
sources.yml, and reports all faults with their places. An inventory that is a program
is not asked.

Exit codes: 0 no fault, 1 faults, 2 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.rulesCheck(cmd.Context(), dir)
		},
	}
}

func (a *app) rulesCheck(ctx context.Context, dir string) error {
	if info, err := os.Stat(filepath.Join(dir, "rules")); err != nil || !info.IsDir() {
		return fmt.Errorf("check rules: %s has no directory rules", dir)
	}
	set, err := rules.Load(os.DirFS(dir), "rules")
	if err != nil {
		return err
	}
	_, plansErr := plans.Read(ctx, dir, set)
	_, targetsErr := notify.Read(os.DirFS(dir), set)
	_, subsErr := deliver.Read(os.DirFS(dir))
	_, sourcesErr := intake.Read(os.DirFS(dir), intake.All())
	if err := errors.Join(plansErr, targetsErr, subsErr, sourcesErr); err != nil {
		return err
	}
	if a.json {
		return a.line(map[string]any{"rule_set": set.Digest(), "rules": len(set.Rules())})
	}
	a.printf("%d rules, no faults; rule set %s\n", len(set.Rules()), set.Digest()[:shortID])
	for _, r := range set.Rules() {
		if terms := r.Terms(); terms != nil {
			a.printf("  %s: %s\n", r.Name, proc.Printable(strings.Join(terms, "; ")))
		}
	}
	return nil
}

// sortVerdicts puts what fired first, then what nearly did, each by name.
func sortVerdicts(vs []rules.Verdict) {
	slices.SortStableFunc(vs, byOutcome)
}

func byOutcome(a, b rules.Verdict) int {
	return cmp.Or(cmp.Compare(a.Outcome, b.Outcome), strings.Compare(a.Rule.Name, b.Rule.Name))
}
