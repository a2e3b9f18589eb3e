package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func (a *app) rulesHistoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "Show which rules were in force, and since which event",
		Long: `history lists what has come into force, the newest first: when, the commit it came
with if it is from a git repository, the rule set, its content, and the first event
that was judged with it. The number in front is what jet rules rollback takes: 0 is
the newest content, and the same content has the same number.

The last 64 changes are kept, and their content with them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.withBus(cmd.Context(), a.rulesHistory) },
	}
}

// historyLine is the JSON form of an activation.
type historyLine struct {
	// Number counts contents from the newest, which is 0.
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	dispatch.Activation
	InForce bool `json:"in_force,omitempty"`
}

// history returns the activations, the newest first.
func history(ctx context.Context, b *bus.Bus) ([]historyLine, error) {
	all, err := dispatch.Activations(ctx, b)
	if err != nil {
		return nil, err
	}
	now := dispatch.InForce(all, math.MaxUint64)
	numbers := make(map[string]int)
	current := make(map[string]bool) // those of whom the activation in force was listed
	var out []historyLine
	for _, act := range slices.Backward(all) {
		if act.RuleSet == "" { // a jet-bus that stopped
			current[act.By] = true
			continue
		}
		n, known := numbers[act.Bundle]
		if !known {
			n = len(numbers)
			numbers[act.Bundle] = n
		}
		line := historyLine{Number: n, At: act.At.UTC(), Activation: act}
		line.InForce = !current[act.By] && slices.ContainsFunc(now, func(o dispatch.Activation) bool { return o.Bundle == act.Bundle })
		current[act.By] = true
		out = append(out, line)
	}
	return out, nil
}

func (a *app) rulesHistory(ctx context.Context, b *bus.Bus) error {
	lines, err := history(ctx, b)
	if err != nil {
		return err
	}
	rows := [][]string{{"#", "SINCE", "REVISION", "RULE SET", "CONTENT", "FIRST EVENT", "BY", "STATE"}}
	for _, l := range lines {
		if a.json {
			if err := a.line(l); err != nil {
				return err
			}
			continue
		}
		var state []string
		if l.InForce {
			state = append(state, "in force")
		}
		switch {
		case l.Pinned && l.InForce:
			state = append(state, "pinned")
		case l.Pinned:
			state = append(state, "was pinned")
		}
		rows = append(rows, []string{
			strconv.Itoa(l.Number), stamp(l.At), dash(short(l.Revision)), short(l.RuleSet), short(l.Bundle), strconv.FormatUint(l.Since, 10),
			dash(l.By), dash(strings.Join(state, ", ")),
		})
	}
	if a.json {
		return nil
	}
	if len(lines) == 0 {
		a.printf("no rule set has been in force on this bus\n")
		return nil
	}
	if err := table(a.env.Stdout, rows); err != nil {
		return err
	}
	return a.contentNotes(ctx, b)
}

// contentNotes says what is out of the ordinary with the content in force: that it is
// pinned, or that newer content was refused.
func (a *app) contentNotes(ctx context.Context, b *bus.Bus) error {
	pin, err := dispatch.Pinned(ctx, b)
	if err != nil {
		return err
	}
	if pin.Bundle != "" {
		a.printf("%s\n", proc.Printable(pinText(pin)))
	}
	refusals, err := dispatch.Refusals(ctx, b)
	if err != nil {
		return err
	}
	for _, r := range refusals {
		a.printf("newer content was refused: %s\n", proc.Printable(r.Summary()))
	}
	return nil
}

// pinText says in a line what is pinned.
func pinText(p dispatch.Pin) string {
	s := "content " + short(p.Bundle)
	if p.Revision != "" {
		s += " (revision " + short(p.Revision) + ")"
	}
	s += fmt.Sprintf(" is pinned since %s by %s", stamp(p.At), p.By)
	if p.Reason != "" {
		s += ": " + p.Reason
	}
	return s
}

// short shortens a digest or an id.
func short(id string) string { return id[:min(len(id), shortID)] }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
