package events

import "time"

// DeliveryFailed is the data of a [TypeDeliveryFailed] event: an event that a
// subscription was not delivered, or several.
type DeliveryFailed struct {
	// Subscription is its name.
	Subscription string `json:"subscription"`
	// ID, Source and Type are those of the event; empty if they are not known, since
	// it is no longer stored.
	ID     string `json:"id,omitempty"`
	Source string `json:"source,omitempty"`
	Type   string `json:"type,omitempty"`
	// Reason says for people why it was given up.
	Reason string `json:"reason"`
	// Attempts counts how often it was tried.
	Attempts uint64 `json:"attempts"`
	// At is when the event was stored, or when it was noticed that it is gone.
	At time.Time `json:"at"`
	// Missed is how many events were gone before their turn came, at most: they are
	// among those of the sequences From to To, both included. It is 0 for an event
	// that was tried.
	Missed uint64 `json:"missed,omitempty"`
	From   uint64 `json:"from,omitempty"`
	To     uint64 `json:"to,omitempty"`
}
