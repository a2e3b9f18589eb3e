package main

import (
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// evidence is all that a run leaves to be judged. It is data only, so that a run can be judged again.
type evidence struct {
	Settings settings      `json:"settings"`
	Boot     time.Time     `json:"boot"` // by the machine's clock: the time that all durations begin at
	Took     time.Duration `json:"took"` // of the faults
	Sent     []*sent       `json:"sent"`
	Faults   []done        `json:"faults"`

	// What is on the streams, each in the order of its sequences.
	Events []storedEvent `json:"events"`
	// Decisions are those of the rules that remember.
	Decisions []storedDecision `json:"decisions"`
	States    []queue.Record   `json:"states"`
	Results   []storedResult   `json:"results"`
	Locks     []storedLock     `json:"locks"`

	// Marks are the lines of the hosts' journals, in order for each host.
	Marks []mark `json:"marks"`
	// Ended is when a runner said that a job has ended.
	Ended []time.Duration `json:"ended"`

	Peaks  map[string]int64    `json:"peaks"`  // bytes of memory at the most, by process
	Starts map[string]int      `json:"starts"` // how often a process was started
	Exits  map[string][]string `json:"exits"`  // ends of processes that nobody asked for
	// Trouble is what the run itself met with: a stream that came back behind what was read of it.
	Trouble []string `json:"trouble"`
}

// done is a fault that was made, with the times since the machine's start.
type done struct {
	Fault fault         `json:"fault"`
	From  time.Duration `json:"from"`
	To    time.Duration `json:"to"` // when the part could work again, as far as the fault decides it
}

// storedEvent is an event on EVENTS.
type storedEvent struct {
	Seq    uint64 `json:"seq"`
	Source string `json:"source"`
	ID     string `json:"id"`
	Type   string `json:"type"`
	// Subject is, of one that a rule has published, the event that made it do so.
	Subject string `json:"subject,omitempty"`
	// Time is when it was stored, by the clock of jet-bus.
	Time time.Time `json:"time"`
}

// storedDecision is a decision on DECISIONS.
type storedDecision struct {
	ID      string `json:"id"`
	Rule    string `json:"rule"`
	Outcome string `json:"outcome"`
	Seq     uint64 `json:"seq"` // of the event that decided
	Error   string `json:"error,omitempty"`
}

// storedResult is a task's result on RUNS.
type storedResult struct {
	Seq     uint64 `json:"seq"`
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	Number  int    `json:"number"`
	Task    string `json:"task"`
	Host    string `json:"host"`
	Changed bool   `json:"changed"`
}

// storedLock is a host's lock changing hands on RUNS.
type storedLock struct {
	Seq  uint64 `json:"seq"`
	Host string `json:"host"`
	Job  string `json:"job"`
}
