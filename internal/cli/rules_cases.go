package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/rulecase"
	"github.com/jet-bus/jet-bus/rules"
)

func (a *app) rulesTestCommand() *cobra.Command {
	var pattern string
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Play the cases that stand beside rules: events in, firings out",
		Long: `test plays the cases of a content directory (the current one by default): the
files rules/**/*_test.yml. A case is a list of steps. Each is an event, or moves
the clock, or both, and says what the rules do then. They are judged by the
evaluator that jet-bus uses; nothing is run, and no bus is needed.

Of a rule that was expected to do something and did not, test says why.

Exit codes: 0 all cases hold, 1 some do not or the files have faults, 2 wrong
usage.`,
		Example: `  jet rules test
  jet rules test content --run 'deploy|rollback'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			only, err := regexp.Compile(pattern)
			if err != nil {
				return proc.Usagef("--run: %w", err)
			}
			return a.rulesTest(contentDir(args), only)
		},
	}
	cmd.Flags().StringVar(&pattern, "run", "", "only the cases whose name matches this regular `expression`")
	return cmd
}

// contentDir returns the content directory that a command was given.
func contentDir(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return "."
}

// loadRules loads the rules of a content directory.
func loadRules(dir string) (*rules.Set, error) {
	if info, err := os.Stat(filepath.Join(dir, "rules")); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("load rules: %s has no directory rules", dir)
	}
	return rules.Load(os.DirFS(dir), "rules")
}

func (a *app) rulesTest(dir string, only *regexp.Regexp) error {
	set, err := loadRules(dir)
	cases, faults := rulecase.Read(os.DirFS(dir), "rules")
	if !errors.Is(faults, os.ErrNotExist) { // that there is no directory has been said
		err = errors.Join(err, faults)
	}
	if err != nil {
		return err
	}
	played, failed := 0, 0
	for _, c := range cases {
		if !only.MatchString(c.Name) {
			continue
		}
		r := c.Play(set)
		played++
		if len(r.Faults) > 0 {
			failed++
		}
		if err := a.caseResult(r); err != nil {
			return err
		}
	}
	switch {
	case len(cases) == 0:
		return fmt.Errorf("test rules: there are no cases in %s: they stand in files that end in _test.yml", filepath.Join(dir, "rules"))
	case played == 0:
		return fmt.Errorf("test rules: --run %s matches the name of no case", only)
	}
	if !a.json {
		a.printf("%s, %d failed\n", count(played, "case"), failed)
	}
	if failed > 0 {
		return proc.ErrSilent
	}
	return nil
}

// caseLine is the JSON form of what came of a case.
type caseLine struct {
	Case   string      `json:"case"`
	Place  string      `json:"place"`
	OK     bool        `json:"ok"`
	Faults []faultLine `json:"faults,omitempty"`
}

type faultLine struct {
	Place   string   `json:"place"`
	Message string   `json:"message"`
	Why     []string `json:"why,omitempty"`
}

func (a *app) caseResult(r rulecase.Result) error {
	line := caseLine{Case: r.Case.Name, Place: r.Case.Pos.String(), OK: len(r.Faults) == 0}
	for _, f := range r.Faults {
		line.Faults = append(line.Faults, faultLine{Place: f.Pos.String(), Message: f.Message, Why: f.Why})
	}
	if a.json {
		return a.line(line)
	}
	word := "ok  "
	if !line.OK {
		word = "FAIL"
	}
	a.printf("%s  %s\n", word, proc.Printable(line.Place+": "+line.Case))
	for _, f := range line.Faults {
		a.printf("  %s\n", proc.Printable(f.Place+": "+f.Message))
		for _, why := range f.Why {
			a.printf("    %s\n", proc.Printable(why))
		}
	}
	return nil
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
