package events

import "time"

// StoreRewound is the data of a [TypeStoreRewound] event: what the store has lost,
// as its operator decided to go on without it.
type StoreRewound struct {
	// Stream is the stream that lacks it: EVENTS, RUNS, JOBS, ….
	Stream string `json:"stream"`
	// From and To are the sequences of what is lost, both included. To is 0 if
	// nobody knows where it ended.
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	// Since is a time from which on all of it was stored; nil if that is not known.
	Since *time.Time `json:"since,omitempty"`
	// Next is the sequence from which the stream goes on. It is beyond all that
	// were ever given out, so that none means two things.
	Next uint64 `json:"next"`
	// Message is one sentence for people.
	Message string `json:"message"`
}
