package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// restoreCommand hands over to jet-bus: only a server can make a store of a backup,
// and jet has none.
func (a *app) restoreCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "restore BACKUP --data DIR",
		Short: "Make a data directory of a backup, by jet-bus restore",
		Long: `restore makes a data directory of a backup, with the jet-bus that is beside jet or
in the PATH. DIR must be new or empty; it is there when all is in it, or not at
all. What it prints at the end says what to do next. Onto a nats-server cluster
restores jet-bus restore --nats.

Exit codes: 0 the data directory is there, 1 it is not and nothing is left of
it, 2 wrong usage.`,
		Example: "  jet restore /backup/monday --data /var/lib/jet-bus",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.access.Server != "" {
				return proc.Usagef("jet restore makes a data directory; onto a cluster restores jet-bus restore BACKUP --nats %s --creds bus.creds", a.access.Server)
			}
			if data == "" {
				return proc.Usagef("say with --data which directory to make of it")
			}
			ctx, cancel := a.env.Context(cmd.Context())
			defer cancel()
			return a.restore(ctx, args[0], data)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "`directory` to make (required)")
	return cmd
}

func (a *app) restore(ctx context.Context, backup, data string) error {
	program, err := busProgram()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "restore", "--data", data, "--", backup) //nolint:gosec // our own program
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = a.env.Stdout, a.env.Stderr
	err = cmd.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok && failed.ExitCode() > 0 {
		return fmt.Errorf("%s restored nothing", program) // it has said why
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// busProgram finds jet-bus: beside this program, else in the PATH.
func busProgram() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "jet-bus")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	program, err := exec.LookPath("jet-bus")
	if err != nil {
		return "", fmt.Errorf("restore takes jet-bus, which is neither beside jet nor in the PATH: %w", err)
	}
	return program, nil
}
