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
//	                    │  ^ ^                       │ │ │                     failed
//	             cancel │  │ └─── requeue (lost) ────┘ │ │ cancel             timed_out
//	                    v  └───── release (drain) ─────┘ v                    cancelled
//	               cancelled                         cancelling ── finish ──>  dead

// claimed is j in the hands of runner.
func claimed(j Job, runner string, wake uint64, hosts []string, now time.Time) (Job, error) {
	switch j.State {
	case Pending, Running:
	default:
		return j, fmt.Errorf("claim a %s job: %w", j.State, errTransition)
	}
	j.State = Running
	j.Attempt++
	j.Runner = runner
	j.Wake = wake
	j.Hosts = hosts
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
	j.Reason = reason
	return j, nil
}

// cancelRequested is j after somebody asked for its end.
func cancelRequested(j Job, reason string, now time.Time) (Job, error) {
	switch j.State {
	case Pending:
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

// finished is j at its end.
func finished(j Job, s State, reason string, now time.Time) (Job, error) {
	if j.State.Terminal() || !s.Terminal() {
		return j, fmt.Errorf("finish a %s job as %s: %w", j.State, s, errTransition)
	}
	if j.State == Pending && (s == Succeeded || s == TimedOut) {
		return j, fmt.Errorf("finish a pending job as %s: %w", s, errTransition)
	}
	j.State = s
	j.Reason = reason[:min(len(reason), maxReason)]
	j.Finished = now
	return j, nil
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
		return finished(j, Failed, reason+"; the rule says not to run it again", now)
	case j.Losses >= MaxLosses:
		return finished(j, Dead, fmt.Sprintf("%s; it has lost %d runners, and gets no more", reason, j.Losses), now)
	default:
		return requeued(j, reason)
	}
}
