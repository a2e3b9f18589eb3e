package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func (a *app) jobCancelCommand() *cobra.Command {
	var reason string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "End a job",
		Long: `cancel ends a job: at once if no runner has it, else its runner stops the
commands it started and the job is cancelled when it has. With --wait it returns
when that is confirmed, and says how the job has ended.

Exit codes: 0 the job is asked to end, or with --wait: is cancelled; 1 it had
ended before, or with --wait: ended otherwise, or its end was not confirmed in
time; 2 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case timeout <= 0:
				return proc.Usagef("--timeout must be more than nothing, not %s", timeout)
			case cmd.Flags().Changed("timeout") && !wait:
				return proc.Usagef("--timeout goes with --wait")
			}
			return a.withJob(cmd.Context(), args[0], func(q *queue.Queue, rec queue.Record) error {
				rec, err := q.Cancel(cmd.Context(), rec.ID, reason)
				if err == nil && wait {
					rec, err = a.confirmed(cmd.Context(), q, rec, timeout)
				}
				if err != nil {
					return err
				}
				if a.json {
					err = a.line(rec.Job)
				} else {
					a.printf("job %s is %s\n", rec.ID[:shortID], rec.State)
				}
				if wait && rec.State != queue.Cancelled && err == nil {
					return fmt.Errorf("job %s ended as %s before it could be cancelled", rec.ID[:shortID], rec.State)
				}
				return err
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&reason, "reason", "cancelled by an operator", "`why`, for the record")
	fs.BoolVar(&wait, "wait", false, "wait until its runner confirms that it has stopped")
	fs.DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait for that")
	return cmd
}

// confirmed waits for the end of a job that was asked to end.
func (a *app) confirmed(ctx context.Context, q *queue.Queue, rec queue.Record, timeout time.Duration) (queue.Record, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for u, err := range q.Watch(limited, rec.ID, rec.Rev) {
		if err != nil {
			return rec, err
		}
		if u.Record != nil {
			rec = *u.Record
		}
	}
	switch {
	case rec.State.Terminal():
		return rec, nil
	case ctx.Err() != nil:
		return rec, context.Cause(ctx)
	default:
		return rec, fmt.Errorf("job %s is still %s after %s: runner %s has not said that its commands have stopped; "+
			"follow it with jet jobs watch %s", rec.ID[:shortID], rec.State, timeout, rec.Runner, rec.ID[:shortID])
	}
}
