package ordered

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/rules"
)

const (
	// turn is how many of them are carried out before events have their turn again.
	turn = 256

	heldStream = "KV_" + bus.BucketHeld
	heldPrefix = "$KV." + bus.BucketHeld + "."
)

var outcomeFired = rules.Fired.String()

// heldSubject is what the subjects of a rule's held firings begin with.
func heldSubject(rule string) string { return heldPrefix + bus.Token(rule) + "." }

// hold has a firing held instead of carried out, if there is room.
func (f *fold) hold(x *firing) {
	rule := x.Record.Rule
	if most := f.ev.times.held; f.held[rule] >= most {
		x.failed(fmt.Errorf("the rule is paused, and %d of its firings are held already; that is the most", most))
		x.Job, x.Publish, x.Notify = nil, nil, nil
		return
	}
	f.held[rule]++
	x.Record.Held = true
}

// countHeld finds out what is held, and whether an earlier life has carried out some
// of it that it could not remove any more.
func (f *fold) countHeld(ctx context.Context) error {
	f.held = map[string]int{}
	oldest := uint64(0)
	for m, err := range f.ev.bus.Tail(ctx, heldStream, heldPrefix+">", bus.TailOptions{}) {
		if err != nil {
			return fmt.Errorf("see which firings are held: %w", err)
		}
		rule, name, _ := strings.Cut(strings.TrimPrefix(m.Subject, heldPrefix), ".")
		f.held[rule]++ // the names of rules are tokens as they are
		if seq := seqOf(name, "."); oldest == 0 || seq < oldest {
			oldest = seq
		}
	}
	if len(f.held) == 0 {
		return nil
	}
	f.released = past{decisions: map[string]bool{}, published: map[string]bool{}}
	if _, err := f.recorded(ctx, f.released, 1); err != nil {
		return err
	}
	return f.publishedSince(ctx, f.released, ofRules, oldest)
}

// release carries out what is held of rules that are not paused any more, in its
// order, one turn of it, and ends the resume of those of which nothing is left. A
// rule with a breaker goes no faster than that allows.
func (f *fold) release(ctx context.Context) error {
	f.retry = time.Time{}
	for _, p := range f.ev.pauses.resuming() {
		if err := f.resume(ctx, p); err != nil {
			return err
		}
	}
	for rule := range f.held {
		if _, paused := f.ev.pauses.get(rule); !paused {
			if err := f.resume(ctx, control.Pause{Kind: control.Rule, Name: rule}); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume is release for one rule.
func (f *fold) resume(ctx context.Context, p control.Pause) error {
	var rule *rules.Rule
	if f.content.Set != nil {
		rule = f.content.Set.Rule(p.Name)
	}
	ours := rule != nil && rule.Ordered()
	var b *dispatch.Breaker
	if ours {
		b = f.episodes.breaker(rule)
	}
	if f.held[p.Name] > 0 {
		list, last, err := f.heldOf(ctx, p, b)
		if err != nil {
			return err
		}
		if err := f.perform(ctx, list); err != nil {
			return err
		}
		if len(list) > 0 {
			if err := f.ev.bus.Purge(ctx, heldStream, heldSubject(p.Name)+">", last+1); err != nil {
				return err
			}
		}
		if f.held[p.Name] -= len(list); f.held[p.Name] > 0 {
			f.later()
			return nil
		}
		delete(f.held, p.Name)
	}
	if !ours || p.Rev == 0 {
		return nil // without a record, or package dispatch sees to it
	}
	switch err := control.Finish(ctx, f.ev.bus, p); {
	case errors.Is(err, bus.ErrConflict):
		return nil // changed by somebody else, as will be seen
	case err != nil:
		return err
	}
	f.ev.pauses.drop(p.Name)
	f.log.Info("rule resumed", slog.String("rule", p.Name))
	return nil
}

// heldOf returns the next firings of a rule to be carried out or dropped, and the
// sequence of the last. None, if its breaker is open.
func (f *fold) heldOf(ctx context.Context, p control.Pause, b *dispatch.Breaker) (list []*firing, last uint64, err error) {
	read := 0
	for m, err := range f.ev.bus.Tail(ctx, heldStream, heldSubject(p.Name)+">", bus.TailOptions{}) {
		if err != nil {
			return nil, 0, fmt.Errorf("read the firings held of rule %s: %w", p.Name, err)
		}
		if len(list) == turn {
			break
		}
		read++
		x := &firing{}
		dec := json.NewDecoder(bytes.NewReader(m.Data))
		dec.UseNumber() // the numbers in a job's variables stay what they are
		if err := dec.Decode(x); err != nil {
			f.log.Error("a firing that was held cannot be read", slog.String("subject", m.Subject), slog.Any("err", err))
			x = &firing{Record: Record{Rule: p.Name, Dropped: true, ID: m.Subject, Outcome: rules.Failed.String()}}
		}
		x.Record.Held = false
		// Somebody who skips what came meanwhile moves the beginning to the end.
		if p.Rev != 0 && p.From != x.From && x.Record.Seq < p.From {
			x.Record.Dropped = true
		}
		held, known := f.released.decisions[x.Record.ID]
		x.done = known && !held
		if now := f.ev.now(); b != nil && !x.Record.Dropped && !x.done {
			if b.Full(now) {
				break
			}
			b.Count(now)
		}
		list, last = append(list, x), m.Seq
	}
	if read == 0 {
		f.held[p.Name] = 0 // it was counted wrong
	}
	return list, last, nil
}

// later has something tried again soon.
func (f *fold) later() {
	at := f.ev.now().Add(f.ev.times.retry)
	if f.retry.IsZero() || at.Before(f.retry) {
		f.retry = at
	}
}
