package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is how wide the help of grouped flags is, in columns.
const helpWidth = 100

// flagGroup is flags that the help shows together under a title. The command only
// carries them.
type flagGroup struct {
	title string
	*cobra.Command
	// inherited names flags of all commands that the help shows in this group.
	inherited []string
}

// newFlagGroup returns a group without flags.
func newFlagGroup(title string) flagGroup { return flagGroup{title: title, Command: &cobra.Command{}} }

// bindGroups gives a command the flags of groups. Its help shows them in that
// order, then --json, then the text. Other flags of all commands it shows only where
// a group names them.
func bindGroups(cmd *cobra.Command, text string, groups ...flagGroup) {
	for _, g := range groups {
		g.Flags().SortFlags = false
		cmd.Flags().AddFlagSet(g.Flags())
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range groups {
			shown := newFlagGroup(g.title)
			shown.Flags().SortFlags = false
			shown.Flags().AddFlagSet(g.Flags())
			for _, name := range g.inherited {
				shown.Flags().AddFlag(cmd.InheritedFlags().Lookup(name))
			}
			fmt.Fprintf(&b, "\n%s:\n%s", g.title, shown.Flags().FlagUsagesWrapped(helpWidth))
		}
		if json := cmd.InheritedFlags().Lookup("json"); json != nil {
			global := newFlagGroup("Global Flags")
			global.Flags().AddFlag(json)
			fmt.Fprintf(&b, "\n%s:\n%s", global.title, global.Flags().FlagUsages())
		}
		fmt.Fprintf(&b, "\n%s\n", text)
		_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
		return err
	})
}
