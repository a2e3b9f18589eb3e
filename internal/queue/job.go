package queue

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// State is where a job stands.
type State string

// The states of a job. Succeeded and those after it are terminal: nothing
// follows them.
const (
	// Unapproved means that somebody has to approve the job before it may run.
	Unapproved State = "unapproved"
	Pending    State = "pending"
	Running    State = "running"
	Cancelling State = "cancelling"
	Succeeded  State = "succeeded"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
	TimedOut   State = "timed_out"
	// Skipped means that the job was not run because another one with its
	// concurrency key was there; see [Skip].
	Skipped State = "skipped"
	// Dead means that the job was given up and needs somebody to look: it lost
	// too many runners (see [MaxLosses]), or failed as often as [Retry] allows.
	Dead State = "dead"
)

// States returns all states, in the order of a job's life.
func States() []State {
	return []State{Unapproved, Pending, Running, Cancelling, Succeeded, Failed, Cancelled, TimedOut, Skipped, Dead}
}

// Terminal reports whether no transition leaves s.
func (s State) Terminal() bool {
	switch s {
	case Succeeded, Failed, Cancelled, TimedOut, Skipped, Dead:
		return true
	default:
		return false
	}
}

// OnLoss says what becomes of a job whose runner died.
type OnLoss string

// The policies. The zero value is LossRequeue.
const (
	LossRequeue OnLoss = "requeue"
	LossFail    OnLoss = "fail"
)

// Policy says what becomes of a job when another one with its concurrency key has
// not ended yet.
type Policy string

// The policies. The zero value is Line.
const (
	// Line lets the job wait until those before it have ended.
	Line Policy = "queue"
	// Skip ends the job without running it.
	Skip Policy = "skip"
	// Replace cancels those before it, and runs when they have ended.
	Replace Policy = "replace"
)

// Concurrency keeps jobs apart: of those with one key, whatever their rules, only
// one runs at a time, in the order in which they were made.
type Concurrency struct {
	Key    string `json:"key"`
	Policy Policy `json:"policy,omitempty"`
}

// Retry says that a job that failed or ran out of time is run again.
type Retry struct {
	// Attempts is how often the job may run and fail in all.
	Attempts int `json:"attempts"`
	// Backoff is how long the first repetition waits; it doubles with each one
	// after it, up to [MaxBackoff].
	Backoff time.Duration `json:"backoff_ns,omitempty"`
}

// MaxBackoff is the longest wait before a repetition.
const MaxBackoff = time.Hour

// Approval says that somebody has to approve a job.
type Approval struct {
	// Expires is how long the job waits for that before it is cancelled; zero
	// means for ever.
	Expires time.Duration `json:"expires_ns,omitempty"`
}

// MaxPriority bounds [Job.Priority] in both directions.
const MaxPriority = 100

// MaxLosses bounds how many runners a job may lose, so that one that kills them
// does not do so for ever.
const MaxLosses = 5

// MaxRecord is how large a job's record may be when it is made, in bytes of JSON.
// It grows later, by its hosts and its reason, and must still fit into a message.
const MaxRecord = 512 << 10

// MaxHosts is how many hosts one job may hold: the locks are taken in one
// atomic batch, and the server takes at most 1000 messages in one.
const MaxHosts = 900

// EventRef names the event that caused a job.
type EventRef struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	Type   string `json:"type"`
	// Seq is the event's sequence on the EVENTS stream.
	Seq uint64 `json:"seq"`
	// Depth is how many rules in a row caused the event; see [events.ExtDepth].
	Depth int `json:"depth,omitempty"`
}

