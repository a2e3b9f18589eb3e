package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func (a *app) rulesPauseCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Have a rule make no more jobs until it is resumed",
		Long: `pause stops a rule: it makes no jobs of the events that come from now on, and
those of its jobs that wait for a runner go on waiting. Nothing is lost: when the
rule is resumed, it judges what came meanwhile.`,
		Example: "  jet rules pause deploy --reason 'the registry is down'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				return a.pauseRule(ctx, b, args[0], reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return cmd
}

func (a *app) rulesResumeCommand() *cobra.Command {
	var skip bool
	cmd := &cobra.Command{
		Use:   "resume NAME",
		Short: "Have a paused rule go on",
		Long: `resume lets a paused rule go on. What came while it was paused is judged first,
in order, each event once; a rule with a breaker catches up no faster than that
allows. Until it has caught up it is told as resuming, and then as enabled. With
--skip, what came meanwhile is never judged by this rule.`,
		Example: "  jet rules resume deploy\n  jet rules resume deploy --skip",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				p, err := control.Resume(ctx, b, control.Rule, args[0], b.User, skip)
				switch {
				case errors.Is(err, control.ErrNotPaused):
					return fmt.Errorf("rule %s is not paused; jet rules lists those that are", args[0])
				case errors.Is(err, control.ErrResuming):
					return fmt.Errorf("%w; jet rules shows how far it is", err)
				case err != nil:
					return err
				case a.json:
					return a.line(p)
				case skip:
					a.printf("rule %s is resuming with event %d; what came before is not judged\n", p.Name, p.From)
				default:
					a.printf("rule %s is resuming; it judges first what came since event %d, and jet rules shows how far it is\n", p.Name, p.From)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&skip, "skip", false, "leave out what came while the rule was paused")
	return cmd
}

func (a *app) pauseRule(ctx context.Context, b *bus.Bus, name, reason string) error {
	set, err := a.rulesInForce(ctx, b)
	if err != nil {
		return err
	}
	if set.Rule(name) == nil {
		return fmt.Errorf("there is no rule %s; jet rules lists those in force", name)
	}
	// All up to there have been judged, and what is judged later may be left.
	done, err := dispatch.Judged(ctx, b)
	if err != nil {
		return err
	}
	return a.pause(ctx, b, control.Pause{Kind: control.Rule, Name: name, Reason: reason, From: done + 1})
}

// pause stops a rule or a queue.
func (a *app) pause(ctx context.Context, b *bus.Bus, p control.Pause) error {
	p.By = b.User
	p, err := control.Set(ctx, b, p)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.line(p)
	}
	a.printf("%s is paused\n", p)
	return nil
}

// withBus opens the bus.
func (a *app) withBus(ctx context.Context, do func(context.Context, *bus.Bus) error) error {
	b, done, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	return do(ctx, b)
}

func (a *app) queuesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues",
		Short: "Show the queues, how many jobs wait in each, and which are paused",
		Long: `queues lists the queues: there is one for each set of labels that jobs need of
their runner, and default for those that need none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.withBus(cmd.Context(), a.queues) },
	}
	var reason string
	pause := &cobra.Command{
		Use:   "pause NAME",
		Short: "Hand out no more jobs of a queue until it is resumed",
		Long: `pause stops a queue: its jobs wait. Those that run go on, and new ones are
accepted.`,
		Example: "  jet queues pause default --reason 'maintenance until noon'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				list, err := queue.New(b, nil).Queues(ctx)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(list, func(q queue.Info) bool { return q.Name == args[0] }) {
					return fmt.Errorf("there is no queue %s; jet queues lists them", args[0])
				}
				return a.pause(ctx, b, control.Pause{Kind: control.Queue, Name: args[0], Reason: reason})
			})
		},
	}
	pause.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	resume := &cobra.Command{
		Use:   "resume NAME",
		Short: "Hand out the jobs of a paused queue again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				p, err := control.Resume(ctx, b, control.Queue, args[0], b.User, false)
				switch {
				case errors.Is(err, control.ErrNotPaused):
					return fmt.Errorf("queue %s is not paused; jet queues lists those that are", args[0])
				case err != nil:
					return err
				case a.json:
					return a.line(p)
				}
				a.printf("%s is resumed\n", p)
				return nil
			})
		},
	}
	cmd.AddCommand(pause, resume)
	return cmd
}

// queueLine is the JSON form of a queue.
type queueLine struct {
	queue.Info
	// Waiting counts the jobs that are pending.
	Waiting int            `json:"waiting"`
	Paused  *control.Pause `json:"paused,omitempty"`
}

// queues lists the queues.
func (a *app) queues(ctx context.Context, b *bus.Bus) error {
	q := queue.New(b, nil)
	list, err := q.Queues(ctx)
	if err != nil {
		return err
	}
	jobs, unread, err := listJobs(ctx, q, queue.ListOptions{})
	if err != nil {
		return err
	}
	waiting := make(map[string]int)
	for _, j := range jobs {
		if j.State == queue.Pending {
			waiting[queue.NameFor(j.Needs)]++
		}
	}
	all, err := control.List(ctx, b)
	if err != nil {
		return err
	}
	paused := make(map[string]control.Pause)
	for _, p := range all {
		if p.Kind == control.Queue {
			paused[p.Name] = p
		}
	}
	slices.SortFunc(list, func(x, y queue.Info) int { return strings.Compare(x.Name, y.Name) })
	rows := [][]string{{"QUEUE", "WAITING", "NEEDS", "STATE"}}
	for _, i := range list {
		line := queueLine{Info: i, Waiting: waiting[i.Name]}
		state := "open"
		if p, ok := paused[i.Name]; ok {
			line.Paused = &p
			state = pauseState(p)
		}
		if a.json {
			if err := a.line(line); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{i.Name, strconv.Itoa(line.Waiting), labels(i.Needs), state})
	}
	if a.json {
		return unread
	}
	return errors.Join(table(a.env.Stdout, rows), unread)
}

// labels prints labels in a fixed order.
func labels(m map[string]string) string {
	if len(m) == 0 {
		return "-"
	}
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return proc.Printable(strings.Join(out, ","))
}
