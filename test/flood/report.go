package flood

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is what became of a flood.
type Report struct {
	Settings Settings `json:"settings"`
	// Good is of the deliveries that were to be accepted, Bad of the others.
	Good    Result  `json:"good"`
	Bad     Result  `json:"bad"`
	Patient Patient `json:"patient"`
	Hostile Hostile `json:"hostile"`
	Memory  Memory  `json:"memory"`
	// CPU is the processor time that jet-bus took during the flood.
	CPU time.Duration `json:"cpu_ns"`
	// Accepted events are those that a sender was told of, each once. Found are those of them that are on the bus, as
	// they were sent and where that was said; Lost are not there at all. Doubled is how many are there more than once,
	// Unanswered how many are there that nobody was told of.
	Accepted   int `json:"accepted"`
	Found      int `json:"found"`
	Lost       int `json:"lost"`
	Doubled    int `json:"doubled"`
	Unanswered int `json:"unanswered"`
	// Healthy says whether jet-bus was well, during the flood and after it.
	Healthy bool `json:"healthy"`

	faults *faults
}

// Result is what became of requests.
type Result struct {
	Sent int `json:"sent"`
	// Statuses counts the answers, Timeouts the requests that had none in time, Errors those that broke off.
	Statuses map[int]int   `json:"statuses"`
	Timeouts int           `json:"timeouts"`
	Errors   int           `json:"errors"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
}

// Patient is what became of a sender who sends one good delivery after the other, and each until it is accepted.
type Patient struct {
	Accepted int `json:"accepted"`
	// Again is how often one had to be sent again, Longest how long it took until one was accepted.
	Again   int           `json:"again"`
	Longest time.Duration `json:"longest_ns"`
}

// Hostile is what became of those who mean harm.
type Hostile struct {
	// Slow is how many slow connections there were, HungUp how many of them jet-bus closed.
	Slow   int64 `json:"slow"`
	HungUp int64 `json:"hung_up"`
	// Giants is how many giant bodies were begun; Refused had an answer, Cut were cut off.
	Giants  int64 `json:"giants"`
	Refused int64 `json:"refused"`
	Cut     int64 `json:"cut"`
}

// Memory is what jet-bus had resident, in bytes: before the flood, at the most, at its end, and after a rest.
type Memory struct {
	Before int64 `json:"before"`
	Peak   int64 `json:"peak"`
	End    int64 `json:"end"`
	Rested int64 `json:"rested"`
	// Known is false on systems without /proc.
	Known bool `json:"known"`
}

// Faults are what jet-bus did wrong, in words.
func (r Report) Faults() []string {
	all := r.faults.all()
	if !r.Healthy {
		all = append(all, "jet-bus was not healthy")
	}
	return all
}

// WriteJSON writes it for programs.
func (r Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteTable writes it for people.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	s := r.Settings
	row := func(format string, v ...any) { _, _ = fmt.Fprintf(t, format+"\n", v...) } // Flush has the error
	row("durability %s: %d requests a second for %s, bodies of %d KiB; beside it %d slow senders, %d of giant bodies",
		s.Durability, s.Rate, s.For, s.Body>>10, s.Slow, s.Giant)
	row("  \tsent\t202\t401\t413\t429\t503\tother\ttimeouts\tbroken\tp50\tp99\tmax")
	for _, of := range []struct {
		name string
		Result
	}{{"good", r.Good}, {"bad", r.Bad}} {
		n := of.Statuses
		ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
		row("  %s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s", of.name, of.Sent, n[202], n[401], n[413], n[429], n[503],
			of.other(), of.Timeouts, of.Errors, ms(of.P50), ms(of.P99), ms(of.Max))
	}
	row("  a patient sender: %d accepted, sent again %d times, %.1f s at the longest", r.Patient.Accepted, r.Patient.Again, r.Patient.Longest.Seconds())
	if h := r.Hostile; h.Slow+h.Giants > 0 {
		row("  slow connections %d, of which %d were hung up on; giant bodies %d: %d refused, %d cut off", h.Slow, h.HungUp, h.Giants, h.Refused, h.Cut)
	}
	row("  events accepted %d, found %d, lost %d, doubled %d; stored without an answer %d", r.Accepted, r.Found, r.Lost, r.Doubled, r.Unanswered)
	if m := r.Memory; m.Known {
		mb := func(n int64) float64 { return float64(n) / 1e6 }
		row("  resident: before %.0f MB, at the most %.0f MB, at the end %.0f MB, %s later %.0f MB", mb(m.Before), mb(m.Peak), mb(m.End), s.Rest, mb(m.Rested))
	}
	if r.CPU > 0 {
		row("  CPU time of jet-bus %.2f ms for each request", float64(r.CPU)/float64(time.Millisecond)/float64(r.Good.Sent+r.Bad.Sent))
	}
	for _, f := range r.Faults() {
		row("  FAULT: %s", f)
	}
	return t.Flush()
}

// other counts the answers that have no column.
func (r Result) other() (n int) {
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		switch status {
		case 202, 401, 413, 429, 503:
		default:
			n += r.Statuses[status]
		}
	}
	return n
}
