package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/report"
)

func (a *app) jobsCommand() *cobra.Command {
	var since time.Duration
	var state string
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Show the jobs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since < 0 {
				return proc.Usagef("--since is how long ago, such as 2h, not %s", since)
			}
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			if state != "" && !slices.Contains(queue.States(), queue.State(state)) {
				return proc.Usagef("--state %s: the states are %v", state, queue.States())
			}
			var o queue.ListOptions
			if since > 0 {
				o.Since = time.Now().Add(-since)
			}
			q := queue.New(b, nil)
			jobs, unread, err := listJobs(cmd.Context(), q, o)
			if err != nil {
				return err
			}
			if state != "" {
				jobs = slices.DeleteFunc(jobs, func(r queue.Record) bool { return string(r.State) != state })
			}
			waiting, err := a.waiting(cmd.Context(), q, jobs)
			if err != nil {
				return err
			}
			return errors.Join(a.jobs(jobs, waiting), unread)
		},
	}
	cmd.Flags().DurationVar(&since, "since", 0, "only jobs that changed within this time, such as 2h")
	cmd.Flags().StringVar(&state, "state", "", fmt.Sprintf("only jobs in this `state`, one of %v", queue.States()))
	cmd.AddCommand(
		a.jobShowCommand(), a.jobWatchCommand(), a.jobOutputCommand(), a.jobCancelCommand(), a.jobDeadCommand(), a.jobRetryCommand(),
		a.jobApproveCommand(), a.jobRejectCommand(),
	)
	return cmd
}

// listJobs lists jobs. Of records that cannot be read unread tells; it is for the
// end of the command, when the others are shown.
func listJobs(ctx context.Context, q *queue.Queue, o queue.ListOptions) (jobs []queue.Record, unread, err error) {
	jobs, err = q.List(ctx, o)
	if errors.Is(err, queue.ErrUnreadable) {
		return jobs, err, nil
	}
	return jobs, nil, err
}

// jobLine is a job as --json prints it.
type jobLine struct {
	queue.Job
	WaitsFor string `json:"waits_for,omitempty"`
}

// waiting says what those of the jobs wait for that do, by id.
func (a *app) waiting(ctx context.Context, q *queue.Queue, jobs []queue.Record) (map[string]string, error) {
	waits := func(r queue.Record) bool { return r.State == queue.Pending || r.State == queue.Unapproved }
	if !slices.ContainsFunc(jobs, waits) {
		return nil, nil
	}
	// Who they wait for may be none of those that are shown.
	all, _, err := listJobs(ctx, q, queue.ListOptions{})
	if err != nil {
		return nil, err
	}
	return q.WaitingAll(ctx, all)
}

func (a *app) jobs(jobs []queue.Record, waiting map[string]string) error {
	rows := [][]string{{"JOB", "STATE", "RULE", "PLAYBOOK", "ATTEMPT", "RUNNER", "CREATED", "EVENT", "WAITS FOR"}}
	for _, j := range jobs {
		if a.json {
			if err := a.line(jobLine{j.Job, waiting[j.ID]}); err != nil {
				return err
			}
			continue
		}
		event := "-"
		if j.Event != nil {
			event = j.Event.ID
		}
		rows = append(rows, []string{
			j.ID[:shortID], string(j.State), cause(j.Job), j.Playbook, strconv.Itoa(j.Attempt), j.Runner, stamp(j.Created), event,
			waiting[j.ID],
		})
	}
	if a.json {
		return nil
	}
	return table(a.env.Stdout, rows)
}

// cause names what made a job, in a word: its rule, or who runs it by hand.
func cause(j queue.Job) string {
	if j.Rule == "" && j.StartedBy != "" {
		return "by " + j.StartedBy
	}
	return j.Rule
}

// withJob opens the bus and finds the job that an id or its beginning names.
func (a *app) withJob(ctx context.Context, id string, do func(*queue.Queue, queue.Record) error) error {
	b, done, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	q := queue.New(b, nil)
	rec, err := q.Find(ctx, id)
	if err != nil {
		return err
	}
	return do(q, rec)
}

func (a *app) jobShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one job and its task results",
		Long:  "show prints a job and the results of its tasks. The beginning of an id is enough.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withJob(cmd.Context(), args[0], func(q *queue.Queue, rec queue.Record) error {
				why, err := q.Waiting(cmd.Context(), rec)
				if err != nil {
					return err
				}
				if a.json {
					return a.line(jobLine{rec.Job, why})
				}
				a.showJob(rec.Job, why)
				printer := report.NewPrinter(a.env.Stdout, a.env.Terminal)
				kept := 0
				for u, err := range q.History(cmd.Context(), rec.ID) {
					if err != nil {
						return err
					}
					if u.Result != nil && u.Result.Attempt == rec.Attempt {
						kept++
					}
					a.update(printer, u)
				}
				if kept < rec.Results && rec.State.Terminal() {
					a.printf("\n%d of the %d results of the last attempt are kept; the others made room for younger ones\n", kept, rec.Results)
				}
				printer.Recap()
				return printer.Err()
			})
		},
	}
}

