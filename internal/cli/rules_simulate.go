package cli

import (
	"context"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/rules"
)

// exitDiffers means that two rule sets do not fire alike; exitLoops that rules lead
// to themselves.
const (
	exitDiffers = 3
	exitLoops   = 3
)

// simulateOptions are the flags of jet rules simulate.
type simulateOptions struct {
	since    days
	old      string
	events   string
	exitCode bool
	examples int
}

func (a *app) rulesSimulateCommand() *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate NEW",
		Short: "Say in what changed rules would have fired differently on stored events",
		Long: `simulate lets two rule sets judge the same stored events and prints the
difference in firings: those of the content directory NEW, and those that are in
force on the bus, or of the directory --old. Events come from the bus, or from a
file that jet events --json wrote. Nothing is run, published or told to anybody.

Both sets begin with no window open and no fact set, so what needs events from
before the first is not seen, by either. Windows end on time between the events.
An event that a rule would publish is judged only if it is among the stored ones.
With --json there is a line for each rule, and a last one for the whole.

Exit codes: 0 done, 1 an error, 2 wrong usage; with --exit-code also 3: there is
a difference.`,
		Example: `  jet rules simulate --since 7d content
  jet rules simulate --old main --events events.jsonl --exit-code branch`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.events != "" && o.since != 0 {
				return proc.Usagef("--since is for the events on the bus, not for those of a file")
			}
			if o.examples < 0 {
				return proc.Usagef("--examples is how many differences of a rule are shown, not %d", o.examples)
			}
			return a.simulate(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().Var(&o.since, "since", "begin this `long` ago, such as 7d or 12h (default: with the oldest event)")
	cmd.Flags().StringVar(&o.old, "old", "", "compare with the rules of this content `directory`, not with those in force")
	cmd.Flags().StringVar(&o.events, "events", "", "read events from this `file`, one JSON object a line; - for standard input")
	cmd.Flags().BoolVar(&o.exitCode, "exit-code", false, "exit with 3 if there is a difference")
	cmd.Flags().IntVar(&o.examples, "examples", 3, "how many differences of each rule are shown")
	return cmd
}

func (a *app) simulate(ctx context.Context, dir string, o simulateOptions) error {
	after, err := loadRules(dir)
	if err != nil {
		return err
	}
	var b *bus.Bus
	if o.old == "" || o.events == "" {
		connected, done, err := a.connect(ctx)
		if err != nil {
			return err
		}
		defer done()
		b = connected
	}
	var before *rules.Set
	if o.old != "" {
		before, err = loadRules(o.old)
	} else {
		before, err = a.rulesInForce(ctx, b)
	}
	if err != nil {
		return err
	}
	options := simulate.Options{Examples: o.examples}
	var stored iter.Seq2[simulate.Stored, error]
	if o.events != "" {
		in, done, err := a.open(o.events)
		if err != nil {
			return err
		}
		defer done()
		stored = in
	} else {
		options.Until = time.Now()
		s, err := b.JS.Stream(ctx, bus.StreamEvents)
		if err != nil {
			return fmt.Errorf("simulate: see where the events begin: %w", err)
		}
		from := options.Until.Add(-time.Duration(o.since))
		// What is waited for without a first event is not waited for while there was no bus.
		if o.since > 0 && from.After(s.CachedInfo().State.FirstTime) {
			options.From = from
		}
		stored = fromBus(ctx, b, bus.TailOptions{Since: options.From})
	}
	report, err := simulate.Compare(ctx, before, after, stored, options)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if err := a.simulated(before, after, report); err != nil {
		return err
	}
	if o.exitCode && report.Differs() {
		a.exit = exitDiffers
	}
	return nil
}

// open returns the events of a file.
func (a *app) open(name string) (iter.Seq2[simulate.Stored, error], func(), error) {
	in := a.env.Stdin
	done := func() {}
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, nil, fmt.Errorf("open the events: %w", err)
		}
		in, done = f, func() { _ = f.Close() }
	}
	return func(yield func(simulate.Stored, error) bool) {
		for s, err := range simulate.Read(in) {
			if err != nil {
				err = fmt.Errorf("events from %s: %w", name, err)
			}
			if !yield(s, err) {
				return
			}
		}
	}, done, nil
}

// fromBus yields the stored events that rules judge.
func fromBus(ctx context.Context, b *bus.Bus, o bus.TailOptions) iter.Seq2[simulate.Stored, error] {
	return func(yield func(simulate.Stored, error) bool) {
		for m, err := range b.Tail(ctx, bus.StreamEvents, bus.AllEvents, o) {
			if err != nil {
				yield(simulate.Stored{}, err)
				return
			}
			e, err := bus.DecodeEvent(m.Header, m.Data)
			if err != nil || dispatch.Forged(m.Subject, e) {
				continue // no rule judges it
			}
			if !yield(simulate.Stored{Event: e, Seq: m.Seq, At: m.Time}, nil) {
				return
			}
		}
	}
}
