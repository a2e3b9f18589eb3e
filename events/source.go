package events

import "time"

// SourceFailed is the data of a [TypeSourceFailed] event: a source that was well
// does not work.
type SourceFailed struct {
	// Source is its name, Kind its key in sources.yml.
	Source string `json:"source"`
	Kind   string `json:"kind"`
	// Error says for people what keeps it from its work.
	Error string `json:"error"`
	// Failures counts the attempts that failed since it was well.
	Failures uint64 `json:"failures"`
	// Since is when the first of them failed.
	Since time.Time `json:"since"`
}

// SourceRecovered is the data of a [TypeSourceRecovered] event: a source that failed
// works again.
type SourceRecovered struct {
	// Source is its name, Kind its key in sources.yml.
	Source string `json:"source"`
	Kind   string `json:"kind"`
	// Error says for people what had kept it from its work last.
	Error string `json:"error"`
	// Failures counts the attempts that failed.
	Failures uint64 `json:"failures"`
	// Since is when the first of them failed.
	Since time.Time `json:"since"`
}
