package events

import (
	"encoding/json"
	"time"
)

// ScheduleDue is the data of a [TypeScheduleDue] event. The event's time is when it
// was due.
type ScheduleDue struct {
	// Schedule is the name of the source.
	Schedule string    `json:"schedule"`
	Due      time.Time `json:"due"`
	// LateMS is how many milliseconds later than it should the event was made, not
	// counting the schedule's jitter.
	LateMS int64 `json:"late_ms"`
	// Data is what the schedule hands on, any JSON value; nil if it has none.
	Data json.RawMessage `json:"data,omitempty"`
}

// ScheduleMissed is the data of a [TypeScheduleMissed] event: due times that passed
// while nothing ran, and that the schedule does not make up for.
type ScheduleMissed struct {
	// Schedule is the name of the source.
	Schedule string `json:"schedule"`
	// First and Last are the first and the last of the times, Count how many they are.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}
