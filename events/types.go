package events

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// ownPrefix begins every event type that only jet-bus itself may publish.
const ownPrefix = "dev.jet-bus."

// The types of the events that jet-bus publishes. The version at the end
// changes when a reader of the old data could go wrong; new optional members do
// not change it.
const (
	TypeTaskFinished = "dev.jet-bus.task.finished.v1"

	TypeRunStarted   = "dev.jet-bus.run.started.v1"
	TypePlayStarted  = "dev.jet-bus.play.started.v1"
	TypeTaskStarted  = "dev.jet-bus.task.started.v1"
	TypeTaskRetrying = "dev.jet-bus.task.retrying.v1"
	TypePlayFinished = "dev.jet-bus.play.finished.v1"
	TypeRunFinished  = "dev.jet-bus.run.finished.v1"

	TypeJobQueued    = "dev.jet-bus.job.queued.v1"
	TypeJobStarted   = "dev.jet-bus.job.started.v1"
	TypeJobSucceeded = "dev.jet-bus.job.succeeded.v1"
	TypeJobFailed    = "dev.jet-bus.job.failed.v1"
	TypeJobCancelled = "dev.jet-bus.job.cancelled.v1"
	TypeJobTimedOut  = "dev.jet-bus.job.timed_out.v1"
	TypeJobSkipped   = "dev.jet-bus.job.skipped.v1"
	TypeJobLost      = "dev.jet-bus.job.lost.v1"
	TypeJobDead      = "dev.jet-bus.job.dead.v1"

	TypeRuleFired   = "dev.jet-bus.rule.fired.v1"
	TypeRulePaused  = "dev.jet-bus.rule.paused.v1"
	TypeRuleResumed = "dev.jet-bus.rule.resumed.v1"
	// Of rules that remember.
	TypeRulesActivated   = "dev.jet-bus.rules.activated.v1"
	TypeRulesMissed      = "dev.jet-bus.rules.missed.v1"
	TypeRuleWindowMissed = "dev.jet-bus.rule.window.missed.v1"
	TypeRuleFull         = "dev.jet-bus.rule.full.v1"
	TypeClockTicked      = "dev.jet-bus.clock.ticked.v1"
	TypeRulesRefused     = "dev.jet-bus.rules.refused.v1"

	TypeHostProvisioned = "dev.jet-bus.host.provisioned.v1"
	TypeStoreRewound    = "dev.jet-bus.store.rewound.v1"

	TypeSourceFailed    = "dev.jet-bus.source.failed.v1"
	TypeSourceRecovered = "dev.jet-bus.source.recovered.v1"
	TypeScheduleDue     = "dev.jet-bus.schedule.due.v1"
	TypeScheduleMissed  = "dev.jet-bus.schedule.missed.v1"
	TypeFileCreated     = "dev.jet-bus.file.created.v1"
	TypeFileChanged     = "dev.jet-bus.file.changed.v1"
	TypeFileRemoved     = "dev.jet-bus.file.removed.v1"

	TypeDeliveryFailed = "dev.jet-bus.delivery.failed.v1"

	TypeNotificationFailed = "dev.jet-bus.notification.failed.v1"
)

// Names of the extension attributes that jet-bus sets and reads.
const (
	// ExtCorrelation is the id that all events of one chain share.
	ExtCorrelation = "correlationid"
	// ExtCausation is the id of the event that caused this one.
	ExtCausation = "causationid"
	// ExtDepth is how many rules in a row caused an event, each by an event that it
	// published: an integer, not there for an event that no rule published.
	ExtDepth = "jetdepth"
	// ExtTraceParent and ExtTraceState carry the W3C trace context.
	ExtTraceParent = "traceparent"
	ExtTraceState  = "tracestate"

	// ExtGitHost is the host name of the git server, such as github.com.
	ExtGitHost = "githost"
	// ExtRepository is the repository's path on its host, such as acme/app.
	ExtRepository = "repository"
	// ExtRef is the full name of the git reference, such as refs/heads/main.
	ExtRef = "ref"
	// ExtTag is the name of the tag, without refs/tags/.
	ExtTag = "tag"
	// ExtGitEvent is what happened, in a word that all git hosts share: push, tag,
	// release or merge.
	ExtGitEvent = "gitevent"
	// ExtDelivery is the id that a git host gave to the delivery of an event whose own
	// id is made of what it tells.
	ExtDelivery = "delivery"
	// ExtActor is the account that caused the event at its host.
	ExtActor = "actor"
)

