package events

import "time"

// NotificationFailed is the data of a [TypeNotificationFailed] event: a message
// that people were not told.
type NotificationFailed struct {
	// ID is the message's, To names its target, Rule the rule that made it.
	ID   string `json:"id"`
	To   string `json:"to"`
	Rule string `json:"rule"`
	// Subject is the message's, empty if it has none.
	Subject string `json:"subject,omitempty"`
	// Reason says for people why it was given up.
	Reason string `json:"reason"`
	// Attempts counts how often it was tried, 0 if there was no target.
	Attempts uint64 `json:"attempts"`
	// At is when the rule fired.
	At time.Time `json:"at"`
}
