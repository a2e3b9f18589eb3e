package events

import "time"

// The types of this file are the data of the events that tell of a run beside
// its results: what begins, what is tried again, and how it ended. Texts are
// redacted before they get here.

// RunStarted is the data of a [TypeRunStarted] event.
type RunStarted struct {
	// Playbooks are the files, in the order they run.
	Playbooks []string `json:"playbooks"`
	// Hosts are the hosts that the run may touch, sorted.
	Hosts []string `json:"hosts"`
	// Check is true if the run only reports what it would do.
	Check bool `json:"check,omitempty"`
	// Limit, Tags and SkipTags are what the run was narrowed to.
	Limit    []string `json:"limit,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	SkipTags []string `json:"skip_tags,omitempty"`
	// StartAt is the name of the task the run begins with, if it was given.
	StartAt string `json:"start_at,omitempty"`
	// Version is that of jet-bus.
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// PlayStarted is the data of a [TypePlayStarted] event.
type PlayStarted struct {
	Play string `json:"play"`
	// Hosts are those that take part, sorted.
	Hosts []string `json:"hosts"`
	Check bool     `json:"check,omitempty"`
	// Place is where the play is written: file:line:column.
	Place string `json:"place,omitempty"`
}

// TaskStarted is the data of a [TypeTaskStarted] event.
type TaskStarted struct {
	Play string `json:"play"`
	// Role is empty for a task outside of roles.
	Role   string `json:"role,omitempty"`
	Task   string `json:"task"`
	Module string `json:"module"`
	// Handler is true for a task that runs because it was notified.
	Handler bool `json:"handler,omitempty"`
	// Hosts are those it is about to run on, sorted. Where hosts go on
	// independently, there is an event for each.
	Hosts []string `json:"hosts"`
	Check bool     `json:"check,omitempty"`
	Place string   `json:"place,omitempty"`
}

// TaskRetrying is the data of a [TypeTaskRetrying] event.
type TaskRetrying struct {
	Play     string `json:"play"`
	Role     string `json:"role,omitempty"`
	Task     string `json:"task"`
	Module   string `json:"module"`
	Handler  bool   `json:"handler,omitempty"`
	Host     string `json:"host"`
	Delegate string `json:"delegate,omitempty"`
	// Attempts is how often it was tried so far.
	Attempts int `json:"attempts"`
	// Message says why the last attempt failed.
	Message string `json:"message,omitempty"`
	Place   string `json:"place,omitempty"`
}

// PlayFinished is the data of a [TypePlayFinished] event.
type PlayFinished struct {
	Play    string    `json:"play"`
	Check   bool      `json:"check,omitempty"`
	Started time.Time `json:"started"`
	// DurationMS is how long the play took, in milliseconds.
	DurationMS float64 `json:"duration_ms"`
	Place      string  `json:"place,omitempty"`
}

// The outcomes of a run, from best to worst.
const (
	// OutcomeOK is a run that found every host as asked.
	OutcomeOK = "ok"
	// OutcomeChanged is one that changed hosts, or would have in check mode.
	OutcomeChanged = "changed"
	// OutcomeFailed is one in which a host failed or could not be reached.
	OutcomeFailed = "failed"
	// OutcomeStopped is one that did not come to its end.
	OutcomeStopped = "stopped"
)

// RunFinished is the data of a [TypeRunFinished] event.
type RunFinished struct {
	// Outcome is one of the outcomes above.
	Outcome string `json:"outcome"`
	// Message is one sentence for people: what failed, or why the run stopped.
	Message string `json:"message,omitempty"`
	// ExitCode is the exit code of the command, and Meaning what that says.
	ExitCode int    `json:"exit_code"`
	Meaning  string `json:"meaning"`
	Check    bool   `json:"check,omitempty"`
	// Hosts counts the results of each host.
	Hosts   map[string]HostStats `json:"hosts"`
	Started time.Time            `json:"started"`
	// DurationMS is how long the run took, in milliseconds.
	DurationMS float64 `json:"duration_ms"`
}

// HostStats counts a host's tasks and handlers by outcome. OK includes Changed;
// the others exclude each other.
type HostStats struct {
	OK          int `json:"ok"`
	Changed     int `json:"changed"`
	Skipped     int `json:"skipped"`
	Failed      int `json:"failed"`
	Ignored     int `json:"ignored"`
	Rescued     int `json:"rescued"`
	Unreachable int `json:"unreachable"`
}
