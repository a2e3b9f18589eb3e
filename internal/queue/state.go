package queue

import (
	"errors"
	"fmt"
	"time"
)

// errTransition is a transition the state machine does not have; it reaches a
// caller only wrapped in a sentence.
var errTransition = errors.New("no such transition")

// maxReason bounds a reason, in bytes: it may hold what a host said.
const maxReason = 16 << 10

// The functions below are the state machine: each returns the next revision of
// a job or an error, and touches nothing else. The clock is an argument.
//
//	           create                    claim                    finish
//	(none) ───────────> pending ───────────────────> running ───────────────> succeeded
//	   │                │ ^ ^ ^                      │ │ │ │                   failed
//	   │  approve       │ │ │ └── requeue (lost) ────┘ │ │ │ cancel            timed_out
//	   └─> unapproved ──│─┘ └──── release (drain) ─────┘ │ v                   cancelled
//	           │        │   └──── retry, with a delay ───┘ cancelling ─finish─> dead
//	           │ reject │ cancel, skip
//	           v        v
//	       cancelled  skipped

// created is j as it is stored first.
func created(j Job, now time.Time) Job {
	j.State = Pending
	if j.Approval != nil {
		j.State = Unapproved
	}
	if j.Created.IsZero() {
		j.Created = now
	}
	return j
}

// again is an ended job as it is submitted once more.
func again(old Job) Job {
	return Job{
		ID: ID("/jobs/"+old.ID, "again", old.Rule, ""), RetryOf: old.ID,
		Rule: old.Rule, RuleSet: old.RuleSet, Event: old.Event, CorrelationID: old.CorrelationID,
		Bundle: old.Bundle, Playbook: old.Playbook, Inventory: old.Inventory, Limit: old.Limit, Vars: old.Vars,
		Check: old.Check, Needs: old.Needs, Timeout: old.Timeout, OnRunnerLoss: old.OnRunnerLoss,
		Priority: old.Priority, Retry: old.Retry, Concurrency: old.Concurrency, SharesHosts: old.SharesHosts,
		Hosts: old.Hosts,
	}
}

// approved is j after somebody approved it.
func approved(j Job, by string) (Job, error) {
	if j.State != Unapproved {
		return j, fmt.Errorf("approve a %s job: %w", j.State, errTransition)
	}
	j.State = Pending
	j.ApprovedBy = by
	j.Reason = ""
	return j, nil
}

// claimed is j in the hands of runner.
func claimed(j Job, runner string, wake uint64, hosts []string, now time.Time) (Job, error) {
	if j.State != Pending {
		return j, fmt.Errorf("claim a %s job: %w", j.State, errTransition)
	}
	j.State = Running
	j.Attempt++
	j.Runner = runner
	j.Wake = wake
	j.Lock = 0
	j.Hosts = hosts
	j.Delay = 0
	j.Reason = ""
	j.Started = now
	return j, nil
}

// requeued is j given back, to be claimed again. It is where a lost runner's job
// and a draining runner's job go.
func requeued(j Job, reason string) (Job, error) {
	if j.State != Running {
		return j, fmt.Errorf("requeue a %s job: %w", j.State, errTransition)
	}
	j.State = Pending
	j.Wake = 0
	j.Delay = 0
	j.Reason = reason
	return j, nil
}

// cancelRequested is j after somebody asked for its end.
func cancelRequested(j Job, reason string, now time.Time) (Job, error) {
	switch j.State {
	case Unapproved, Pending:
		return finished(j, Cancelled, reason, now)
	case Running:
		j.State = Cancelling
		j.Reason = reason
		return j, nil
	case Cancelling:
		return j, nil
	default:
		return j, fmt.Errorf("cancel a %s job: %w", j.State, errTransition)
	}
}

// ended is j after its run has ended as s: at its end, or to be run again if it
// failed and may.
func ended(j Job, s State, reason string, now time.Time) (Job, error) {
	failed := s == Failed || s == TimedOut
	switch {
	case j.State != Running || !failed || j.Retry == nil:
		return finished(j, s, reason, now)
	case j.Failures+1 >= j.Retry.Attempts:
		return finished(j, Dead, fmt.Sprintf("%s; it has failed %d times, and is not run again", reason, j.Failures+1), now)
	}
	j.State = Pending
	j.Wake = 0
	j.Failures++
	// At least a moment: a delay is what tells this job from one that lost its
	// runner, and still holds its hosts.
	j.Delay = max(time.Second, min(j.Retry.Backoff<<min(j.Failures-1, 16), MaxBackoff))
	j.Reason = cut(fmt.Sprintf("attempt %d: %s", j.Attempt, reason))
	return j, nil
}

// finished is j at its end.
func finished(j Job, s State, reason string, now time.Time) (Job, error) {
	if j.State.Terminal() || !s.Terminal() {
		return j, fmt.Errorf("finish a %s job as %s: %w", j.State, s, errTransition)
	}
	waits := j.State == Pending || j.State == Unapproved
	if waits && (s == Succeeded || s == TimedOut) || !waits && s == Skipped {
		return j, fmt.Errorf("finish a %s job as %s: %w", j.State, s, errTransition)
	}
	j.State = s
	j.Delay = 0
	j.Reason = cut(reason)
	j.Finished = now
	return j, nil
}

func cut(reason string) string { return reason[:min(len(reason), maxReason)] }

// interrupted is what becomes of j when its runner had to stop it and says so
// itself.
func interrupted(j Job, reason string, now time.Time) (Job, error) {
	if j.State == Running && j.OnRunnerLoss == LossFail {
		return finished(j, Failed, reason+"; it is not to be run again", now)
	}
	return requeued(j, reason)
}

// lost is what becomes of j when its runner is gone. A job that is to be
// requeued has state Pending; one that was being cancelled is cancelled.
func lost(j Job, now time.Time) (Job, error) {
	reason := fmt.Sprintf("runner %s was lost during attempt %d", j.Runner, j.Attempt)
	j.Losses++
	switch {
	case j.State == Cancelling:
		return finished(j, Cancelled, reason+", after the job was cancelled", now)
	case j.State != Running:
		return j, fmt.Errorf("lose a %s job: %w", j.State, errTransition)
	case j.OnRunnerLoss == LossFail:
		return finished(j, Failed, reason+"; it is not to be run again", now)
	case j.Losses >= MaxLosses:
		return finished(j, Dead, fmt.Sprintf("%s; it has lost %d runners, and gets no more", reason, j.Losses), now)
	default:
		return requeued(j, reason)
	}
}
