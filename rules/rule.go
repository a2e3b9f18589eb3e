package rules

import (
	"time"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Rule is one rule of a set. It must not be changed.
type Rule struct {
	// Name is unique in the set.
	Name        string
	Description string
	// On lists the event types of all its clauses, each once; one that ends in
	// ".*" stands for all types below it.
	On []string
	// Condition is the source text of the condition, empty if there is none, or
	// if the rule has named clauses.
	Condition string
	Enabled   bool
	// Priority says which rule is judged first: the higher one, and of several
	// with the same the one that [Set.Rules] has first. It matters for Stop, and
	// for which of two rules has the last word on a fact.
	Priority int
	// Stop ends the judging of an event once this rule's condition holds for it:
	// rules judged later do not see the event.
	Stop bool
	// Shadow is true for a rule that only says what it would have done.
	Shadow bool
	// Otherwise is true for a rule that is judged only if the event met the
	// condition, or a clause, of no other rule that is enabled and not a shadow.
	Otherwise bool
	// Pos is where the rule begins in its file.
	Pos strictyaml.Pos

	// Form says what the rule waits for; Clauses are its parts, at least one.
	Form    Form
	Clauses []*Clause
	// Window bounds what All and Absent wait for; nil with other forms.
	Window *Window
	// Throttle is nil if every match fires.
	Throttle *Throttle
	// Missed says what becomes of a window that ended while nothing ran.
	Missed Missed
	// MaxWindows bounds how many windows, of its clauses and of its throttle
	// together, the rule has open at a time.
	MaxWindows int

	// What a firing does; at least one of them.
	Run     *Run // nil if it runs no playbook
	Publish []*Publish
	Set     []*SetFact // by key
	Notify  []*Notify
	// Breaker, if set, bounds how often the rule may fire.
	Breaker *Breaker

	// ordered is true for a rule whose verdict depends on more than one event; see
	// [Rule.Ordered].
	ordered bool
	// keeps are the parts of an event that a window has to keep for the rule's
	// expressions, by the name of the clause it matched: paths below the event, as
	// [view.keep] takes them.
	keeps map[string][]string
	// vars are those of the rule's file.
	vars map[string]any
	// readsFacts is true if a clause's condition looks at kv.
	readsFacts bool
}

// Ordered reports whether the rule's verdict depends on what came before an
// event, or it does more than to run a playbook. Such rules are judged by a
// [State], one event after the other; the others by [Set.Match].
func (r *Rule) Ordered() bool { return r.ordered }

// Form is what a rule waits for.
type Form int

// The forms. The zero Form is none of them.
const (
	// Single waits for one event: the rule has one clause, without a name.
	Single Form = iota + 1
	// Any waits for one event that meets any of its named clauses.
	Any
	// All waits until each of its named clauses was met, by different events with
	// one key, within a window that begins with the first of them.
	All
	// Absent waits for a window to end without an event that meets its only
	// clause, which has no name; the clause named "after", if there is one, begins
	// the window, else the event before does.
	Absent
	// Incomplete waits for a window to end that was begun by one of its named
	// clauses, and in which not all of them were met.
	Incomplete
)

// Clause is a part of a rule: a condition over one event.
type Clause struct {
	// Name is empty for the only clause of a rule.
	Name string
	// On lists event types as [Rule].On does.
	On []string
	// Condition is its source text, empty if every event of the types meets it.
	Condition string
	// Key is the source text of what windows are told apart by, the clause's own
	// or else that of the window; empty if there is one window for all.
	Key string
	Pos strictyaml.Pos

	cond *cond    // nil if there is no condition
	key  *program // what windows are told apart by; nil if there is one for all
}

// Window is what All, Absent and Incomplete wait within.
type Window struct {
	Within time.Duration
	// Key is the source text of what windows are told apart by, empty if none; a
	// clause may have its own.
	Key string
	// Where, of an All, is the source text of a condition over the events that met
	// the clauses, empty if there is none. While it does not hold, a newer event
	// may take the place of an older one.
	Where string
	// Expect, of an Absent, are keys whose window begins when the rule comes into
	// force, without a first event. An Absent without a key and without "after"
	// begins so too.
	Expect []string

	where *cond
}

// Throttle bounds how often the matches of a rule fire.
type Throttle struct {
	// Key is the source text of what throttles are told apart by; empty for one.
	Key   string
	Every time.Duration
	Take  Take
	// Count is how many matches within Every fire once; set with TakeCount.
	Count int
	// Unique, if not empty, is the source text of what matches are told apart by:
	// a match like one before, in the same window, takes its place (TakeLast) or
	// is not counted (TakeCount).
	Unique string

	key, unique *program
}

// Take says which of the matches within a throttle's window fires.
type Take string

// What a throttle takes.
const (
	// TakeFirst fires at once, and then not again for the time of the window.
	TakeFirst Take = "first"
	// TakeLast fires at the end of the window that a match began, for the last.
	TakeLast Take = "last"
	// TakeCount fires when so many matches came within the time; then it counts anew.
	TakeCount Take = "count"
)

// Missed says what becomes of a window that ended while nothing ran.
type Missed string

// The policies for missed windows.
const (
	// MissedFire does late what the end of the window would have done.
	MissedFire Missed = "fire"
	// MissedReport does nothing but say so. An absence begins anew.
	MissedReport Missed = "report"
)

// Publish is an event that a rule publishes.
type Publish struct {
	Type string
	Pos  strictyaml.Pos

	subject, data *template // nil if not given
}

// SetFact is a fact that a rule sets, or takes away with a null.
type SetFact struct {
	Pos strictyaml.Pos

	key, value *template
}

// Notify is a message to people.
type Notify struct {
	// To names a target of the content's notify.yml.
	To  string
	Pos strictyaml.Pos

	subject, text *template // subject is nil if not given
}

// Run is what a rule runs, as far as it does not depend on the event. See
// [Action] for the rest.
type Run struct {
	// Playbook and Inventory are slash-separated paths below the content root.
	Playbook, Inventory string
	// Needs are the labels a runner must have.
	Needs        map[string]string
	Timeout      time.Duration
	OnRunnerLoss LossPolicy
	// Check is true for a run that reports what it would change.
	Check bool

	// Priority says which of several jobs goes first: the higher one.
	Priority int
	// Retry, Approval and Concurrency are nil if the rule has none.
	Retry       *Retry
	Approval    *Approval
	Concurrency *Concurrency
	// ShareHosts is true for a run that does not mind who else is on its hosts.
	ShareHosts bool

	limit *template
	vars  *template
	key   *template
}

// LossPolicy says what becomes of a job whose runner is lost.
type LossPolicy string

// The loss policies.
const (
	LossRequeue LossPolicy = "requeue"
	LossFail    LossPolicy = "fail"
)

// The values of keys that a rule does not give.
const (
	DefaultInventory    = "inventory"
	DefaultTimeout      = time.Hour
	DefaultOnRunnerLoss = LossRequeue
	DefaultBackoff      = 30 * time.Second
	DefaultMissed       = MissedFire
	DefaultMaxWindows   = 10_000
)
