package events

import "time"

// JobChanged is the data of the events about a job: [TypeJobQueued],
// [TypeJobStarted], [TypeJobSucceeded], [TypeJobFailed], [TypeJobCancelled],
// [TypeJobTimedOut], [TypeJobSkipped], [TypeJobLost] and [TypeJobDead]. It has the job
// as it was then, but for its variables.
type JobChanged struct {
	// Job is the job's id; the event's subject is that, too.
	Job string `json:"job"`
	// State is where the job stands, in the words that jet jobs has: pending, failed, ….
	// One that lost its runner may be pending again, or have ended.
	State string `json:"state"`
	// Reason says for people how it came to that, where it is not plain.
	Reason string `json:"reason,omitempty"`

	// Rule and RuleSet name the rule that made the job and the digest of its set; both
	// are empty for a job that was started by hand, and then StartedBy says by whom, if
	// the process that submitted it runs it, too.
	Rule      string `json:"rule,omitempty"`
	RuleSet   string `json:"rule_set,omitempty"`
	StartedBy string `json:"started_by,omitempty"`
	// Event is what made the job, nil if none did.
	Event *EventName `json:"event,omitempty"`
	// RetryOf is the job that somebody asked to have run again, as this one.
	RetryOf string `json:"retry_of,omitempty"`

	// Bundle is the digest of the content, Playbook and Inventory are files in it, or on
	// the machine of who runs it by hand.
	Bundle    string   `json:"bundle,omitempty"`
	Playbook  string   `json:"playbook"`
	Inventory string   `json:"inventory,omitempty"`
	Limit     []string `json:"limit,omitempty"`
	// Check is true if the job only reports what it would do.
	Check bool `json:"check,omitempty"`
	// Hosts are those the job is for, as far as they are known; More counts those that
	// are left out, of Hosts and of Limit, where these are very long.
	Hosts []string `json:"hosts,omitempty"`
	More  int      `json:"more,omitempty"`
	// Needs are the labels that the runner has to have.
	Needs    map[string]string `json:"needs,omitempty"`
	Priority int               `json:"priority,omitempty"`
	// Key is the job's concurrency key, empty if it has none.
	Key string `json:"key,omitempty"`

	// Runner holds the job or held it last, empty if none did.
	Runner string `json:"runner,omitempty"`
	// Attempt counts the runners that took the job; Failures are those of the attempts
	// that failed and were followed by another one, Losses those whose runner was lost.
	Attempt  int `json:"attempt"`
	Failures int `json:"failures,omitempty"`
	Losses   int `json:"losses,omitempty"`
	// DelayMS is how long the job waits before it runs again, in milliseconds.
	DelayMS int64 `json:"delay_ms,omitempty"`
	// ApprovedBy names who approved the job.
	ApprovedBy string `json:"approved_by,omitempty"`

	Queued time.Time `json:"queued"`
	// Started is when the last attempt began, Ended when the job did end; both are zero
	// before that.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// DurationMS is how long the last attempt took, in milliseconds, once the job has ended.
	DurationMS float64 `json:"duration_ms,omitempty"`
	// Results counts the task results of the last attempt, once the job has ended.
	Results int `json:"results,omitempty"`
}

// EventName says which event is meant.
type EventName struct {
	ID     string `json:"id"`
	Source string `json:"source"`
	Type   string `json:"type"`
	// Seq is its sequence on the bus, while it is stored.
	Seq uint64 `json:"seq,omitempty"`
}

// RuleFired is the data of a [TypeRuleFired] event.
type RuleFired struct {
	Rule string `json:"rule"`
	// RuleSet is the digest of the set that the rule is part of.
	RuleSet string `json:"rule_set,omitempty"`
	// Event is what made the rule fire: where time did, the last event in its window. It
	// is nil if there was none.
	Event *EventName `json:"event,omitempty"`
	// Key is what the rule's window is told apart by, if it has one and runs no playbook.
	Key string `json:"key,omitempty"`
	// Job is the job that came of it, empty if the rule runs no playbook. Published are
	// the ids of the events that it published, of a rule without a playbook.
	Job       string    `json:"job,omitempty"`
	Published []string  `json:"published,omitempty"`
	At        time.Time `json:"at"`
}

// JobTypes returns the types of events about jobs, in an order of its own.
func JobTypes() []string {
	return []string{
		TypeJobQueued, TypeJobStarted, TypeJobSucceeded, TypeJobFailed, TypeJobCancelled, TypeJobTimedOut, TypeJobSkipped,
		TypeJobLost, TypeJobDead,
	}
}
