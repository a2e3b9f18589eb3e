package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// report is what a run has shown.
type report struct {
	Seed    uint64         `json:"seed"`
	Dir     string         `json:"dir"`
	Seconds float64        `json:"seconds"` // of faults
	Faults  map[kind]int   `json:"faults"`
	Kills   int            `json:"kills"`
	Starts  map[string]int `json:"starts"`

	Events   int `json:"events"`   // that were accepted
	Offers   int `json:"offers"`   // tries to hand one in
	Repeated int `json:"repeated"` // answers to events that were accepted already
	// Again counts the events that are stored once more because they were sent again beyond the time
	// that EVENTS promises to know them.
	Again int `json:"again"`
	// Firings counts those of rules that remember.
	Firings  int                 `json:"firings"`
	Jobs     map[queue.State]int `json:"jobs"`
	Attempts int                 `json:"attempts"`
	Results  int                 `json:"results"`
	Commands int                 `json:"commands"` // begun on hosts

	Lost     int `json:"lost"`
	Doubled  int `json:"doubled"`
	Overlaps int `json:"overlaps"`
	Other    int `json:"other"`

	// Recovery is the time from a kill to the next end of a job, by kind.
	Recovery map[kind]recovery   `json:"recovery"`
	Peaks    map[string]int64    `json:"peak_bytes"`
	Exits    map[string][]string `json:"exits"` // ends of processes that nobody asked for

	Violations []violation `json:"violations"`
}

// recovery is a distribution, in seconds.
type recovery struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// anyKill stands for all kinds in the recoveries.
const anyKill kind = "any kill"

// newReport judges evidence.
func newReport(e *evidence) *report {
	c := newChecker(e)
	r := &report{Violations: c.all()}
	r.Again, r.Firings = c.again, c.fired
	r.Seed, r.Dir, r.Seconds = e.Settings.Seed, e.Settings.Dir, e.Took.Seconds()
	r.Starts, r.Peaks, r.Exits = e.Starts, e.Peaks, e.Exits
	r.Faults, r.Jobs, r.Recovery = map[kind]int{}, map[queue.State]int{}, map[kind]recovery{}
	for _, d := range e.Faults {
		r.Faults[d.Fault.Kind]++
		if d.Fault.Kind.kills() {
			r.Kills++
		}
	}
	for _, s := range e.Sent {
		r.Offers += len(s.Answers) + s.Refused
		if len(s.Answers) > 0 {
			r.Events++
			r.Repeated += len(s.Answers) - 1
		}
	}
	for _, j := range c.jobs {
		r.Jobs[j.last().State]++
		r.Attempts += j.last().Attempt
	}
	r.Results = len(e.Results)
	for _, m := range e.Marks {
		if m.What == "begin" {
			r.Commands++
		}
	}
	for _, v := range r.Violations {
		switch v.Breach {
		case lost:
			r.Lost++
		case doubled:
			r.Doubled++
		case overlap:
			r.Overlaps++
		default:
			r.Other++
		}
	}
	times := recoveries(e)
	for k, list := range times {
		slices.Sort(list)
		r.Recovery[k] = recovery{len(list), percentile(list, 50), percentile(list, 99), list[len(list)-1].Seconds()}
	}
	return r
}

// recoveries are the times from each kill to the next end of a job.
func recoveries(e *evidence) map[kind][]time.Duration {
	ended := slices.Sorted(slices.Values(e.Ended))
	times := map[kind][]time.Duration{}
	for _, d := range e.Faults {
		if !d.Fault.Kind.kills() {
			continue
		}
		if i, _ := slices.BinarySearch(ended, d.From+1); i < len(ended) {
			times[d.Fault.Kind] = append(times[d.Fault.Kind], ended[i]-d.From)
			times[anyKill] = append(times[anyKill], ended[i]-d.From)
		}
	}
	return times
}

// percentile is the smallest of a sorted list that p percent do not exceed, in seconds.
func percentile(sorted []time.Duration, p int) float64 {
	return sorted[(len(sorted)*p+99)/100-1].Seconds()
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { _, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("seed", "%d", r.Seed)
	line("time", "%.0f s", r.Seconds)
	line("kills", "%d", r.Kills)
	var faults []string
	for _, k := range kinds() {
		if n := r.Faults[k]; n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, k))
		}
	}
	line("faults", "%s", strings.Join(faults, ", "))
	line("events", "%d accepted in %d offers; %d answered again, %d stored again beyond the window", r.Events, r.Offers, r.Repeated, r.Again)
	var jobs []string
	total := 0
	for _, s := range queue.States() {
		if n := r.Jobs[s]; n > 0 {
			jobs = append(jobs, fmt.Sprintf("%d %s", n, s))
			total += n
		}
	}
	line("jobs", "%d: %s; %d attempts, %d results, %d commands", total, strings.Join(jobs, ", "), r.Attempts, r.Results, r.Commands)
	line("rules that remember", "%d firings", r.Firings)
	line("lost", "%d", r.Lost)
	line("doubled", "%d", r.Doubled)
	line("overlaps", "%d", r.Overlaps)
	line("other breaches", "%d", r.Other)
	for _, k := range append([]kind{anyKill}, kinds()...) {
		if v, ok := r.Recovery[k]; ok {
			line("recovery, "+string(k), "p50 %.2f s, p99 %.2f s, most %.2f s, of %d", v.P50, v.P99, v.Max, v.N)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Peaks)) {
		line("memory, "+name, "%.0f MiB at the most, %d starts", float64(r.Peaks[name])/(1<<20), r.Starts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Exits)) {
		line("ended by itself, "+name, "%d times", len(r.Exits[name]))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Violations) == 0 {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n%d BREACHES; logs, store and evidence are in %s\n", len(r.Violations), r.Dir)
	for _, v := range r.Violations {
		fmt.Fprintf(&text, "%s: %s\n", v.Breach, v.Text)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
