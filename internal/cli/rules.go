package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/modules"
	"github.com/jet-bus/jet-bus/rules"
)

func (a *app) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show the rules in force, pause and resume them; check rule files",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.rulesList(cmd.Context()) },
	}
	cmd.AddCommand(a.rulesCheckCommand(), a.rulesPauseCommand(), a.rulesResumeCommand())
	return cmd
}

func (a *app) rulesCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check the rules of a content directory, and the playbooks they run",
		Long: `check loads rules/ of a content directory (the current one by default) as
jet-bus would, reads every playbook a rule runs, and reports all faults with
their places.

Exit codes: 0 no fault, 1 faults, 2 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.rulesCheck(dir)
		},
	}
}

func (a *app) rulesCheck(dir string) error {
	if info, err := os.Stat(filepath.Join(dir, "rules")); err != nil || !info.IsDir() {
		return fmt.Errorf("check rules: %s has no directory rules", dir)
	}
	set, err := rules.Load(os.DirFS(dir), "rules")
	if err != nil {
		return err
	}
	if err := checkFiles(dir, set); err != nil {
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

// checkFiles reads every playbook that a rule runs, and looks for the inventories.
func checkFiles(dir string, set *rules.Set) error {
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return err
	}
	var errs []error
	checked := map[string]bool{}
	for _, r := range set.Rules() {
		if name := r.Run.Inventory; !checked[name] {
			checked[name] = true
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				errs = append(errs, r.Pos.Errorf("rule %s: %s is not in the content directory", r.Name, name))
			}
		}
		if checked[r.Run.Playbook] {
			continue
		}
		checked[r.Run.Playbook] = true
		file := filepath.Join(dir, filepath.FromSlash(r.Run.Playbook))
		_, err := engine.Parse(file, reg, engine.ParseOptions{RolesPath: []string{filepath.Join(dir, "roles")}})
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", r.Name, err))
		}
	}
	return errors.Join(errs...)
}

// sortVerdicts puts what fired first, then what nearly did, each by name.
func sortVerdicts(vs []rules.Verdict) {
	slices.SortStableFunc(vs, func(a, b rules.Verdict) int {
		return cmp.Or(cmp.Compare(a.Outcome, b.Outcome), strings.Compare(a.Rule.Name, b.Rule.Name))
	})
}
