package engine

import (
	"maps"
	"slices"
	"strings"
)

// Stats counts a host's tasks and handlers by outcome.
type Stats struct {
	// OK counts tasks that ended well, changed or not; Changed those of them
	// that changed something, or would in check mode.
	OK      int `json:"ok"`
	Changed int `json:"changed"`
	Skipped int `json:"skipped"`
	Failed  int `json:"failed"`
	// Ignored counts failures that the task asked to ignore. They are in none
	// of the other counts.
	Ignored     int `json:"ignored"`
	Unreachable int `json:"unreachable"`
	// Rescued counts failures that the rescue part of a block took care of. They
	// are in none of the other counts.
	Rescued int `json:"rescued"`
}

// Add counts one task. An unknown status counts as OK.
func (s *Stats) Add(status Status, changed bool) {
	switch status {
	case StatusSkipped:
		s.Skipped++
	case StatusFailed:
		s.Failed++
	case StatusIgnored:
		s.Ignored++
	case StatusRescued:
		s.Rescued++
	case StatusUnreachable:
		s.Unreachable++
	default:
		s.OK++
		if changed {
			s.Changed++
		}
	}
}

// Summary is the outcome of a run, with every host that was selected.
type Summary struct {
	Hosts map[string]Stats `json:"hosts"`
}

// Failed reports whether a host failed or could not be reached.
func (s Summary) Failed() bool {
	for _, h := range s.Hosts {
		if h.Failed > 0 || h.Unreachable > 0 {
			return true
		}
	}
	return false
}

// Why says in one line which hosts failed or could not be reached. It is empty
// if none did.
func (s Summary) Why() string {
	var failed, unreachable []string
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		switch h := s.Hosts[name]; {
		case h.Unreachable > 0:
			unreachable = append(unreachable, name)
		case h.Failed > 0:
			failed = append(failed, name)
		}
	}
	var parts []string
	if len(failed) > 0 {
		parts = append(parts, "failed on "+strings.Join(failed, ", "))
	}
	if len(unreachable) > 0 {
		parts = append(parts, "could not reach "+strings.Join(unreachable, ", "))
	}
	return strings.Join(parts, "; ")
}