// OwnType reports whether typ is reserved for events that jet-bus itself
// publishes. A sender from outside may not use such a type.
func OwnType(typ string) bool { return strings.HasPrefix(strings.ToLower(typ), ownPrefix) }

// TaskFinished is the data of a [TypeTaskFinished] event: what one task did on
// one host. Its texts are redacted before they get here.
type TaskFinished struct {
	// Job is the job's id, empty for a run without a bus.
	Job string `json:"job,omitempty"`
	// Attempt counts the job's attempts from 1.
	Attempt int `json:"attempt"`
	// Seq counts the results within the attempt from 1, without gaps.
	Seq int `json:"seq"`

	Play string `json:"play"`
	// Role is empty for a task outside of roles.
	Role string `json:"role,omitempty"`
	Task string `json:"task"`
	// Module is the task's module, such as copy.
	Module string `json:"module"`
	// Handler is true for a task that ran because it was notified.
	Handler bool   `json:"handler,omitempty"`
	Host    string `json:"host"`
	// Delegate is the host where the task ran, if that is another one.
	Delegate string `json:"delegate,omitempty"`

	// Status says how the task ended, as the engine names it: matched, created,
	// modified, removed, executed, passive, skipped, failed, ….
	Status  string `json:"status"`
	Changed bool   `json:"changed"`
	// Check is true if the run only reported what it would do.
	Check bool `json:"check,omitempty"`
	// Fields names what was modified: Content, Mode, ….
	Fields []string `json:"fields,omitempty"`
	// Message is text for people; the error if the task failed.
	Message string `json:"message,omitempty"`
	// Diff is what was changed in files, or would be, as unified diffs. It is
	// there only if the run was asked for it.
	Diff string `json:"diff,omitempty"`
	// Command is set if the task ran a command of the user.
	Command *Command `json:"command,omitempty"`
	// Outputs are the texts above that are too large for an event. Here they have
	// their beginning and their end; the bus keeps them whole elsewhere.
	Outputs []Output `json:"outputs,omitempty"`

	// Items is how many items the task went through, 0 without items.
	Items int `json:"items,omitempty"`
	// Attempts is how often the task was tried, 0 if it did not run.
	Attempts int `json:"attempts,omitempty"`

	Started time.Time `json:"started"`
	// DurationMS is how long the task took on this host, in milliseconds.
	DurationMS float64 `json:"duration_ms"`
	// Place is where the task is written: file:line:column.
	Place string `json:"place,omitempty"`
}

// Command is a command of the user and what it left behind.
type Command struct {
	Cmd    string `json:"cmd"`
	RC     int    `json:"rc"`
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	// Truncated is true if Stdout or Stderr is not all there was; see
	// [TaskFinished.Outputs] for the whole.
	Truncated bool `json:"truncated,omitempty"`
}

// The names that an [Output] may have: those of the members it is the whole of.
const (
	OutputStdout  = "stdout"
	OutputStderr  = "stderr"
	OutputMessage = "message"
	OutputDiff    = "diff"
)

// Output says where a text is that is too large for an event.
type Output struct {
	// Name is that of the member with the ends of the text.
	Name string `json:"name"`
	// Bytes is the size of the whole text.
	Bytes int64 `json:"bytes"`
	// SHA256 is the digest of the text in hexadecimal, under which it is kept. It
	// is empty if the text could not be kept, and Lost says why.
	SHA256 string `json:"sha256,omitempty"`
	Lost   string `json:"lost,omitempty"`
}

// Size is how large the whole text is, for people.
func (o Output) Size() string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case o.Bytes < kib:
		return fmt.Sprintf("%d bytes", o.Bytes)
	case o.Bytes < mib:
		return fmt.Sprintf("%d KiB", o.Bytes/kib)
	default:
		return fmt.Sprintf("%.1f MiB", float64(o.Bytes)/mib)
	}
}

// TypeInfo describes an event type of ours.
type TypeInfo struct {
	Type string
	// Doc is one sentence on what happened when such an event is seen.
	Doc string
	// Schema is the JSON Schema of the data, nil if none is published.
	Schema json.RawMessage
}

