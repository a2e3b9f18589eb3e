package simulate

import "time"

// Report is in what two rule sets differ over the same events.
type Report struct {
	// Events is how many were judged, stored from First to Last.
	Events      int       `json:"events"`
	First, Last time.Time `json:"-"`
	// Rules are those of both sets, by name.
	Rules []*Rule `json:"-"`
}

// Rule is what became of one rule.
type Rule struct {
	Name string `json:"rule"`
	// Old and New are how often it fired.
	Old Tally `json:"old"`
	New Tally `json:"new"`
	// Added are the firings by the new set alone, Removed those by the old one alone,
	// Changed those by both that do something else.
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
	// Examples are the first of these.
	Examples []Example `json:"examples,omitempty"`
	// Fault is the first error of the new set that the old one did not have.
	Fault string `json:"fault,omitempty"`
}

// Tally is what one set's rule did.
type Tally struct {
	// Missing is true if the set has no such rule.
	Missing bool `json:"missing,omitempty"`
	// Fired counts firings; Failed counts the events, and windows, that could not be
	// judged or acted upon; Refused counts those for which there was no room or that too
	// many rules had caused.
	Fired   int `json:"fired"`
	Failed  int `json:"failed,omitempty"`
	Refused int `json:"refused,omitempty"`
}

// Differs reports whether the sets do not agree on the rule.
func (r *Rule) Differs() bool {
	return r.Added+r.Removed+r.Changed > 0 || r.Old.Failed != r.New.Failed || r.Old.Refused != r.New.Refused
}

// Differs reports whether the sets do not agree on any rule.
func (r *Report) Differs() bool {
	for _, rule := range r.Rules {
		if rule.Differs() {
			return true
		}
	}
	return false
}

// Kind is in what a firing differs.
type Kind string

// The kinds.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// Example is one firing that is not the same in both sets.
type Example struct {
	Kind Kind `json:"kind"`
	// Seq, At, Source, ID and Type are of the event that fired the rule; where the
	// end of a window did, Seq is of the event before, and there is no ID.
	Seq    uint64    `json:"seq"`
	At     time.Time `json:"at"`
	Source string    `json:"source,omitempty"`
	ID     string    `json:"id,omitempty"`
	Type   string    `json:"type,omitempty"`
	// Key is what the window or throttle was told apart by.
	Key string `json:"key,omitempty"`
	// Before and After are what the firing does, as [Effects] says it; nil where it
	// is not there.
	Before map[string]any `json:"before,omitempty"`
	After  map[string]any `json:"after,omitempty"`
	// Differences are the places where these are not the same, when Changed.
	Differences []string `json:"differences,omitempty"`
}
