package proc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes common to all commands.
const (
	// ExitOK means that all went as asked.
	ExitOK = 0
	// ExitFailed means that something failed: a host, a job, the command itself.
	ExitFailed = 1
	// ExitUsage means that the command was not understood.
	ExitUsage = 2
)

// usageError is a fault in how a command was called.
type usageError struct{ error }

// Usagef returns an error that ends the command with [ExitUsage].
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// ErrSilent ends a command with [ExitFailed] and no words: what failed has been
// shown already.
var ErrSilent = errors.New("failed")

// Execute runs a command tree and says what went wrong on the error stream.
func Execute(ctx context.Context, env Env, cmd *cobra.Command) int {
	cmd.SetArgs(env.Args)
	cmd.SetIn(env.Stdin)
	cmd.SetOut(env.Stdout)
	cmd.SetErr(env.Stderr)
	started := false
	prepare(cmd, &started)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flagError(err)} })
	ran, err := cmd.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrSilent), errors.Is(err, syscall.EPIPE): // nobody reads any more
		return ExitFailed
	}
	said := err
	if why := env.stopped(); why != nil && errors.Is(err, context.Canceled) {
		said = why // which signal it was says more
	}
	// Errors of several places are a line each.
	for line := range strings.SplitSeq(said.Error(), "\n") {
		_, _ = fmt.Fprintf(env.Stderr, "%s: %s\n", cmd.Name(), message(line))
	}
	if _, usage := errors.AsType[usageError](err); usage || !started {
		_, _ = fmt.Fprintf(env.Stderr, "see '%s --help'\n", ran.CommandPath())
		return ExitUsage
	}
	return ExitFailed
}

// flagError says what a flag takes instead of what the function said that reads
// its value.
func flagError(err error) error {
	cause := errors.Unwrap(err)
	if cause == nil {
		return err
	}
	var takes string
	number, ok := errors.AsType[*strconv.NumError](cause)
	switch {
	case strings.HasPrefix(cause.Error(), "time: "):
		takes = "a time with its unit, such as 30s, 5m or 1h30m"
	case !ok:
		return err
	case number.Func == "ParseBool":
		takes = "true or false"
	case errors.Is(cause, strconv.ErrRange):
		takes = "a smaller number"
	default:
		takes = "a whole number"
	}
	return fmt.Errorf("%smust be %s", strings.TrimSuffix(err.Error(), cause.Error()), takes)
}

// prepare makes every command note when it begins to run: errors before that are
// wrong usage, found by cobra. A command that only has others below it shows its
// help, and no longer takes a misspelt one for a wish to see it.
func prepare(cmd *cobra.Command, started *bool) {
	if !cmd.Runnable() && cmd.HasSubCommands() {
		cmd.Args = cobra.NoArgs
		cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(c *cobra.Command, args []string) error {
			*started = true
			return run(c, args)
		}
	}
	for _, c := range cmd.Commands() {
		prepare(c, started)
	}
}
