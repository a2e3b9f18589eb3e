package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/docs"
	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/reference"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/modules"
)

func (a *app) modulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "modules [NAME]",
		Short: "List the modules, or show what one does and takes",
		Long: `modules lists what tasks of a playbook can name. With a name, it shows what
that module does, its parameters, what its result holds, and an example.

Exit codes: 0 all went well, 1 something failed, 2 wrong usage.`,
		Example: `  jet modules
  jet modules copy`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listModules()
			}
			return a.showModule(args[0])
		},
	}
}

// listModules prints the names of all modules, and a sentence on each.
func (a *app) listModules() error {
	var rows [][]string
	for _, m := range modules.Table() {
		if a.json {
			if err := a.line(map[string]any{"module": m.Name, "doc": m.Doc}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{m.Name, m.Doc})
	}
	return table(a.env.Stdout, rows)
}

// showModule prints the page of a module.
func (a *app) showModule(name string) error {
	all := modules.Table()
	i := slices.IndexFunc(all, func(m engine.Spec) bool { return m.Name == name })
	if i < 0 {
		var names []string
		for _, m := range all {
			names = append(names, m.Name)
		}
		return proc.Usagef("unknown module %q%s", name, strictyaml.Suggest(name, names))
	}
	page, err := docs.Module(name)
	if err != nil {
		return fmt.Errorf("show module %s: %w", name, err)
	}
	if a.json {
		return a.line(map[string]any{"module": name, "doc": all[i].Doc, "page": page})
	}
	if _, err := fmt.Fprint(a.env.Stdout, reference.Plain(page)); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
