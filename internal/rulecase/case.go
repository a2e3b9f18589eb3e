package rulecase

import (
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

// Case is a sequence of steps and what is expected of the rules at each.
type Case struct {
	Name string
	Pos  strictyaml.Pos
	// Rules names the rules that are looked at; nil means all.
	Rules []Name
	// At is when the rules come into force and the clock begins.
	At    time.Time
	Steps []*Step
}

// Name is the name of a rule, with its place.
type Name struct {
	Text string
	Pos  strictyaml.Pos
}

// Step moves the clock, by one of Advance and Down or not at all, and then an event
// comes, unless Event is nil.
type Step struct {
	Pos strictyaml.Pos
	// Advance lets windows end on time; Down is for how long no jet-bus ran.
	Advance, Down time.Duration
	Event         *events.Event
	// Expect is all that rules may do at the step; see [Case.Play].
	Expect []*Expectation
}

// Expectation is what is expected of one rule at one step.
type Expectation struct {
	Pos     strictyaml.Pos
	Rule    Name
	Outcome rules.Outcome
	// Key, if not nil, is that of the window or throttle.
	Key *string
	// Missing, if not empty, is the path that is not there, of an Unknown; or the
	// name of a clause that was not met.
	Missing string
	// Stopped by this rule, if not empty.
	By string
	// Effects are those parts of a firing that are compared, as [simulate.Effects]
	// has them.
	Effects map[string]any
}

// Result is what came of a case.
type Result struct {
	Case *Case
	// Faults are what was not as expected; none if the case holds.
	Faults []Fault
}

// Fault is one thing that was not as expected.
type Fault struct {
	// Pos is of the expectation, or of the step.
	Pos strictyaml.Pos
	// Message says in a sentence what was expected and what happened, Why what that
	// follows from, in a line each.
	Message string
	Why     []string
}
