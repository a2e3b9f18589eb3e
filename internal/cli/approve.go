package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func (a *app) jobApproveCommand() *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Let a job run that waits for an approval",
		Long: `approve lets a job run whose rule wants an approval, and notes who gave it.
jet jobs --state unapproved shows those that wait.

Exit codes: 0 the job may run, 1 it does not wait for an approval, 2 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if by == "" {
				return proc.Usagef("--by names nobody")
			}
			return a.withJob(cmd.Context(), args[0], func(q *queue.Queue, rec queue.Record) error {
				rec, err := q.Approve(cmd.Context(), rec.ID, by)
				if err != nil {
					return err
				}
				if a.json {
					return a.line(rec.Job)
				}
				a.printf("job %s is approved by %s\n", rec.ID[:shortID], proc.Printable(by))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", a.user(), "`name` of who approves it")
	return cmd
}

func (a *app) jobRejectCommand() *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:   "reject ID",
		Short: "End a job that waits for an approval",
		Long: `reject cancels a job whose rule wants an approval, and notes who did so and why.

Exit codes: 0 the job is cancelled, 1 it does not wait for an approval, 2 wrong
usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if by == "" {
				return proc.Usagef("--by names nobody")
			}
			return a.withJob(cmd.Context(), args[0], func(q *queue.Queue, rec queue.Record) error {
				why := "rejected by " + by
				if reason != "" {
					why = fmt.Sprintf("%s: %s", why, reason)
				}
				rec, err := q.Reject(cmd.Context(), rec.ID, why)
				if err != nil {
					return err
				}
				if a.json {
					return a.line(rec.Job)
				}
				a.printf("job %s is %s\n", rec.ID[:shortID], proc.Printable(why))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", a.user(), "`name` of who rejects it")
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return cmd
}