// Types returns the event types that jet-bus publishes, in a fixed order.
func Types() []TypeInfo {
	infos := []TypeInfo{
		{Type: TypeTaskFinished, Doc: "A task ended on a host."},
		{Type: TypeRunStarted, Doc: "A run of playbooks begins."},
		{Type: TypePlayStarted, Doc: "A play begins, with the hosts it is for."},
		{Type: TypeTaskStarted, Doc: "A task begins on its hosts."},
		{Type: TypeTaskRetrying, Doc: "A task failed on a host and is going to be tried again."},
		{Type: TypePlayFinished, Doc: "A play is over."},
		{Type: TypeRunFinished, Doc: "A run of playbooks is over, with how each host fared."},
		{Type: TypeJobQueued, Doc: "A job waits: for a runner, for its turn, or for somebody's approval."},
		{Type: TypeJobStarted, Doc: "A runner claimed a job and begins an attempt."},
		{Type: TypeJobSucceeded, Doc: "A job's playbooks ran without a failed host."},
		{Type: TypeJobFailed, Doc: "A job ended with a failure and will not be tried again."},
		{Type: TypeJobCancelled, Doc: "A job was cancelled and its work has stopped."},
		{Type: TypeJobTimedOut, Doc: "A job took longer than its timeout and was stopped."},
		{Type: TypeJobSkipped, Doc: "A job was not run, since another one with its concurrency key was there."},
		{Type: TypeJobLost, Doc: "A runner stopped reporting while it held a job."},
		{Type: TypeJobDead, Doc: "A job used up its attempts and was put aside."},
		{Type: TypeRuleFired, Doc: "A rule matched an event and made its jobs."},
		{Type: TypeRulePaused, Doc: "A rule was paused and makes no jobs until it is resumed."},
		{Type: TypeRuleResumed, Doc: "A paused rule was resumed."},
		{Type: TypeRulesRefused, Doc: "Newer content has faults, and what was in force stays so."},
		{Type: TypeRulesActivated, Doc: "A rule set comes into force for the rules that remember, from this event on."},
		{Type: TypeRulesMissed, Doc: "Events were no longer stored when the rules that remember came to them."},
		{Type: TypeRuleWindowMissed, Doc: "A rule's window ended while nothing ran, and the rule only wants to be told."},
		{Type: TypeRuleFull, Doc: "A rule has as many windows open as it may, and does not take in more."},
		{Type: TypeClockTicked, Doc: "The time has come for a window of a rule to end."},
		{Type: TypeHostProvisioned, Doc: "A host was created by its provisioner."},
		{Type: TypeSourceFailed, Doc: "A source of events cannot do its work."},
		{Type: TypeSourceRecovered, Doc: "A source of events works again."},
		{Type: TypeScheduleDue, Doc: "The time of a schedule has come."},
		{Type: TypeScheduleMissed, Doc: "Times of a schedule passed while nothing ran, and it does not make up for them."},
		{Type: TypeFileCreated, Doc: "A file appeared in a watched directory."},
		{Type: TypeFileChanged, Doc: "A file in a watched directory changed."},
		{Type: TypeFileRemoved, Doc: "A file in a watched directory is gone."},
		{Type: TypeDeliveryFailed, Doc: "An event could not be delivered to a subscription's sink and was given up."},
		{Type: TypeStoreRewound, Doc: "The store had lost what it had accepted, and its operator accepted the loss."},
		{Type: TypeNotificationFailed, Doc: "A message to people could not be sent and was given up."},
	}
	for i := range infos {
		infos[i].Schema = schemaOf(infos[i].Type)
	}
	return infos
}

//go:embed schema/*.json
var schemas embed.FS

// Schemas returns the published JSON Schemas (draft 2020-12), each in a file
// named after its event type with .json added.
func Schemas() fs.FS {
	sub, err := fs.Sub(schemas, "schema")
	if err != nil {
		panic("events: " + err.Error()) // the name is a valid path
	}
	return sub
}

func schemaOf(typ string) json.RawMessage {
	data, err := schemas.ReadFile("schema/" + typ + ".json")
	if err != nil {
		return nil // not every type has one
	}
	return data
}
