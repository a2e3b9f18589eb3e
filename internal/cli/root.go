package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// app is what the subcommands share.
type app struct {
	env    proc.Env
	access access.Flags
	json   bool
	// insist is closed at the second request to end; the contexts of commands end at
	// the first.
	insist <-chan struct{}
	// exit is the exit code if it says more than success and failure do.
	exit int
}

// Exit codes beside those of [proc].
const (
	// exitChanged means that a check found something to change.
	exitChanged = 3
	// exitInterrupted and exitTerminated mean that a signal stopped the command.
	exitInterrupted = 130
	exitTerminated  = 143
)

// Main is the jet command. It returns the exit code.
func Main(ctx context.Context, env proc.Env) int {
	a := &app{env: env, insist: ctx.Done()}
	cmd := &cobra.Command{
		Use:   "jet",
		Short: "Run playbooks, publish events, and see what happens on the bus",
		Long: `jet runs playbooks, publishes events, and shows what happens on a jet-bus.

Exit codes: 0 all went well, 1 something failed (a host, a job, a faulty file,
the command itself), 2 wrong usage, 130 stopped by SIGINT, 143 by SIGTERM.`,
		Version:       proc.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	a.access.Bind(cmd, "admin")
	cmd.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, one object a line")
	cmd.AddCommand(
		a.runCommand(),
		a.inventoryCommand(),
		a.modulesCommand(),
		a.publishCommand(),
		a.eventsCommand(),
		a.jobsCommand(),
		a.runnersCommand(),
		a.rulesCommand(),
		a.webhooksCommand(),
		a.queuesCommand(),
		a.subscriptionsCommand(),
		a.sourcesCommand(),
		a.whyCommand(),
		a.backupCommand(), a.restoreCommand(),
		a.doctorCommand(),
	)
	ctx, cancel := env.Context(ctx)
	defer cancel()
	code := proc.Execute(ctx, env, cmd)
	switch {
	case a.exit != 0:
		return a.exit
	case code == proc.ExitFailed:
		return cmp.Or(stopCode(context.Cause(ctx)), code)
	default:
		return code
	}
}

// stopCode returns the exit code for a command that a signal stopped, 0 if none
// did.
func stopCode(cause error) int {
	stopped, ok := errors.AsType[proc.StoppedError](cause)
	switch {
	case !ok:
		return 0
	case stopped.Signal == os.Interrupt:
		return exitInterrupted
	default:
		return exitTerminated
	}
}

// connect opens the bus.
func (a *app) connect(ctx context.Context) (*bus.Bus, func(), error) {
	o, err := a.access.Options(a.env, "admin")
	if err != nil {
		return nil, nil, err
	}
	// No logger: what goes wrong comes back as the command's error.
	b, err := bus.Connect(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return b, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = b.Close(ctx)
	}, nil
}

// printf writes to the output; a broken pipe shows at the next write of JSON or
// a table.
func (a *app) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(a.env.Stdout, format, args...)
}

// line writes one JSON object as a line.
func (a *app) line(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	_, err = fmt.Fprintf(a.env.Stdout, "%s\n", data)
	return err
}

// table writes rows in columns; cells are made harmless for terminals.
func table(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = strings.ReplaceAll(proc.Printable(c), "\t", " ")
		}
		if _, err := fmt.Fprintln(tw, strings.TrimRight(strings.Join(cells, "\t"), "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// stamp prints a time for people, in the zone of the machine.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// shortID is as much of an id as lists show.
const shortID = 12
