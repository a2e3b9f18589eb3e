package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"
)

// report is everything that was measured.
type report struct {
	CPUs       int      `json:"cpus"`
	Go         string   `json:"go"`
	Versions   []string `json:"versions"`
	Accounting string   `json:"cpu_from"`
	Settings   settings `json:"settings"`
	// Load is the machine's load before and after: it should be near 0 before.
	Load [2]string `json:"load"`
	// Connect is what a TCP connection took at each of the round trips asked for, in milliseconds.
	Connect []float64    `json:"connect_ms"`
	Cells   cells        `json:"cells,omitempty"`
	Many    []manyResult `json:"many,omitempty"`
	Warm    []*warmCell  `json:"warm,omitempty"`
}

// manyResult is one run of jet over many hosts.
type manyResult struct {
	RTT   time.Duration `json:"rtt_ns"`
	Hosts int           `json:"hosts"`
	// Failed is how many hosts were not as asked afterwards, and at least one when jet said so.
	Failed int `json:"failed"`
	// Errors are what jet said.
	Errors []string `json:"errors,omitempty"`
	First  sample   `json:"first"`
	Second sample   `json:"second"`
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
	t.row("%d CPUs, %s; load %s before, %s after", r.CPUs, r.Go, r.Load[0], r.Load[1])
	for _, v := range r.Versions {
		t.row("%s", v)
	}
	t.row("CPU from %s; memory from /proc (anonymous, proportional)", r.Accounting)
	for i, rtt := range r.Settings.RTTs {
		if i < len(r.Connect) {
			t.row("%d ms asked for: a TCP connection takes %.1f ms", rtt.Milliseconds(), r.Connect[i])
		}
	}
	switch {
	case r.Settings.Warm:
		r.warmRows(t)
	case r.Settings.Many > 0:
		r.manyRows(t)
	default:
		r.cellRows(t)
		r.slopeRows(t)
	}
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// cellRows write a block for each number of hosts at each distance.
func (r report) cellRows(t *table) {
	for _, rtt := range r.Settings.RTTs {
		for _, hosts := range r.Settings.Hosts {
			here := r.Cells.at(hosts, rtt)
			base := here.base()
			if base == nil {
				continue
			}
			t.row("")
			t.row("%d hosts, %d ms\tfirst s\tratio\tCPU s\tMiB\tsecond s\tratio\tCPU s\tMiB\truns", hosts, rtt.Milliseconds())
			for _, c := range here {
				c.write(t, base)
			}
		}
	}
	notes := map[string]bool{}
	for _, c := range r.Cells {
		if c.Note != "" && !notes[c.Note] {
			notes[c.Note] = true
			t.row("")
			t.row("%s: %s", c.Peer, c.Note)
		}
	}
}

func (c *cell) write(t *table, base *cell) {
	one := figures(c.First)
	line := fmt.Sprintf("  %s\t%.3f\t%s\t%.3f\t%.1f", c.Peer, one.Wall, ratio(one.Wall, figures(base.First).Wall), one.CPU, one.Memory)
	if len(c.Second) > 0 {
		two := figures(c.Second)
		line += fmt.Sprintf("\t%.3f\t%s\t%.3f\t%.1f", two.Wall, ratio(two.Wall, figures(base.Second).Wall), two.CPU, two.Memory)
	} else {
		line += "\t\t\t\t"
	}
	t.row("%s\t%d", line, len(c.First))
}

// ratio is how often b goes into a, as text; nothing where it means nothing.
func ratio(a, b float64) string {
	q := a / b
	switch {
	case math.IsNaN(q) || math.IsInf(q, 0):
		return ""
	case q >= 10:
		return fmt.Sprintf("%.0fx", q)
	}
	return fmt.Sprintf("%.2fx", q)
}

// slopeRows say how many round trips the work waits for.
func (r report) slopeRows(t *table) {
	rtts := r.Settings.RTTs
	if len(rtts) < 2 {
		return
	}
	near, far := rtts[0], rtts[len(rtts)-1]
	t.row("")
	t.row("RTTs\thosts\tfirst\tsecond")
	for _, hosts := range r.Settings.Hosts {
		for _, c := range r.Cells.at(hosts, near) {
			slopeRow(t, c, r.Cells.find(c.Peer, hosts, far), near, far)
		}
	}
}

func slopeRow(t *table, c, d *cell, near, far time.Duration) {
	if d == nil {
		return
	}
	second := ""
	if len(c.Second) > 0 {
		second = fmt.Sprintf("%.1f", roundTrips(figures(c.Second).Wall, figures(d.Second).Wall, near, far))
	}
	t.row("  %s\t%d\t%.1f\t%s", c.Peer, c.Hosts, roundTrips(figures(c.First).Wall, figures(d.First).Wall, near, far), second)
}

// manyRows say how jet fares with many hosts, and what each of them takes of memory.
func (r report) manyRows(t *table) {
	t.row("")
	t.row("RTT ms\thosts\tfailed\tfirst s\tCPU s\tMiB\tKiB/host\tsecond s\tCPU s\tMiB\tKiB/host")
	for i, m := range r.Many {
		one, two := "", ""
		if i > 0 && r.Many[i-1].RTT == m.RTT {
			p := r.Many[i-1]
			one, two = growth(p.First, m.First, m.Hosts-p.Hosts), growth(p.Second, m.Second, m.Hosts-p.Hosts)
		}
		t.row("%d\t%d\t%d\t%.3f\t%.3f\t%.1f\t%s\t%.3f\t%.3f\t%.1f\t%s", m.RTT.Milliseconds(), m.Hosts, m.Failed,
			m.First.Wall, m.First.CPU, m.First.Memory, one, m.Second.Wall, m.Second.CPU, m.Second.Memory, two)
	}
	for _, m := range r.Many {
		for _, text := range m.Errors {
			t.row("")
			t.row("%s", text)
		}
	}
	t.row("")
	t.row("KiB/host: for each host more than in the line before")
}

// growth is the memory that each of so many hosts more took, in KiB.
func growth(less, more sample, hosts int) string {
	return fmt.Sprintf("%.0f", (more.Memory-less.Memory)*1024/float64(hosts))
}
