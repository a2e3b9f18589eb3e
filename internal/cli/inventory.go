package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// maxListed is how many names a list shows people.
const maxListed = 500

func (a *app) inventoryCommand() *cobra.Command {
	var dirs, groups, hosts []string
	cmd := &cobra.Command{
		Use:   "inventory -i INVENTORY",
		Short: "Show the groups and hosts of an inventory, and their variables",
		Long: `inventory shows groups and hosts of an inventory: how they are related, and the
variables they have, blended as a run would. Without --group and --host it shows
the group all. Passwords and passphrases are not shown.

Exit codes: 0 all went well, 1 an unknown name or a faulty file, 2 wrong usage.`,
		Example: `  jet inventory -i inventory
  jet inventory -i inventory --group web --host db1 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(dirs) == 0 {
				return proc.Usagef("give an inventory with -i")
			}
			return a.showInventory(cmd.Context(), dirs, named(groups), named(hosts))
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&dirs, "inventory", "i", nil, "inventory `directory` or program; may be repeated")
	fs.StringSliceVarP(&groups, "group", "g", nil, "show these `groups`, separated by commas; may be repeated")
	fs.StringSliceVar(&hosts, "host", nil, "show these `hosts`, separated by commas; may be repeated")
	return cmd
}

func (a *app) showInventory(ctx context.Context, dirs, groups, hosts []string) error {
	inv, err := a.loadInventory(ctx, dirs)
	if err != nil {
		return err
	}
	if len(groups)+len(hosts) == 0 {
		groups = []string{"all"}
	}
	views, err := find(inv, groups, hosts)
	if err != nil {
		return err
	}
	for i, v := range views {
		if a.json {
			if err := a.line(v); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			a.printf("\n")
		}
		if err := a.view(v); err != nil {
			return err
		}
	}
	return nil
}

// view is what is shown of a group or a host.
type view struct {
	Group string `json:"group,omitempty"`
	Host  string `json:"host,omitempty"`
	// Groups and DirectGroups are a host's, the rest is a group's.
	Groups       []string       `json:"groups,omitempty"`
	DirectGroups []string       `json:"direct_groups,omitempty"`
	Hosts        []string       `json:"hosts,omitempty"`
	DirectHosts  []string       `json:"direct_hosts,omitempty"`
	Children     []string       `json:"children,omitempty"`
	Descendants  []string       `json:"descendants,omitempty"`
	Parents      []string       `json:"parents,omitempty"`
	Ancestors    []string       `json:"ancestors,omitempty"`
	Vars         map[string]any `json:"vars"`
}

// find looks up groups and hosts, and reports all names that there are not.
func find(inv *inventory.Inventory, groups, hosts []string) ([]view, error) {
	var views []view
	var faults []error
	for _, name := range groups {
		g, ok := inv.Group(name)
		if !ok {
			faults = append(faults, fmt.Errorf("unknown group %q%s", name, strictyaml.Suggest(name, inv.Groups())))
			continue
		}
		views = append(views, view{
			Group: name, Hosts: g.Hosts, DirectHosts: g.Direct, Children: g.Children, Descendants: g.Descendants,
			Parents: g.Parents, Ancestors: g.Ancestors, Vars: withoutSecrets(g.Vars),
		})
	}
	for _, name := range hosts {
		h, ok := inv.Host(name)
		if !ok {
			var known []string
			for _, h := range inv.Hosts() {
				known = append(known, h.Name)
			}
			suggestion := ""
			if len(known) <= maxListed {
				suggestion = strictyaml.Suggest(name, known)
			}
			faults = append(faults, fmt.Errorf("unknown host %q%s", name, suggestion))
			continue
		}
		views = append(views, view{Host: name, Groups: h.Groups, DirectGroups: h.Direct, Vars: withoutSecrets(inv.Vars(h))})
	}
	return views, errors.Join(faults...)
}

// withoutSecrets returns variables with those hidden that must not be shown,
// however deep they are.
func withoutSecrets(vars map[string]any) map[string]any {
	shown := make(map[string]any, len(vars))
	for name, v := range vars {
		if engine.IsSecret(name) {
			v = engine.Hidden
		}
		shown[name] = secretless(v)
	}
	return shown
}

func secretless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return withoutSecrets(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = secretless(e)
		}
		return list
	default:
		return v
	}
}

// view prints a group or a host for people.
func (a *app) view(v view) error {
	rows := [][]string{{"group " + v.Group}}
	type list struct {
		title string
		names []string
	}
	lists := []list{
		{"hosts", v.Hosts},
		{"direct hosts", v.DirectHosts},
		{"children", v.Children},
		{"descendants", v.Descendants},
		{"parents", v.Parents},
		{"ancestors", v.Ancestors},
	}
	if v.Host != "" {
		rows = [][]string{{"host " + v.Host}}
		lists = []list{{"groups", v.Groups}, {"direct groups", v.DirectGroups}}
	}
	for _, l := range lists {
		rows = append(rows, []string{"  " + l.title, listed(l.names)})
	}
	if len(v.Vars) == 0 {
		rows = append(rows, []string{"  variables", "-"})
	}
	if err := table(a.env.Stdout, rows); err != nil || len(v.Vars) == 0 {
		return err
	}
	text, err := yaml.Marshal(v.Vars)
	if err != nil {
		return fmt.Errorf("encode variables: %w", err)
	}
	a.printf("  variables\n")
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Fprintf(a.env.Stdout, "    %s\n", proc.Printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}

// listed writes names in one line.
func listed(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "-"
	case n > maxListed:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), n-maxListed)
	default:
		return strings.Join(names, ", ")
	}
}
