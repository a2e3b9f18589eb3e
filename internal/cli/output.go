package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func (a *app) jobOutputCommand() *cobra.Command {
	var o outputOptions
	var task string
	cmd := &cobra.Command{
		Use:   "output ID",
		Short: "Print the whole output of a job's commands",
		Long: `output prints all that the commands of a job printed in its last attempt, in
the order of their results, also what was too large for the events that show
and watch print. What went to standard error goes there again. Each result has
a number; --task prints that of one, and nothing beside it.

Of a command's output the first and the last 4 MiB are kept. Output is kept as
long as jobs are, unless the room for it runs out before.`,
		Example: `  jet jobs output 3f2a91c07b4e
  jet jobs output 3f2a91c07b4e --task 7 >build.log
  jet jobs output 3f2a91c07b4e --task 1.7`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.attempt, o.seq, err = taskNumber(task); err != nil {
				return err
			}
			return a.withJob(cmd.Context(), args[0], func(q *queue.Queue, rec queue.Record) error {
				if o.attempt == 0 {
					o.attempt = rec.Attempt
				}
				return a.jobOutput(cmd.Context(), q, rec, o)
			})
		},
	}
	cmd.Flags().StringVar(&task, "task", "", "only the result with this `number`; 1.7 is the seventh of the first attempt")
	cmd.Flags().BoolVar(&o.raw, "raw", false, "leave control characters in, for files and programs")
	return cmd
}

// outputOptions says what of a job's output is printed.
type outputOptions struct {
	attempt int
	seq     int // 0: all of the attempt
	raw     bool
}

// taskNumber reads the number of a result, with or without its attempt.
func taskNumber(s string) (attempt, seq int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, second, both := strings.Cut(s, ".")
	if !both {
		first, second = "1", s
	}
	attempt, err1 := strconv.Atoi(first)
	seq, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || attempt < 1 || seq < 1 {
		return 0, 0, proc.Usagef("--task is the number of a result, such as 7, or 1.7 for the first attempt's, not %q", s)
	}
	if !both {
		attempt = 0
	}
	return attempt, seq, nil
}

// jobOutput prints the output of an attempt, or of one result of it.
func (a *app) jobOutput(ctx context.Context, q *queue.Queue, rec queue.Record, o outputOptions) error {
	found := false
	var missing error
	for u, err := range q.History(ctx, rec.ID) {
		if err != nil {
			return err
		}
		if u.Result == nil || u.Result.Attempt != o.attempt || o.seq != 0 && u.Result.Seq != o.seq {
			continue
		}
		found = true
		switch err := a.taskOutput(ctx, q, *u.Result, o); {
		case errors.Is(err, queue.ErrNoOutput):
			missing = errors.Join(missing, fmt.Errorf("result %d.%d: %w", o.attempt, u.Result.Seq, err))
		case err != nil:
			return err
		}
	}
	if !found && o.seq != 0 {
		return fmt.Errorf("job %s has no result %d.%d; jet jobs show %s lists what there is", rec.ID[:shortID], o.attempt, o.seq, rec.ID[:shortID])
	}
	return missing
}

// taskOutput prints the whole texts of one result. What cannot be had whole is
// printed as far as the event has it.
func (a *app) taskOutput(ctx context.Context, q *queue.Queue, t events.TaskFinished, o outputOptions) error {
	texts := map[string]string{events.OutputMessage: t.Message, events.OutputDiff: t.Diff}
	if c := t.Command; c != nil {
		texts[events.OutputStdout], texts[events.OutputStderr] = c.Stdout, c.Stderr
		if t.Message != "" {
			delete(texts, events.OutputMessage) // it repeats what the command printed
		}
	}
	var missing error
	for _, ref := range t.Outputs {
		if _, shown := texts[ref.Name]; !shown {
			continue
		}
		whole, err := q.Output(ctx, ref)
		switch {
		case errors.Is(err, queue.ErrNoOutput):
			missing = errors.Join(missing, err)
		case err != nil:
			return err
		default:
			texts[ref.Name] = string(whole)
		}
	}
	if a.json {
		line := map[string]any{"job": t.Job, "attempt": t.Attempt, "seq": t.Seq, "host": t.Host, "task": t.Task}
		for name, text := range texts {
			if text != "" {
				line[name] = text
			}
		}
		return errors.Join(a.line(line), missing)
	}
	if o.seq == 0 {
		a.printf("==> %s\n", proc.Printable(fmt.Sprintf("%d.%d %s on %s", t.Attempt, t.Seq, t.Task, t.Host)))
	}
	for _, name := range []string{events.OutputMessage, events.OutputDiff, events.OutputStdout, events.OutputStderr} {
		to := a.env.Stdout
		if name == events.OutputStderr {
			to = a.env.Stderr
		}
		if err := text(to, texts[name], o.raw); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return missing
}

// text writes a text of a host, each line fit for a terminal unless raw is asked for.
func text(to io.Writer, text string, raw bool) error {
	if text == "" {
		return nil
	}
	if !raw {
		lines := strings.SplitAfter(text, "\n")
		for i, l := range lines {
			body := strings.TrimSuffix(l, "\n")
			lines[i] = proc.Printable(strings.TrimSuffix(body, "\r")) + l[len(body):]
		}
		text = strings.Join(lines, "")
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(to, text)
	return err
}
