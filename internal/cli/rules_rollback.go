package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
)

const (
	// minPrefix is how much of a digest or a commit must be given at least; what is
	// shorter and a number is the number of jet rules history.
	minPrefix = 4
	// followWithin is how long rollback waits for the jet-bus to follow.
	followWithin = 10 * time.Second
	followLook   = 100 * time.Millisecond
)

func (a *app) rulesRollbackCommand() *cobra.Command {
	var reason string
	var release bool
	cmd := &cobra.Command{
		Use:   "rollback [NUMBER|DIGEST|REVISION]",
		Short: "Put earlier content in force again, and keep it so",
		Long: `rollback puts content in force that was so before: rules, playbooks and inventory as
they were. Without an argument it is the content before the one in force; jet rules
history lists what there is, and the number, the digest (of the content or of the
rule set) or the commit to name it by, of which the beginning is enough.

It is pinned: every jet-bus of the bus uses it, also one that starts later, and newer
content does not come into force before it is let in again with --release. Jobs that
are there keep the content they were made with.`,
		Example: "  jet rules rollback --reason 'the last change deploys twice'\n  jet rules rollback 3f2a91c0\n  jet rules rollback --release",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if release && (len(args) > 0 || reason != "") {
				return proc.Usagef("--release takes nothing beside it: the newest content comes into force")
			}
			return a.withBus(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				if release {
					return a.release(ctx, b)
				}
				return a.rollback(ctx, b, strings.Join(args, ""), reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	cmd.Flags().BoolVar(&release, "release", false, "let newer content come into force again")
	return cmd
}

func (a *app) rollback(ctx context.Context, b *bus.Bus, name, reason string) error {
	lines, err := history(ctx, b)
	if err != nil {
		return err
	}
	to, err := earlier(ctx, b, lines, name)
	if err != nil {
		return err
	}
	store, err := b.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return fmt.Errorf("open the bundle store: %w", err)
	}
	if _, err := store.GetInfo(ctx, to.Bundle); errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("content %s is no longer on the bus", short(to.Bundle))
	} else if err != nil {
		return fmt.Errorf("look up content %s: %w", short(to.Bundle), err)
	}
	pin := dispatch.Pin{
		RuleSet: to.RuleSet, Bundle: to.Bundle, Revision: to.Revision, From: to.From, By: b.User, Reason: reason, At: time.Now().UTC().Truncate(time.Second),
	}
	if err := dispatch.SetPin(ctx, b, pin); err != nil {
		return err
	}
	if err := a.followed(ctx, b, pin); err != nil {
		return err
	}
	if a.json {
		return a.line(pin)
	}
	a.printf("rule set %s is in force again\n%s\n", short(pin.RuleSet), proc.Printable(pinText(pin)))
	return nil
}

// earlier returns the activation that somebody names; the one before that in force
// if nothing is named.
func earlier(ctx context.Context, b *bus.Bus, lines []historyLine, name string) (dispatch.Activation, error) {
	var none dispatch.Activation
	number := -1
	if name == "" {
		pin, err := dispatch.Pinned(ctx, b)
		if err != nil {
			return none, err
		}
		if pin.Bundle != "" {
			return none, fmt.Errorf("%s; say which content is to be in force, or give --release", pinText(pin))
		}
		all, err := dispatch.Activations(ctx, b)
		if err != nil {
			return none, err
		}
		if len(dispatch.InForce(all, math.MaxUint64)) > 1 {
			return none, errors.New("several jet-bus have different content in force; say which is to be: jet rules history lists what there is")
		}
		number = 1
	} else if n, err := strconv.Atoi(name); err == nil && len(name) < minPrefix {
		number = n
	}
	found := make(map[string]dispatch.Activation)
	for _, l := range lines {
		match := l.Number == number
		if number < 0 && len(name) >= minPrefix {
			match = slices.ContainsFunc([]string{l.Bundle, l.RuleSet, l.Revision}, func(id string) bool { return strings.HasPrefix(id, strings.ToLower(name)) })
		}
		if _, known := found[l.Bundle]; match && !known {
			found[l.Bundle] = l.Activation
		}
	}
	switch {
	case len(found) == 0 && name == "":
		return none, errors.New("no other content was in force before")
	case len(found) == 0:
		return none, fmt.Errorf("no content %s was in force; jet rules history lists what was", name)
	case len(found) > 1:
		return none, fmt.Errorf("%s names %d different contents; give more of the digest, or the number that jet rules history shows", name, len(found))
	}
	for _, act := range found {
		return act, nil
	}
	return none, nil
}

// followed waits until every jet-bus uses what is pinned.
func (a *app) followed(ctx context.Context, b *bus.Bus, pin dispatch.Pin) error {
	ctx, cancel := context.WithTimeout(ctx, followWithin)
	defer cancel()
	tick := time.NewTicker(followLook)
	defer tick.Stop()
	for {
		all, err := dispatch.Activations(ctx, b)
		if err == nil {
			now := dispatch.InForce(all, math.MaxUint64)
			if !slices.ContainsFunc(now, func(act dispatch.Activation) bool { return act.Bundle != pin.Bundle }) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("content %s is pinned, and not in force everywhere after %s: see that jet-bus runs, and what its log says", short(pin.Bundle), followWithin)
		}
	}
}

// release takes the pin away.
func (a *app) release(ctx context.Context, b *bus.Bus) error {
	pin, err := dispatch.Pinned(ctx, b)
	switch {
	case err != nil:
		return err
	case pin.Bundle == "":
		return errors.New("no content is pinned")
	}
	if err := dispatch.Unpin(ctx, b); err != nil {
		return err
	}
	if a.json {
		return a.line(map[string]any{"released": pin})
	}
	a.printf("content %s is no longer pinned; the newest comes into force, as soon as it is found to be without faults\n", short(pin.Bundle))
	return nil
}
