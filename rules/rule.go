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
	// On lists event types; one that ends in ".*" stands for all types below it.
	On []string
	// Condition is the source text of the condition, empty if there is none.
	Condition string
	Enabled   bool
	// Pos is where the rule begins in its file.
	Pos strictyaml.Pos
	Run Run
	// Breaker, if set, bounds how often the rule may fire.
	Breaker *Breaker

	cond *cond
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
)
