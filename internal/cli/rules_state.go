package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/rules"
)

func (a *app) rulesStateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "state [RULE]",
		Short: "Show what the rules remember: facts, and the windows that are open",
		Long: `state shows the facts that rules have set, and the windows and throttles that are
open, those that end first before the others, at most 1000 of each rule. With RULE
it shows the windows of that rule alone.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				return a.rulesState(ctx, b, strings.Join(args, ""))
			})
		},
	}
}

// stateLine is the JSON form of a fact, or of an open window.
type stateLine struct {
	Fact  string `json:"fact,omitempty"`
	Value any    `json:"value,omitempty"`

	Rule    string     `json:"rule,omitempty"`
	Key     string     `json:"key,omitempty"`
	Began   *time.Time `json:"began,omitempty"`
	Ends    *time.Time `json:"ends,omitempty"`
	Events  int        `json:"events,omitempty"`
	Missing []string   `json:"missing,omitempty"`
}

const maxWindows = 1000 // shown of each rule

func (a *app) rulesState(ctx context.Context, b *bus.Bus, only string) error {
	w := why{app: a, bus: b}
	st, c, err := ordered.Current(ctx, b, w.fetch)
	if err != nil {
		return err
	}
	var lines []stateLine
	if st != nil {
		if only != "" && c.Set.Rule(only) == nil {
			return fmt.Errorf("there is no rule %s in rule set %s", only, c.Set.Digest()[:shortID])
		}
		lines = stateLines(st, c.Set, only)
	}
	if a.json {
		for _, l := range lines {
			if err := a.line(l); err != nil {
				return err
			}
		}
		return nil
	}
	var facts, windows [][]string
	for _, l := range lines {
		if l.Fact != "" {
			facts = append(facts, []string{l.Fact, rules.Spell(l.Value)})
		} else {
			windows = append(windows, []string{
				l.Rule, l.Key, stamp(*l.Began), stamp(*l.Ends), strconv.Itoa(l.Events), strings.Join(l.Missing, ", "),
			})
		}
	}
	if facts == nil && windows == nil {
		a.printf("no fact is set and no window is open\n")
		return nil
	}
	if facts != nil {
		if err := table(a.env.Stdout, append([][]string{{"FACT", "VALUE"}}, facts...)); err != nil || windows == nil {
			return err
		}
		a.printf("\n")
	}
	return table(a.env.Stdout, append([][]string{{"RULE", "KEY", "BEGAN", "ENDS", "EVENTS", "MISSING"}}, windows...))
}

func stateLines(st *rules.State, set *rules.Set, only string) []stateLine {
	var out []stateLine
	if only == "" {
		facts := st.Facts()
		for _, k := range slices.Sorted(maps.Keys(facts)) {
			out = append(out, stateLine{Fact: k, Value: facts[k]})
		}
	}
	for _, r := range set.Rules() {
		if only != "" && r.Name != only {
			continue
		}
		for _, w := range st.Windows(r.Name, maxWindows) {
			began, ends := w.Began.UTC(), w.Ends.UTC()
			out = append(out, stateLine{
				Rule: r.Name, Key: w.Key, Began: &began, Ends: &ends, Events: w.Count, Missing: w.Missing,
			})
		}
	}
	return out
}
