package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func (a *app) jobDeadCommand() *cobra.Command {
	var failed bool
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Show the jobs that were given up and that nobody has run again",
		Long: `dead shows the jobs that were given up, which somebody should look at: those that
have failed as often as their rule lets them, and those that lost too many
runners. With --failed it also shows the jobs that failed or ran out of time with
no repetition to come. A job that was run again is left out; what became of that is
for the new job to tell.`,
		Example: `  jet jobs dead
  jet jobs dead --json | jq -r .id | xargs -r jet jobs retry`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since < 0 {
				return proc.Usagef("--since is how long ago, such as 2h, not %s", since)
			}
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			// A job is run again after its end, so what is left out tells nothing.
			var o queue.ListOptions
			if since > 0 {
				o.Since = time.Now().Add(-since)
			}
			jobs, unread, err := listJobs(cmd.Context(), queue.New(b, nil), o)
			if err != nil {
				return err
			}
			return errors.Join(a.dead(givenUp(jobs, failed)), unread)
		},
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "also those that failed or ran out of time")
	cmd.Flags().DurationVar(&since, "since", 0, "only jobs that ended within this time, such as 2h")
	return cmd
}

// givenUp returns the jobs that are dead, or failed as well, and were not run again.
func givenUp(jobs []queue.Record, failed bool) []queue.Record {
	again := make(map[string]bool)
	for _, j := range jobs {
		again[j.RetryOf] = true
	}
	var out []queue.Record
	for _, j := range jobs {
		over := j.State == queue.Dead || failed && (j.State == queue.Failed || j.State == queue.TimedOut)
		// A run by hand was its operator's to see.
		if over && !again[j.ID] && j.StartedBy == "" {
			out = append(out, j)
		}
	}
	return out
}

func (a *app) dead(jobs []queue.Record) error {
	rows := [][]string{{"JOB", "STATE", "RULE", "PLAYBOOK", "ATTEMPTS", "FINISHED", "REASON"}}
	for _, j := range jobs {
		if a.json {
			if err := a.line(j.Job); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			j.ID[:shortID], string(j.State), j.Rule, j.Playbook, strconv.Itoa(j.Attempt), stamp(j.Finished), j.Reason,
		})
	}
	if a.json {
		return nil
	}
	return table(a.env.Stdout, rows)
}

func (a *app) jobRetryCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "retry ID...",
		Short: "Run ended jobs again, as jobs of their own",
		Long: `retry runs jobs that have ended once more: each as a new job with the same
content, variables and hosts, which it prints. A job is run again once: asked for
it again, retry says as which job that was. If that one fails too, retry it.

Exit codes: 0 every job is run again, or was; with --watch: and succeeded; 1 one
could not be, or with --watch: did not succeed; 2 wrong usage.`,
		Example: `  jet jobs retry 3f0c8d2e9a11
  jet jobs dead --json | jq -r .id | xargs -r jet jobs retry`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a job, or several")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if watch && len(args) > 1 {
				return proc.Usagef("--watch follows one job; name one")
			}
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			q := queue.New(b, nil)
			var faults []error // of one job; the others are run again
			for _, id := range args {
				rec, err := a.retry(cmd.Context(), q, id)
				if err != nil {
					faults = append(faults, err)
				} else if watch {
					return a.watch(cmd.Context(), q, rec)
				}
			}
			return errors.Join(faults...)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "follow the new job to its end")
	return cmd
}

// retryLine is what retry --json prints.
type retryLine struct {
	Job   string      `json:"job"`
	Again string      `json:"again"`
	State queue.State `json:"state"`
	// Fresh is false if the job was run again before.
	Fresh bool `json:"fresh"`
}

func (a *app) retry(ctx context.Context, q *queue.Queue, id string) (queue.Record, error) {
	old, err := q.Find(ctx, id)
	if err != nil {
		return old, err
	}
	if old.StartedBy != "" {
		return old, fmt.Errorf("job %s was a jet run of %s, with files of that machine; run it again there",
			old.ID[:shortID], old.StartedBy)
	}
	rec, fresh, err := q.Again(ctx, old.ID)
	switch {
	case err != nil:
		return rec, err
	case a.json:
		return rec, a.line(retryLine{Job: old.ID, Again: rec.ID, State: rec.State, Fresh: fresh})
	case fresh:
		a.printf("job %s is run again as job %s\n", old.ID[:shortID], rec.ID[:shortID])
	default:
		a.printf("job %s was run again already, as job %s, which is %s\n", old.ID[:shortID], rec.ID[:shortID], rec.State)
	}
	return rec, nil
}
