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
	Processes    []process    `json:"processes"`
	Targets      []target     `json:"targets"`
}

// durability is what was measured of one; rates are per second.
type durability struct {
	Durability string       `json:"durability"`
	Ingest     *ingest      `json:"ingest,omitempty"`
	Bare       *bare        `json:"bare,omitempty"`
	Flows      []flowReport `json:"flows"`
}

// flowReport is what was measured of one flow.
type flowReport struct {
	Runners  int     `json:"runners"`
	Stored   int     `json:"stored_before"`
	Rounds   []round `json:"rounds"`
	Syncs    extent  `json:"syncs"`
	SyncP99  extent  `json:"sync_p99_ms"`
	Accepted extent  `json:"accepted"`
	ToResult extent  `json:"to_result"`
	ToEnd    extent  `json:"to_end"`
	// Ratio is ToResult over Syncs, OfDisk that times the writes of an event that are synced: what is got
	// out of the disk. Both round by round.
	Ratio     extent  `json:"to_result_per_sync"`
	OfDisk    extent  `json:"of_disk"`
	Latencies []paced `json:"latencies"`
}

// round is one measurement of throughput: events per second until all were accepted, had a result,
// had ended, and what one of them cost.
type round struct {
	Events   int     `json:"events"`
	Syncs    float64 `json:"syncs"`
	SyncP99  float64 `json:"sync_p99_ms"`
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
func (r *flowReport) summarize() {
	of := func(value func(round) float64) extent {
		var v []float64
		for _, one := range r.Rounds {
			v = append(v, value(one))
		}
		return extentOf(v)
	}
	r.Syncs = of(func(r round) float64 { return r.Syncs })
	r.SyncP99 = of(func(r round) float64 { return r.SyncP99 })
	r.Accepted = of(func(r round) float64 { return r.Accepted })
	r.ToResult = of(func(r round) float64 { return r.ToResult })
	r.ToEnd = of(func(r round) float64 { return r.ToEnd })
	r.Ratio = of(func(r round) float64 { return r.ToResult / r.Syncs })
	r.OfDisk = of(func(r round) float64 { return r.ToResult * r.Stored.synced() / r.Syncs })
}

// each is what an event of the flow cost, on average of the rounds.
func (r flowReport) each() (one round) {
	for _, x := range r.Rounds {
		one.Stored = stored{one.Stored.Events + x.Stored.Events, one.Stored.Jobs + x.Stored.Jobs, one.Stored.Runs + x.Stored.Runs}
		one.CPU += x.CPU
		one.Flushes += x.Flushes
		one.DiskWrites += x.DiskWrites
	}
	n := len(r.Rounds)
	one.Stored = one.Stored.per(n)
	one.CPU, one.Flushes, one.DiskWrites = one.CPU/float64(n), one.Flushes/float64(n), one.DiskWrites/float64(n)
	return one
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

func (t *table) span(name string, e extent, format string) {
	t.row("  "+name+"\t"+format+"\t"+format+"\t"+format, e.Median, e.Min, e.Max)
}

func (r report) writeTable(w io.Writer) error {
	t := &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	m := r.Machine
	t.row("%d CPUs, %s, %s, %s, load %s before", m.CPUs, m.Go, m.System, m.Filesystem, m.Load)
	for _, d := range r.Durabilities {
		d.write(t, r.Settings)
	}
	r.writeProcesses(t)
	r.writeTargets(t)
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

func (d durability) write(t *table, s settings) {
	if d.Ingest != nil {
		t.row("")
		t.row("durability %s: taking in", d.Durability)
		d.Ingest.write(t, s)
	}
	if d.Bare == nil {
		return
	}
	by := "bus"
	if s.HTTP {
		by = "webhooks"
	}
	t.row("")
	t.row("durability %s: the flow. %d slots a runner, %d publishers (%s), one rule, one task, %d hosts, events of 1 KiB",
		d.Durability, s.Slots, s.Publishers, by, hostCount)
	t.row("  bare stream per second\t1 publisher %.0f, %d publishers %.0f", d.Bare.One, s.Publishers, d.Bare.Many)
	for _, f := range d.Flows {
		f.write(t)
	}
	t.row("  result: the task's result seen by a viewer; end: the job's last state seen. Open loop: from the moment")
	t.row("  an event is due. The disk's counters are of all that uses it.")
}

func (r flowReport) write(t *table) {
	t.row("  runners %d, events stored before %d\tmedian\tlowest\thighest", r.Runners, r.Stored)
	span := func(name string, e extent, format string) { t.span("  "+name, e, format) }
	span("append and fsync 1 KiB, per second", r.Syncs, "%.0f")
	span("append and fsync 1 KiB, p99", r.SyncP99, "%.1f ms")
	span("events accepted, per second", r.Accepted, "%.0f")
	span("events to result, per second", r.ToResult, "%.0f")
	span("events to end, per second", r.ToEnd, "%.0f")
	span("events to result per fsync", r.Ratio, "%.3f")
	one := r.each()
	t.row("    an event takes\t%.1f messages stored (EVENTS %.1f, JOBS %.1f, RUNS %.1f),", one.Stored.sum(), one.Stored.Events,
		one.Stored.Jobs, one.Stored.Runs)
	t.row("    \t%.2f ms of CPU, %.1f flushes and %.1f writes of the disk", one.CPU, one.Flushes, one.DiskWrites)
	if len(r.Latencies) == 0 {
		return
	}
	t.row("    open loop\tp50\tp90\tp99\tmax")
	for _, l := range r.Latencies {
		if l.Beyond {
			t.row("    %d/s\tbeyond the throughput", l.Rate)
			continue
		}
		for _, to := range []struct {
			name string
			spread
		}{{"result", l.ToResult}, {"end", l.ToEnd}} {
			t.row("    %d/s to %s\t%.1f ms\t%.1f ms\t%.1f ms\t%.1f ms", l.Rate, to.name, to.P50, to.P90, to.P99, to.Max)
		}
	}
}

func (r report) writeProcesses(t *table) {
	if len(r.Processes) == 0 {
		return
	}
	t.row("")
	t.row("jet-bus as a process, durability power: %s after its start, then each start, until it is healthy", r.Settings.Idle)
	t.row("  \tmedian\tlowest\thighest")
	for _, p := range r.Processes {
		t.row("  events stored %d, a store of %.1f MB", p.Stored, float64(p.Store)/mega)
		if m := p.Idle; m.Known {
			t.row("    resident when idle\t%.1f MB\t(%.1f its own, %.1f of files; %.1f at the most)", mb(m.RSS), mb(m.Anon), mb(m.File), mb(m.Peak))
			t.row("    of a core when idle\t%.1f %%", 100*p.Busy)
		} else {
			t.row("    resident when idle\tthis system does not say")
		}
		t.span("  stop", p.Stop, "%.3f s")
		t.span("  start after a stop", p.Clean, "%.3f s")
		t.span("  start after a kill", p.Kill, "%.3f s")
		if p.Store >= leastStore {
			t.row("    start after a kill, per GiB\t%.2f s", p.PerGiB)
		}
	}
}

// mega is a megabyte.
const mega = 1e6

func mb(n int64) float64 { return float64(n) / mega }
