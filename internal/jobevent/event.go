package jobevent

import (
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// maxNames bounds the bytes that the hosts of a job may take in an event, and its
// limits as well.
const maxNames = 48 << 10

// event is a step of a job as an event. It follows from the record alone, so that it
// is the same event whenever it is made.
func (s step) event(r queue.Record) (events.Event, error) {
	if s.typ == events.TypeRuleFired {
		return firedEvent(r.ID, r.CorrelationID, r.Event, events.RuleFired{
			Rule: r.Rule, RuleSet: r.RuleSet, Event: nameOf(r.Event), Job: r.ID, At: r.Created,
		})
	}
	e, err := events.New("/jobs/"+r.ID, s.typ, changed(r))
	if err != nil {
		return e, err
	}
	e.SetID(fmt.Sprintf("%s.%d.%s", r.ID, r.Rev, s.word))
	e.SetSubject(r.ID)
	e.SetTime(r.At.UTC())
	return chain(e, r.CorrelationID, r.Event)
}

// firedEvent is that a rule fired; by is what tells the firing from all others.
func firedEvent(by, correlation string, cause *queue.EventRef, data events.RuleFired) (events.Event, error) {
	e, err := events.New("/rules/"+data.Rule, events.TypeRuleFired, data)
	if err != nil {
		return e, err
	}
	e.SetID(by + ".fired")
	e.SetSubject(data.Rule)
	e.SetTime(data.At.UTC())
	return chain(e, correlation, cause)
}

// chain makes e a link in the chain of its cause, so that rules that cause each other
// come to an end.
func chain(e events.Event, correlation string, cause *queue.EventRef) (events.Event, error) {
	if correlation != "" {
		e.SetExtension(events.ExtCorrelation, correlation)
	}
	if cause != nil {
		e.SetExtension(events.ExtCausation, cause.ID)
		e.SetExtension(events.ExtDepth, cause.Depth+1)
	}
	return e, events.Check(e)
}

func nameOf(ref *queue.EventRef) *events.EventName {
	if ref == nil {
		return nil
	}
	return &events.EventName{ID: ref.ID, Source: ref.Source, Type: ref.Type, Seq: ref.Seq}
}

// changed is a job as an event has it.
func changed(r queue.Record) events.JobChanged {
	d := events.JobChanged{
		Job: r.ID, State: string(r.State), Reason: r.Reason, Rule: r.Rule, RuleSet: r.RuleSet, StartedBy: r.StartedBy,
		Event: nameOf(r.Event), RetryOf: r.RetryOf, Bundle: r.Bundle, Playbook: r.Playbook, Inventory: r.Inventory,
		Check: r.Check, Needs: r.Needs, Priority: r.Priority, Runner: r.Runner, Attempt: r.Attempt, Failures: r.Failures,
		Losses: r.Losses, DelayMS: r.Delay.Milliseconds(), ApprovedBy: r.ApprovedBy, Queued: r.Created, Started: r.Started,
		Ended: r.Finished, Results: r.Results,
	}
	var more int
	d.Limit, more = clip(r.Limit)
	d.Hosts, d.More = clip(r.Hosts)
	d.More += more
	if r.Concurrency != nil {
		d.Key = r.Concurrency.Key
	}
	if !r.Started.IsZero() && r.Finished.After(r.Started) {
		d.DurationMS = float64(r.Finished.Sub(r.Started)) / float64(time.Millisecond)
	}
	return d
}

// clip keeps as many names as an event has room for; more counts the others.
func clip(names []string) (kept []string, more int) {
	room := maxNames
	for i, n := range names {
		if room -= len(n) + len(`"",`); room < 0 {
			return names[:i], len(names) - i
		}
	}
	return names, 0
}
