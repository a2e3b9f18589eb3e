package events

import "time"

// RulesActivated is the data of a [TypeRulesActivated] event.
type RulesActivated struct {
	// RuleSet is the digest of the rule set, Bundle that of the content it is part of.
	RuleSet string `json:"rule_set"`
	Bundle  string `json:"bundle"`
	// By names the jet-bus that put it in force, empty if it is alone.
	By string `json:"by,omitempty"`
	// First is true if nothing is remembered from before.
	First bool `json:"first,omitempty"`
}

// RulesMissed is the data of a [TypeRulesMissed] event: what the rules that
// remember did not see.
type RulesMissed struct {
	// From and To are the sequences of the events, both included. To is 0 if nobody
	// knows where it ends.
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	// Message is one sentence for people.
	Message string `json:"message"`
}

// RuleWindowMissed is the data of a [TypeRuleWindowMissed] event.
type RuleWindowMissed struct {
	Rule string `json:"rule"`
	// Key is what the window was told apart by; it may be empty.
	Key   string    `json:"key"`
	Began time.Time `json:"began"`
	Ends  time.Time `json:"ends"`
	// Count is how many events were in the window.
	Count int `json:"count"`
}

// RuleFull is the data of a [TypeRuleFull] event. It is published when the first
// event is not taken in, and again when that happens after a while without.
type RuleFull struct {
	Rule string `json:"rule"`
	// Key is what the window would have been told apart by; it may be empty.
	Key string `json:"key"`
	// MaxWindows is how many windows the rule may have open.
	MaxWindows int `json:"max_windows"`
}

// ClockTicked is the data of a [TypeClockTicked] event.
type ClockTicked struct {
	// Due is when the window ends that is waited for.
	Due time.Time `json:"due"`
}
