package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/doctor"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// doctorTimeout bounds an examination.
const doctorTimeout = time.Minute

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the bus and all that depends on it",
		Long: `doctor looks at the connection and the credentials, the server and its clock, the
store and its streams and how full they are, the disk, the durability, the rules
in force, events that are not judged, jobs without a heartbeat, runners, sources
that fail, and what is paused. Each check is ok, a warning or a fault, with what to do. It changes nothing, and needs the role
admin or viewer.

Exit codes: 0 no fault (there may be warnings), 1 a fault, 2 wrong usage.`,
		Example: "  jet doctor\n  jet doctor --json | jq 'select(.level != \"ok\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := a.env.Context(cmd.Context())
			defer cancel()
			ctx, done := context.WithTimeout(ctx, doctorTimeout)
			defer done()
			return a.tellFindings(a.examine(ctx))
		},
	}
}

// examine makes the checks. A bus that cannot be reached is a finding like others.
func (a *app) examine(ctx context.Context) []doctor.Finding {
	unreachable := func(err error) []doctor.Finding {
		return []doctor.Finding{{
			Check: "connection", Level: doctor.Fault, Text: err.Error(),
			Do: "see that jet-bus runs and can be reached from here, and that the credentials are of this bus",
		}}
	}
	o, err := a.access.Options(a.env, "admin")
	if err != nil {
		return unreachable(err)
	}
	b, done, err := a.connect(ctx)
	if err != nil {
		return unreachable(err)
	}
	defer done()
	options := doctor.Options{CredsFile: o.CredsFile}
	data := cmp.Or(a.access.Bus, access.DataDir(a.env))
	// A data directory on this machine may be that of another bus.
	if local, err := access.ReadAddress(data); err == nil && local.Bus == o.URL {
		options.Data = data
	}
	return doctor.Examine(ctx, b, options)
}

func (a *app) tellFindings(found []doctor.Finding) error {
	for _, f := range found {
		if a.json {
			if err := a.line(f); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(a.env.Stdout, "%-8s %-12s %s\n", f.Level, f.Check, proc.Printable(f.Text)); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		if f.Do != "" {
			a.printf("%22s%s\n", "-> ", proc.Printable(f.Do))
		}
	}
	faults, warnings := doctor.Count(found, doctor.Fault), doctor.Count(found, doctor.Warning)
	if !a.json {
		a.printf("faults: %d, warnings: %d\n", faults, warnings)
	}
	if faults > 0 {
		return proc.ErrSilent
	}
	return nil
}
