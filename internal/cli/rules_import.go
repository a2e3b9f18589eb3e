package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/rulebook"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// exitFindings means that an import did not convert everything exactly.
const exitFindings = 3

// maxRulebook bounds the size of a rulebook, in bytes.
const maxRulebook = 4 << 20

func (a *app) rulesImportCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Convert a rulebook of ansible-rulebook",
		Long: `import reads a rulebook of ansible-rulebook and writes it as rules of jet-bus, a
rule file with comments. On standard error it says, line by line, what became
of the rulebook: what was converted, what was converted but differs in some
case, and what was not. The last two stand in the rules as comments too. Rules
whose condition could not be converted are disabled.

Rules are for event types, which a rulebook does not have. Unless --on names
them, the events of a rule set "Web Servers" are those of the types
rulebook.web-servers.*, and whatever sends them has to name them so.

docs/from-ansible-rulebook.md has both languages side by side.

Exit codes: 0 everything means the same, 1 FILE is no rulebook that can be read,
2 wrong usage, 3 something differs or was not converted.`,
		Example: `  jet rules import rulebook.yml -o rules/web.yml
  jet rules import rulebook.yml --on com.example.alert --root payload -o rules/web.yml
  jet rules check`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rulesImport(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVarP(&o.out, "output", "o", "", "the rule `file` to write; it must not be there (default: standard output)")
	cmd.Flags().StringSliceVar(&o.on, "on", nil, "the event `types` of what the rulebook's sources send, as a rule's \"on\" takes them")
	cmd.Flags().StringVar(&o.root, "root", "", "the `name` below which the rulebook's events have what is the data of ours, such as payload")
	cmd.Flags().StringVar(&o.vars, "vars", "", "a YAML `file` of variables, as ansible-rulebook takes it")
	return cmd
}

type importOptions struct {
	out, root, vars string
	on              []string
}

// findingLine is the JSON form of a finding; the last line has the rules, unless
// they went to a file.
type findingLine struct {
	File   string        `json:"file,omitempty"`
	Line   int           `json:"line,omitempty"`
	Column int           `json:"column,omitempty"`
	Kind   rulebook.Kind `json:"kind,omitempty"`
	Rule   string        `json:"rule,omitempty"`
	Text   string        `json:"text,omitempty"`
	Rules  string        `json:"rules,omitempty"`
}

func (a *app) rulesImport(ctx context.Context, name string, o importOptions) error {
	options := rulebook.Options{On: o.on, Root: o.root}
	for _, t := range o.on {
		if t == "" || strings.ContainsAny(strings.TrimSuffix(t, ".*"), "*> ") {
			return proc.Usagef("--on names event types such as com.example.alert or com.example.*, not %q", t)
		}
	}
	var err error
	if o.vars != "" {
		if options.Vars, err = readVars(o.vars); err != nil {
			return err
		}
	}
	data, err := readAtMost(name, maxRulebook)
	if err != nil {
		return fmt.Errorf("read the rulebook: %w", err)
	}
	result, err := rulebook.Convert(name, data, options)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.importFindings(result); err != nil {
		return err
	}
	if err := a.importRules(result, o.out); err != nil {
		return err
	}
	if !result.Exact() {
		a.exit = exitFindings
	}
	return nil
}

func (a *app) importFindings(result *rulebook.Result) error {
	for _, f := range result.Findings {
		if a.json {
			if err := a.line(findingLine{
				File: f.Pos.File, Line: f.Pos.Line, Column: f.Pos.Column, Kind: f.Kind, Rule: f.Rule, Text: f.Text,
			}); err != nil {
				return err
			}
			continue
		}
		_, _ = fmt.Fprintln(a.env.Stderr, proc.Printable(f.String()))
	}
	return nil
}

func (a *app) importRules(result *rulebook.Result, out string) error {
	switch {
	case out != "":
		f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // rules are for all to read
		if err != nil {
			return fmt.Errorf("write the rules: %w", err)
		}
		_, err = f.Write(result.Rules)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write the rules: %w", err)
		}
		return nil
	case a.json:
		return a.line(findingLine{Rules: string(result.Rules)})
	default:
		if _, err := a.env.Stdout.Write(result.Rules); err != nil {
			return fmt.Errorf("write the rules: %w", err)
		}
		return nil
	}
}

// readVars reads a file of variables.
func readVars(name string) (map[string]any, error) {
	data, err := readAtMost(name, maxRulebook)
	if err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	f, err := strictyaml.Parse(name, data)
	if err != nil || f.Root == nil {
		return nil, err
	}
	var vars map[string]any
	if err := f.Decode(f.Root, &vars); err != nil {
		return nil, err
	}
	return vars, nil
}

func readAtMost(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return os.ReadFile(name)
}
