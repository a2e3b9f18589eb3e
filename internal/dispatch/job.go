package dispatch

import (
	"context"
	"fmt"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

// Forged reports whether an event stored on subject claims to come from jet-bus
// itself and does not: its type is one of ours, and its class is not. No rule
// judges such an event.
func Forged(subject string, e events.Event) bool {
	return events.OwnType(e.Type()) && subject != bus.EventSubject(bus.ClassOwn, e.Type())
}

// clockTick reports whether an event only moves the clock of ordered rules. No rule is
// for it: one for all our events would have jobs as often as the clock ticks.
func clockTick(e events.Event) bool { return e.Type() == events.TypeClockTicked }

// Job returns the job that a verdict makes of an event.
func Job(c Content, v rules.Verdict, e events.Event, seq uint64) queue.Job {
	a := v.Action
	var hosts []string
	if c.Hosts != nil {
		hosts = c.Hosts(a)
	}
	correlation := events.Extension(e, events.ExtCorrelation)
	if correlation == "" {
		correlation = e.ID()
	}
	j := queue.Job{
		ID:            queue.ID(e.Source(), e.ID(), v.Rule.Name, ""),
		Rule:          v.Rule.Name,
		RuleSet:       c.Set.Digest(),
		Event:         &queue.EventRef{Source: e.Source(), ID: e.ID(), Type: e.Type(), Seq: seq, Depth: events.Depth(e)},
		CorrelationID: correlation,
		Bundle:        c.Bundle,
		Playbook:      a.Playbook,
		Inventory:     a.Inventory,
		Limit:         a.Limit,
		Vars:          a.Vars,
		Check:         a.Check,
		Needs:         a.Needs,
		Timeout:       a.Timeout,
		OnRunnerLoss:  queue.OnLoss(a.OnRunnerLoss),
		Priority:      a.Priority,
		SharesHosts:   a.ShareHosts,
		Hosts:         hosts,
	}
	if r := a.Retry; r != nil {
		j.Retry = &queue.Retry{Attempts: r.Attempts, Backoff: r.Backoff}
	}
	if r := a.Approval; r != nil {
		j.Approval = &queue.Approval{Expires: r.Expires}
	}
	if r := a.Concurrency; r != nil {
		j.Concurrency = &queue.Concurrency{Key: r.Key, Policy: queue.Policy(r.Policy)}
	}
	return j
}

// Judged returns the sequence up to which every event has been judged and its
// jobs stored. It needs no more than a viewer's rights.
func Judged(ctx context.Context, b *bus.Bus) (uint64, error) {
	cons, err := b.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
	if err != nil {
		return 0, fmt.Errorf("see how far the events are judged: %w", err)
	}
	return cons.CachedInfo().AckFloor.Stream, nil
}
