package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func (a *app) sourcesPollCommand() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "poll NAME",
		Short: "Have a source look for events now",
		Long: `poll has a source look for events now instead of when it would have by itself; one
that waits after a failure tries again. With --wait it waits until the source has
looked, and shows what came of it.

Exit codes: 0 it is asked, or with --wait: it has looked; 1 it cannot be, or with
--wait: it failed or has not looked in time; 2 wrong usage.`,
		Example: "  jet sources poll app-releases --wait",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return proc.Usagef("--timeout is how long to wait, such as 30s, not %s", timeout)
			}
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				return a.poll(ctx, b, args[0], wait, timeout)
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it has looked, and show what came")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait, with --wait")
	return cmd
}

// pollLine is what poll --json prints.
type pollLine struct {
	Source string `json:"source"`
	// Asked is the number of the asking; the look that answers it has it or a higher one.
	Asked uint64 `json:"asked"`
	// Look is what came of it, with --wait.
	Look *intake.Look `json:"look,omitempty"`
}

func (a *app) poll(ctx context.Context, b *bus.Bus, name string, wait bool, timeout time.Duration) error {
	s, err := findSource(ctx, b, name)
	if err == nil {
		err = isSource(s)
	}
	switch {
	case err != nil:
		return err
	case s.State == intake.Paused:
		return fmt.Errorf("source %s is %s; jet sources resume %s has it go on", name, sourceState(s), name)
	case s.State == intake.Off:
		return fmt.Errorf("source %s is turned off in %s", name, intake.File)
	}
	asked, err := intake.Ask(ctx, b, name, b.User)
	if err != nil {
		return err
	}
	line := pollLine{Source: name, Asked: asked}
	if !wait {
		if a.json {
			return a.line(line)
		}
		a.printf("source %s is asked to look now\n", name)
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err = intake.Looked(waiting, b, name, asked)
	switch {
	case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("source %s has not looked within %s; jet sources show %s says how it fares", name, timeout, name)
	case err != nil:
		return err
	}
	line.Look = s.Look
	return a.looked(line)
}

// looked shows what came of a look.
func (a *app) looked(p pollLine) error {
	if a.json {
		if err := a.line(p); err != nil {
			return err
		}
	} else {
		a.printf("source %s has looked: %s\n", p.Source, proc.Printable(lookOutcome(*p.Look)))
		for _, e := range p.Look.Found {
			a.printf("  %s\n", proc.Printable(e.Type+" "+e.ID))
		}
		if p.Look.More > 0 {
			a.printf("  and %d more\n", p.Look.More)
		}
	}
	if p.Look.Error != "" {
		return proc.ErrSilent
	}
	return nil
}
