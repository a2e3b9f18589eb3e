package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func (a *app) sourcesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "Show where events come from by themselves, and how that fares; pause, resume, look now",
		Long: `sources lists the sources of the content in force (sources.yml) and the webhooks:
how each fares, the last event it brought, when it last looked for events and when
it will again, and what keeps it from its work.`,
		Example: "  jet sources\n  jet sources --json | jq 'select(.state == \"failing\")'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.withBus(cmd.Context(), a.sources) },
	}
	show := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show all that is known of one source",
		Example: "  jet sources show app-releases",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				all, err := findSources(ctx, b, args[0])
				for _, s := range all {
					err = cmp.Or(err, a.sourceShow(s))
				}
				return err
			})
		},
	}
	cmd.AddCommand(show, a.sourcesPauseCommand(), a.sourcesResumeCommand(), a.sourcesPollCommand())
	return cmd
}

// listSources returns how all sources fare. A pause, or its end, may be so new that
// nobody has acted on it.
func listSources(ctx context.Context, b *bus.Bus) ([]intake.State, error) {
	all, err := intake.States(ctx, b)
	if err != nil {
		return nil, err
	}
	pauses, err := control.List(ctx, b)
	if err != nil {
		return nil, err
	}
	for i := range all {
		s := &all[i]
		s.Telling = nil // jet-bus's own concern
		at := slices.IndexFunc(pauses, func(p control.Pause) bool { return p.Kind == control.Source && p.Name == s.Name && p.Holds() })
		switch {
		case at >= 0 && s.State != intake.Off:
			p := pauses[at]
			s.State, s.Since, s.PausedBy, s.Reason = intake.Paused, p.Since, p.By, p.Reason
		case at < 0 && s.State == intake.Paused:
			s.State, s.PausedBy, s.Reason = intake.Waiting, "", ""
		}
	}
	return all, nil
}

// findSources returns how one source fares, or how one webhook does on each jet-bus that
// serves it.
func findSources(ctx context.Context, b *bus.Bus, name string) ([]intake.State, error) {
	all, err := listSources(ctx, b)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s intake.State) bool { return s.Name != name })
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no source %s; jet sources lists them", name)
	}
	return all, nil
}

// findSource returns how one source fares.
func findSource(ctx context.Context, b *bus.Bus, name string) (intake.State, error) {
	all, err := findSources(ctx, b, name)
	if err != nil {
		return intake.State{}, err
	}
	return all[0], nil
}

func (a *app) sources(ctx context.Context, b *bus.Bus) error {
	all, err := listSources(ctx, b)
	if err != nil {
		return err
	}
	rows := [][]string{{"SOURCE", "KIND", "STATE", "LAST EVENT", "CHECKED", "NEXT", "ERROR"}}
	several := slices.ContainsFunc(all, func(s intake.State) bool { return s.By != "" })
	if several {
		rows[0] = slices.Insert(rows[0], 2, "RUNS ON")
	}
	for _, s := range all {
		if a.json {
			if err := a.line(s); err != nil {
				return err
			}
			continue
		}
		fault := "-"
		if s.Failures > 0 || s.State == intake.Failing {
			fault = cmp.Or(s.Error, "-")
		}
		last := "-"
		if s.Event != nil {
			last = stamp(s.Event.At) + " " + s.Event.Type
		}
		row := []string{s.Name, s.Kind, sourceState(s), last, stamp(s.Checked), stamp(s.Next), fault}
		if several {
			row = slices.Insert(row, 2, cmp.Or(s.By, "-"))
		}
		rows = append(rows, row)
	}
	if a.json {
		return nil
	}
	return table(a.env.Stdout, rows)
}

// sourceState says in a few words how a source fares.
func sourceState(s intake.State) string {
	switch s.State {
	case intake.Failing:
		since := s.FailedSince
		if since.IsZero() {
			since = s.Since
		}
		return "failing since " + stamp(since)
	case intake.Paused:
		return pauseState(control.Pause{By: s.PausedBy, Reason: s.Reason, Since: s.Since})
	default:
		return string(s.State)
	}
}

func (a *app) sourceShow(s intake.State) error {
	if a.json {
		return a.line(s)
	}
	rows := [][]string{
		{"name", s.Name},
		{"kind", s.Kind},
		{"state", sourceState(s)},
		{"since", stamp(s.Since)},
		{"runs on", cmp.Or(s.By, "jet-bus")},
		{"checked", stamp(s.Checked)},
		{"next", stamp(s.Next)},
		{"events", strconv.FormatUint(s.Events, 10)},
	}
	if e := s.Event; e != nil {
		rows = append(rows, []string{"last event", fmt.Sprintf("%s %s, id %s", stamp(e.At), e.Type, e.ID)})
	}
	if s.Failures > 0 {
		rows = append(rows, []string{"failures", fmt.Sprintf("%d since %s", s.Failures, stamp(s.FailedSince))})
	}
	if s.Error != "" {
		rows = append(rows, []string{"last error", stamp(s.ErrorAt) + " " + s.Error})
	}
	if l := s.Look; l != nil {
		rows = append(rows, []string{"asked look", stamp(l.Done) + " " + lookOutcome(*l)})
	}
	return table(a.env.Stdout, rows)
}

// lookOutcome says what came of a look.
func lookOutcome(l intake.Look) string {
	found := count(len(l.Found)+l.More, "event")
	if l.Error != "" {
		return found + ", and it failed: " + l.Error
	}
	return found
}

// isSource refuses webhooks where only sources will do.
func isSource(s intake.State) error {
	if s.Webhook() {
		return fmt.Errorf("%s is no source: its sender decides when events come; hooks.yml says whether it is there", s.Title())
	}
	return nil
}

func (a *app) sourcesPauseCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Stop a source until it is resumed",
		Long: `pause stops a source: it brings no events. What it remembers stays, so that once
it is resumed it goes on from where it was, as after a restart of jet-bus.`,
		Example: "  jet sources pause nightly --reason 'maintenance until noon'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				s, err := findSource(ctx, b, args[0])
				if err == nil {
					err = isSource(s)
				}
				if err != nil {
					return err
				}
				return a.pause(ctx, b, control.Pause{Kind: control.Source, Name: s.Name, Reason: reason})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return cmd
}

func (a *app) sourcesResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume NAME",
		Short:   "Have a paused source go on",
		Example: "  jet sources resume nightly",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				p, err := control.Resume(ctx, b, control.Source, args[0], b.User, false)
				switch {
				case errors.Is(err, control.ErrNotPaused):
					return fmt.Errorf("source %s is not paused; jet sources lists those that are", args[0])
				case err != nil:
					return err
				case a.json:
					return a.line(p)
				}
				a.printf("%s is resumed\n", proc.Printable(p.String()))
				return nil
			})
		},
	}
}