// Job is the record of one job, whole in every revision.
type Job struct {
	ID string `json:"id"`

	// Rule and RuleSet name the rule that fired and the digest of its set; both
	// are empty for a job that was started by hand.
	Rule    string    `json:"rule,omitempty"`
	RuleSet string    `json:"rule_set,omitempty"`
	Event   *EventRef `json:"event,omitempty"`
	// CorrelationID is the first cause of the chain this job belongs to.
	CorrelationID string `json:"correlation_id,omitempty"`

	// Bundle is the digest of the content the job runs, Playbook and Inventory
	// are paths in it.
	Bundle    string            `json:"bundle"`
	Playbook  string            `json:"playbook"`
	Inventory string            `json:"inventory"`
	Limit     []string          `json:"limit,omitempty"`
	Vars      map[string]any    `json:"vars,omitempty"`
	Check     bool              `json:"check,omitempty"`
	Needs     map[string]string `json:"needs,omitempty"`
	// Timeout ends a run; zero means none.
	Timeout      time.Duration `json:"timeout_ns,omitempty"`
	OnRunnerLoss OnLoss        `json:"on_runner_loss,omitempty"`

	// Priority says who goes first where several jobs could: the higher one. It
	// is 0 unless somebody says otherwise.
	Priority    int          `json:"priority,omitempty"`
	Retry       *Retry       `json:"retry,omitempty"`
	Approval    *Approval    `json:"approval,omitempty"`
	Concurrency *Concurrency `json:"concurrency,omitempty"`
	// SharesHosts is true for a job that neither locks its hosts nor minds who
	// else is on them.
	SharesHosts bool `json:"shares_hosts,omitempty"`
	// RetryOf is the job that somebody asked to have run again, as this one.
	RetryOf string `json:"retry_of,omitempty"`
	// StartedBy names who runs the job by hand; see [Queue.OpenHand]. It is empty
	// for all others.
	StartedBy string `json:"started_by,omitempty"`

	State State `json:"state"`
	// First is the sequence of the job's first revision; jobs take their turns in
	// this order. It is zero in that revision itself, until it is read.
	First uint64 `json:"first,omitempty"`
	// Attempt counts the claims, Losses those of them that ended with the loss of
	// the runner.
	Attempt int `json:"attempt"`
	Losses  int `json:"losses,omitempty"`
	// Failures counts the attempts that ended with a failure or out of time, as
	// far as the job was run again.
	Failures int `json:"failures,omitempty"`
	// Delay is how long the job waits before it runs again, from this revision on.
	Delay time.Duration `json:"delay_ns,omitempty"`
	// ApprovedBy names who approved the job.
	ApprovedBy string `json:"approved_by,omitempty"`
	// Runner holds or held the job last.
	Runner string `json:"runner,omitempty"`
	// Wake names the wake-up that the claim was made with. Only a redelivery of
	// that one means that the holder's lease ran out.
	Wake uint64 `json:"wake,omitempty"`
	// Lock is the revision of the one lock that the first claim took, of a host or of
	// the key; zero if it took none or several, and after later claims. When the job has
	// ended, that is where the lock is free.
	Lock uint64 `json:"lock,omitempty"`
	// Hosts are those the run touches, sorted. Before the first claim they are
	// what the dispatcher expects, nil if it does not know; from then on what the
	// runner found. See [Job.Holds].
	Hosts []string `json:"hosts,omitempty"`
	// Reason says in a sentence how the job came to its state, where that is not
	// plain.
	Reason string `json:"reason,omitempty"`
	// Results counts the task results of the last attempt, once it ended.
	Results int `json:"results,omitempty"`

	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
}

// Holds reports whether the job has its hosts and its key to itself: it runs, or was
// interrupted and may still be at work somewhere. One that was never claimed, or waits
// for a repetition, holds nothing.
func (j Job) Holds() bool {
	switch j.State {
	case Running, Cancelling:
		return true
	case Pending:
		return j.Attempt > 0 && j.Delay == 0
	default:
		return false
	}
}

// exclusive returns the hosts that the job wants for itself, as far as they are
// known.
func (j Job) exclusive() []string {
	if j.SharesHosts {
		return nil
	}
	return j.Hosts
}

// ID returns the id of the job that rule makes of the event with this identity.
// The same arguments give the same id, which is what makes it one job; key tells
// apart several jobs of one rule and event and is empty otherwise.
func ID(source, id, rule, key string) string {
	h := sha256.New()
	for _, s := range []string{source, id, rule, key} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// NewID returns a random id, for jobs that no event caused.
func NewID() string {
	u := uuid.New()
	return hex.EncodeToString(u[:])
}

// NameFor returns the queue of jobs with these needs: one queue for each set
// of needs, so that a runner is only ever handed what it can run.
func NameFor(needs map[string]string) string {
	if len(needs) == 0 {
		return "default"
	}
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(needs)) {
		for _, s := range []string{k, needs[k]} {
			_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
			h.Write([]byte(s))
		}
	}
	return "needs-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Satisfies reports whether a runner with labels can run a job with needs.
func Satisfies(labels, needs map[string]string) bool {
	for k, v := range needs {
		if labels[k] != v {
			return false
		}
	}
	return true
}
