package engine

import (
	"time"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Kind says what an [Event] tells of.
type Kind string

// The kinds of events. A play that starts also finishes. A task is started once
// for all of its hosts and finishes once on each of them; only hosts that were
// still waiting when the run's context ended miss that.
const (
	PlayStarted  Kind = "play_started"
	TaskStarted  Kind = "task_started"
	TaskFinished Kind = "task_finished"
	PlayFinished Kind = "play_finished"
	// TaskRetrying comes before each new attempt of a task on a host.
	TaskRetrying Kind = "task_retrying"
)

// Status is the outcome of a task on a host. In check mode the words are the
// same and say what would have been done.
type Status string

// The outcomes of a task. Created, modified, removed and executed are changes.
// Passive is a success of a module that changes nothing by nature. Unreachable
// takes the host out of the run, failed as soon as the blocks around the task have
// done what they always do; ignored is a failure that the task
// asked to ignore, rescued one that the rescue part of a block takes care of.
const (
	StatusSkipped     Status = "skipped"
	StatusPassive     Status = "passive"
	StatusMatched     Status = "matched"
	StatusExecuted    Status = "executed"
	StatusModified    Status = "modified"
	StatusRemoved     Status = "removed"
	StatusCreated     Status = "created"
	StatusIgnored     Status = "ignored"
	StatusRescued     Status = "rescued"
	StatusFailed      Status = "failed"
	StatusUnreachable Status = "unreachable"
)

// changes says whether the status is that of a change.
func (s Status) changes() bool {
	switch s {
	case StatusExecuted, StatusModified, StatusRemoved, StatusCreated:
		return true
	default:
		return false
	}
}

// rank orders statuses: that of a task with items is the highest of its items'.
func (s Status) rank() int {
	for i, o := range []Status{
		StatusSkipped, StatusPassive, StatusMatched,
		StatusExecuted, StatusModified, StatusRemoved, StatusCreated,
		StatusIgnored, StatusRescued, StatusFailed, StatusUnreachable,
	} {
		if o == s {
			return i
		}
	}
	return -1
}

// Event is one step of a run. Members that do not belong to the kind are zero.
type Event struct {
	Kind Kind
	// Play is the play's name.
	Play string
	// Role is the role's name as role.yml gives it, empty outside of roles.
	Role string
	// Task is the task's name, or its module's when it has none.
	Task string
	// Module is the task's module.
	Module string
	// Handler is true for handlers.
	Handler bool
	// Pos is where the play or task is written.
	Pos strictyaml.Pos
	// Hosts are the hosts concerned, sorted, for PlayStarted and TaskStarted.
	Hosts []string

	// Host and what follows are for TaskFinished. TaskRetrying has Host, Attempts
	// (how many were made so far), Message (why the last one failed), Started and
	// Delegate of them.
	Host string
	// Delegate is the host where the task ran, if that is another one.
	Delegate string
	Status   Status
	// Changed is true if something was changed, or would be in check mode, by
	// any item of the task.
	Changed bool
	// Check is true for every event of a run in check mode.
	Check bool
	// Fields names what was modified.
	Fields []string
	// Message is the error of a failure, or what the module had to say.
	Message string
	// Diff is what was changed in files, or would be, as unified diffs one after
	// the other. It is empty unless [Options.Diff] asks for it. Secrets are hidden.
	Diff string
	// Command is what the user's command left behind, if the task ran one. With
	// items it is that of the first item whose status is the task's.
	Command *CommandResult
	// Items is how many items were worked on, 0 for a task without items.
	Items int
	// Attempts is how often the module was tried; with items, the largest number
	// any of them took. It is 0 when the task was skipped before any.
	Attempts int
	// Started and Duration also are set for PlayFinished. Waiting for a free
	// place among the forks is not counted.
	Started  time.Time
	Duration time.Duration
}