func (a *app) showJob(j queue.Job, waitsFor string) {
	row := func(name, format string, args ...any) {
		a.printf("%-12s %s\n", name, proc.Printable(fmt.Sprintf(format, args...)))
	}
	row("job", "%s", j.ID)
	row("state", "%s", j.State)
	if j.Reason != "" {
		row("reason", "%s", j.Reason)
	}
	if waitsFor != "" {
		row("waits for", "%s", waitsFor)
	}
	if j.StartedBy != "" {
		row("run by", "%s", j.StartedBy)
	}
	if j.ApprovedBy != "" {
		row("approved by", "%s", j.ApprovedBy)
	}
	if j.RetryOf != "" {
		row("again", "once more what job %s was", j.RetryOf)
	}
	if j.Rule != "" {
		row("rule", "%s (rule set %s)", j.Rule, j.RuleSet[:min(len(j.RuleSet), shortID)])
	}
	if j.Event != nil {
		row("event", "%s, %s from %s, sequence %d", j.Event.ID, j.Event.Type, j.Event.Source, j.Event.Seq)
	}
	if j.Bundle == "" {
		row("playbook", "%s", j.Playbook)
	} else {
		row("playbook", "%s of content %s", j.Playbook, j.Bundle[:min(len(j.Bundle), shortID)])
	}
	if j.Inventory != "" {
		row("inventory", "%s", j.Inventory)
	}
	if len(j.Limit) > 0 {
		row("limit", "%s", strings.Join(j.Limit, ", "))
	}
	if len(j.Hosts) > 0 {
		row("hosts", "%s", strings.Join(j.Hosts, ", "))
	}
	for _, k := range slices.Sorted(maps.Keys(j.Vars)) {
		v, err := json.Marshal(j.Vars[k])
		if err != nil {
			v = []byte(err.Error())
		}
		row("var", "%s = %s", k, v)
	}
	for _, k := range slices.Sorted(maps.Keys(j.Needs)) {
		row("needs", "%s=%s", k, j.Needs[k])
	}
	if j.Priority != 0 {
		row("priority", "%d", j.Priority)
	}
	if j.Concurrency != nil {
		row("key", "%s", j.Concurrency.Key)
	}
	row("attempt", "%s", attempts(j))
	if j.Runner != "" {
		row("runner", "%s", j.Runner)
	}
	row("created", "%s", stamp(j.Created))
	row("started", "%s", stamp(j.Started))
	row("finished", "%s", stamp(j.Finished))
}

// attempts counts those of a job, and of how many.
func attempts(j queue.Job) string {
	if j.Retry == nil {
		return strconv.Itoa(j.Attempt)
	}
	return fmt.Sprintf("%d; %d failed of %d that may", j.Attempt, j.Failures, j.Retry.Attempts)
}

// update prints one step of a job.
func (a *app) update(p *report.Printer, u queue.Update) {
	switch {
	case u.Result != nil:
		p.Task(*u.Result)
	case u.Record.State == queue.Running:
		p.Reset()
		a.printf("\nattempt %d on runner %s\n", u.Record.Attempt, proc.Printable(u.Record.Runner))
	case u.Record.State == queue.Pending && u.Record.Reason == "":
	default:
		a.printf("\njob is %s", u.Record.State)
		if u.Record.Reason != "" {
			a.printf(": %s", proc.Printable(u.Record.Reason))
		}
		a.printf("\n")
	}
}

func (a *app) jobWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a job from its beginning to its end",
		Long: `watch prints everything that happened to a job from its beginning, and goes on
as it happens until the job has ended, through restarts of the bus. With --json
it prints the events of the task results.

Exit codes: 0 the job succeeded, 1 it did not, 2 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withJob(cmd.Context(), args[0], func(q *queue.Queue, rec queue.Record) error {
				return a.watch(cmd.Context(), q, rec)
			})
		},
	}
}

func (a *app) watch(ctx context.Context, q *queue.Queue, rec queue.Record) error {
	printer := report.NewPrinter(a.env.Stdout, a.env.Terminal)
	last := rec
	for u, err := range q.Watch(ctx, rec.ID, 0) {
		if err != nil {
			return err
		}
		if u.Record != nil {
			last = *u.Record
		}
		switch {
		case !a.json:
			a.update(printer, u)
			err = printer.Err()
		case u.Event != nil:
			err = a.line(u.Event)
		}
		if err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	if !last.State.Terminal() {
		return fmt.Errorf("stopped watching job %s: it is %s", rec.ID[:shortID], last.State)
	}
	if !a.json {
		printer.Recap()
	}
	if last.State != queue.Succeeded {
		return proc.ErrSilent
	}
	return nil
}

func (a *app) runnersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "runners",
		Short: "Show the runners that are alive; one that died is shown for up to 15 seconds",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.runners(cmd.Context(), b)
		},
	}
}

func (a *app) runners(ctx context.Context, b *bus.Bus) error {
	list, err := queue.New(b, nil).Runners(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(x, y queue.RunnerInfo) int { return strings.Compare(x.Name, y.Name) })
	rows := [][]string{{"RUNNER", "BUSY", "LABELS", "VERSION", "STARTED", "SEEN"}}
	for _, r := range list {
		if a.json {
			if err := a.line(r); err != nil {
				return err
			}
			continue
		}
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
			labels = append(labels, k+"="+r.Labels[k])
		}
		rows = append(rows, []string{
			r.Name, fmt.Sprintf("%d/%d", r.Busy, r.Slots), strings.Join(labels, ","), r.Version, stamp(r.Started), stamp(r.Seen),
		})
	}
	if a.json {
		return nil
	}
	return table(a.env.Stdout, rows)
}
