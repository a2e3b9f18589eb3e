package events

import "time"

// RulePaused is the data of a [TypeRulePaused] event.
type RulePaused struct {
	Rule string `json:"rule"`
	// By names who paused it: a user, or breaker.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// From is the sequence of the first event that may be left for the resume.
	From  uint64    `json:"from"`
	Since time.Time `json:"since"`
}

// RuleResumed is the data of a [TypeRuleResumed] event.
type RuleResumed struct {
	Rule string `json:"rule"`
	By   string `json:"by"`
	// Skipped is true if the events that came meanwhile are not judged.
	Skipped bool `json:"skipped,omitempty"`
	// From is the sequence of the first event that is judged now.
	From uint64 `json:"from"`
}
