package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// report is everything that was measured.
type report struct {
	Machine      machine      `json:"machine"`
	Settings     settings     `json:"settings"`
	Durabilities []durability `json:"durabilities"`
}

// durability is what was measured of one; rates are per second.
type durability struct {
	Durability string  `json:"durability"`
	Ingest     *ingest `json:"ingest,omitempty"`
	Bare       bare    `json:"bare"`
	Rounds     []round `json:"rounds"`
	Syncs      extent  `json:"syncs"`
	Accepted   extent  `json:"accepted"`
	ToResult   extent  `json:"to_result"`
	ToEnd      extent  `json:"to_end"`
	// Ratio is ToResult over Syncs, round by round.
	Ratio     extent  `json:"to_result_per_sync"`
	Latencies []paced `json:"latencies"`
}

// round is one measurement of throughput: events per second until all were accepted, had a result,
// had ended, and what one of them cost.
type round struct {
	Events   int     `json:"events"`
	Syncs    float64 `json:"syncs"`
	Accepted float64 `json:"accepted"`
	ToResult float64 `json:"to_result"`
	ToEnd    float64 `json:"to_end"`
	Stored   stored  `json:"stored_per_event"`
	// CPU is what everything in this process took of it: bus, runners, publishers and viewer.
	CPU float64 `json:"cpu_ms_per_event"`
	// Flushes and DiskWrites are those of the whole disk.
	Flushes    float64 `json:"disk_flushes_per_event"`
	DiskWrites float64 `json:"disk_writes_per_event"`
}

// paced is one open loop. At a rate beyond the throughput latency only tells how long one waited
// for it to grow: such a loop is not run.
type paced struct {
	Rate     int    `json:"rate"`
	Beyond   bool   `json:"beyond_throughput,omitempty"`
	Events   int    `json:"events"`
	ToResult spread `json:"to_result"`
	ToEnd    spread `json:"to_end"`
}

// summarize fills in what follows from the rounds.
func (d *durability) summarize() {
	of := func(value func(round) float64) extent {
		var v []float64
		for _, r := range d.Rounds {
			v = append(v, value(r))
		}
		return extentOf(v)
	}
	d.Syncs = of(func(r round) float64 { return r.Syncs })
	d.Accepted = of(func(r round) float64 { return r.Accepted })
	d.ToResult = of(func(r round) float64 { return r.ToResult })
	d.ToEnd = of(func(r round) float64 { return r.ToEnd })
	d.Ratio = of(func(r round) float64 { return r.ToResult / r.Syncs })
}

func (r report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// table writes rows of cells and keeps the first error.
type table struct {
	w   *tabwriter.Writer
	err error
}

func (t *table) row(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (r report) writeTable(w io.Writer) error {
	t := &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	m, s := r.Machine, r.Settings
	by := "bus"
	if s.HTTP {
		by = "webhooks"
	}
	t.row("%d CPUs, %s, %s, %s", m.CPUs, m.Go, m.System, m.Filesystem)
	t.row("%d runners x %d slots, %d publishers (%s), one rule, one task, %d hosts, events of 1 KiB",
		s.Runners, s.Slots, s.Publishers, by, hostCount)
	for _, d := range r.Durabilities {
		d.write(t, s)
	}
	t.row("")
	t.row("result: the task's result seen by a viewer; end: the job's last state seen. Open loop: from")
	t.row("the moment an event is due. The disk's counters are of all that uses it.")
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

func (d durability) write(t *table, s settings) {
	t.row("")
	t.row("durability %s", d.Durability)
	if d.Ingest != nil {
		d.Ingest.write(t, s)
	}
	if s.Ingest {
		return
	}
	t.row("  per second\tmedian\tlowest\thighest")
	span := func(name string, e extent, format string) {
		t.row("  "+name+"\t"+format+"\t"+format+"\t"+format, e.Median, e.Min, e.Max)
	}
	span("append and fsync 1 KiB", d.Syncs, "%.0f")
	t.row("  bare stream, 1 publisher\t%.0f", d.Bare.One)
	t.row("  bare stream, %d publishers\t%.0f", s.Publishers, d.Bare.Many)
	span("events accepted", d.Accepted, "%.0f")
	span("events to result", d.ToResult, "%.0f")
	span("events to end", d.ToEnd, "%.0f")
	span("events to result per fsync", d.Ratio, "%.3f")
	var one round
	for _, r := range d.Rounds {
		one.Stored.Events += r.Stored.Events
		one.Stored.Jobs += r.Stored.Jobs
		one.Stored.Runs += r.Stored.Runs
		one.CPU += r.CPU
		one.Flushes += r.Flushes
		one.DiskWrites += r.DiskWrites
	}
	n := float64(max(len(d.Rounds), 1))
	st := one.Stored.per(len(d.Rounds))
	t.row("  an event takes\t%.1f messages stored (EVENTS %.1f, JOBS %.1f, RUNS %.1f)", st.sum(), st.Events, st.Jobs, st.Runs)
	t.row("  \t%.2f ms of CPU, %.1f flushes and %.1f writes of the disk", one.CPU/n, one.Flushes/n, one.DiskWrites/n)
	if len(d.Latencies) == 0 {
		return
	}
	t.row("  open loop\tp50\tp90\tp99\tmax")
	for _, l := range d.Latencies {
		if l.Beyond {
			t.row("  %d/s\tbeyond the throughput", l.Rate)
			continue
		}
		for _, to := range []struct {
			name string
			spread
		}{{"result", l.ToResult}, {"end", l.ToEnd}} {
			t.row("  %d/s to %s\t%.1f ms\t%.1f ms\t%.1f ms\t%.1f ms", l.Rate, to.name, to.P50, to.P90, to.P99, to.Max)
		}
	}
}
