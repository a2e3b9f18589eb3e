package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/deliver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func (a *app) subscriptionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "Show who is delivered events, what waits and what went wrong; try one",
		Long: `subscriptions lists the subscriptions of subscriptions.yml in force: where their events
go, how many wait, what was delivered last, and what went wrong last. PENDING counts
events by their types: a condition may not hold for all of them.`,
		Example: "  jet subscriptions\n  jet subscriptions --json | jq 'select(.state != \"ok\")'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.withBus(cmd.Context(), a.subscriptions) },
	}
	var dir string
	test := &cobra.Command{
		Use:   "test NAME",
		Short: "Send one test event to the sink of a subscription, and print the answer",
		Long: `test sends one event of the type dev.jet-bus.subscription.tested.v1 to the sink of a
subscription, once, from this machine: run it where jet-bus runs, since that is where
the files of tokens and keys are. The subscription is taken from the content in force,
or with --content from a directory, without a bus.

Exit codes: 0 the sink took it, 1 it did not, 2 wrong usage.`,
		Example: "  jet subscriptions test audit\n  jet subscriptions test audit --content .",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir != "" {
				return a.trySubscription(cmd.Context(), dir, args[0])
			}
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				tmp, err := os.MkdirTemp("", "jet-content-")
				if err != nil {
					return fmt.Errorf("fetch the content: %w", err)
				}
				defer func() { _ = os.RemoveAll(tmp) }()
				root, err := contentInForce(ctx, b, tmp)
				if err != nil {
					return err
				}
				return a.trySubscription(ctx, root, args[0])
			})
		},
	}
	test.Flags().StringVar(&dir, "content", "", "take the subscription from this `directory`, and not from the bus")
	cmd.AddCommand(test)
	return cmd
}

// subscriptions lists how the subscriptions fare.
func (a *app) subscriptions(ctx context.Context, b *bus.Bus) error {
	all, err := deliver.List(ctx, b)
	if err != nil {
		return err
	}
	rows := [][]string{{"SUBSCRIPTION", "STATE", "SINCE", "SINK", "PENDING", "LAST DELIVERED", "LAST ERROR"}}
	for _, s := range all {
		if a.json {
			if err := a.line(s); err != nil {
				return err
			}
			continue
		}
		last, wrong := "-", "-"
		if s.Event != nil {
			last = stamp(s.Event.At) + " " + s.Event.Type
		}
		if s.Error != "" {
			wrong = stamp(s.ErrorAt) + " " + s.Error
		}
		rows = append(rows, []string{
			s.Name, s.State.State, stamp(s.Since), s.Sink, strconv.FormatUint(s.Pending, 10), last, wrong,
		})
	}
	if a.json {
		return nil
	}
	return table(a.env.Stdout, rows)
}

// trySubscription sends a test event to the sink of a subscription of a content
// directory.
func (a *app) trySubscription(ctx context.Context, dir, name string) error {
	subs, err := deliver.Read(os.DirFS(dir))
	if err != nil {
		return err
	}
	answer, err := subs.Try(ctx, name)
	switch {
	case err != nil:
		return err
	case a.json:
		err = a.line(answer)
	case answer.Error == "":
		a.printf("%s\n", proc.Printable(answer.Text()))
	default:
		return errors.New(answer.Text())
	}
	if err == nil && answer.Error != "" {
		return proc.ErrSilent // the line has said it
	}
	return err
}

// contentInForce fetches the content that is in force into a directory, and returns
// where it is.
func contentInForce(ctx context.Context, b *bus.Bus, dir string) (string, error) {
	all, err := dispatch.Activations(ctx, b)
	if err != nil {
		return "", err
	}
	sets := dispatch.InForce(all, math.MaxUint64)
	if len(sets) == 0 {
		return "", errors.New("no content has been in force on this bus")
	}
	store, err := b.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return "", fmt.Errorf("open the bundle store: %w", err)
	}
	return content.Fetch(ctx, store, sets[len(sets)-1].Bundle, dir) // the newest
}
