package main

import (
	"cmp"
	"fmt"
	"slices"
)

// target is something that the project promises, and what was measured of it.
type target struct {
	What   string  `json:"what"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	// Bound is the least that Figure may be, or the most if AtMost is true.
	Bound  float64 `json:"bound"`
	AtMost bool    `json:"at_most"`
	Met    bool    `json:"met"`
	// Where says which of several figures it is: the worst.
	Where string `json:"where,omitempty"`
}

func atLeast(what string, figure, bound float64, unit, where string) target {
	return target{What: what, Figure: figure, Unit: unit, Bound: bound, Met: figure >= bound, Where: where}
}

func atMost(what string, figure, bound float64, unit, where string) target {
	return target{What: what, Figure: figure, Unit: unit, Bound: bound, AtMost: true, Met: figure <= bound, Where: where}
}

// The bounds. Those of speed are ratios to what the machine does in the same run, where that is possible.
const (
	senderPerSync  = 0.8
	flowOfDisk     = 0.7
	flowRate       = 2500 // events per second
	latencyAt      = 50   // events per second
	latencyPower   = 60   // ms
	latencyProcess = 10   // ms
	idleEmpty      = 45   // MB
	idleFull       = 120  // MB, with fullEvents stored
	fullEvents     = 1_000_000
	startClean     = 1 // s
	startKilled    = 5 // s per GiB
	// leastStore is how large a store must be for its GiB to be what a start takes.
	leastStore = 256 << 20
)

// perBus is how many times the rate of [perBusClients] clients so many senders over HTTP must reach.
func perBus(senders int) (bound float64, ok bool) {
	switch senders {
	case 64:
		return 2.5, true
	case 1000:
		return 8, true
	default:
		return 0, false
	}
}

const perBusClients = 64

// targets compares what was measured with what is promised. What was not measured is left out.
func (r report) targets() []target {
	list := []target{}
	for _, d := range r.Durabilities {
		if d.Durability == "power" && d.Ingest != nil {
			list = append(list, d.Ingest.targets(r.Settings)...)
		}
		if len(d.Flows) > 0 {
			list = append(list, d.targets()...)
		}
	}
	return append(list, processTargets(r.Processes)...)
}

func (r *ingest) targets(s settings) []target {
	list := []target{
		atLeast("power: webhook, 1 sender, per fsync", r.OnePerSync.Median, senderPerSync, "", ""),
	}
	for i, n := range s.Senders {
		if bound, ok := perBus(n); ok && s.Clients == perBusClients {
			list = append(list, atLeast(fmt.Sprintf("power: webhook, %d senders, per bus, %d clients", n, s.Clients),
				r.PerBus[i].Median, bound, "x", ""))
		}
	}
	return list
}

// targets gives the worst of the flows for each.
func (d durability) targets() []target {
	power := d.Durability == "power"
	speed := func(f flowReport) float64 { return f.ToResult.Median }
	if power {
		speed = func(f flowReport) float64 { return f.OfDisk.Median }
	}
	slow := slices.MinFunc(d.Flows, func(a, b flowReport) int { return cmp.Compare(speed(a), speed(b)) })
	list := []target{atLeast("process: events to result", speed(slow), flowRate, "/s", slow.where())}
	if power {
		list[0] = atLeast("power: events to result, of fsyncs per durable write", speed(slow), flowOfDisk, "", fmt.Sprintf(
			"%s: %.0f/s; %.0f fsyncs/s, %.1f writes an event", slow.where(), slow.ToResult.Median, slow.Syncs.Median, slow.each().Stored.synced()))
	}
	late := slices.MaxFunc(d.Flows, func(a, b flowReport) int { return cmp.Compare(a.latency(), b.latency()) })
	if late.latency() == 0 {
		return list // none was measured
	}
	bound := float64(latencyProcess)
	if power {
		bound = latencyPower
	}
	return append(list, atMost(fmt.Sprintf("%s: event to result at %d/s, p99", d.Durability, latencyAt), late.latency(), bound, "ms",
		fmt.Sprintf("%s; fsync's p99 %.1f ms", late.where(), late.SyncP99.Median)))
}

// latency is the p99 of results in the loop that has a target, in ms. It is 0 if there was no such loop, and
// more than any bound if that was beyond the throughput.
func (r flowReport) latency() float64 {
	for _, l := range r.Latencies {
		switch {
		case l.Rate == latencyAt && l.Beyond:
			return float64(patience.Milliseconds())
		case l.Rate == latencyAt:
			return l.ToResult.P99
		}
	}
	return 0
}

func (r flowReport) where() string { return fmt.Sprintf("runners %d, stored %d", r.Runners, r.Stored) }

func processTargets(list []process) (all []target) {
	for _, p := range list {
		where := fmt.Sprintf("stored %d", p.Stored)
		bound := float64(idleEmpty)
		if p.Stored > 0 {
			bound = idleFull
		}
		if p.Idle.Known && p.Stored <= fullEvents {
			all = append(all, atMost("jet-bus idle, resident", mb(p.Idle.RSS), bound, "MB", where))
		}
		all = append(all, atMost("start after a stop", p.Clean.Median, startClean, "s", where))
		if p.Store >= leastStore {
			all = append(all, atMost("start after a kill, per GiB", p.PerGiB, startKilled, "s", where))
		}
	}
	return all
}

func (r report) writeTargets(t *table) {
	if len(r.Targets) == 0 {
		return
	}
	t.row("")
	t.row("target\tfigure\tbound\t\t")
	for _, x := range r.Targets {
		sign, verdict := "at least", "missed"
		if x.AtMost {
			sign = "at most"
		}
		if x.Met {
			verdict = "met"
		}
		t.row("%s\t%s\t%s %s\t%s\t%s", x.What, figure(x.Figure, x.Unit), sign, figure(x.Bound, x.Unit), verdict, x.Where)
	}
}

// figure writes a number with its unit, three digits of it.
func figure(v float64, unit string) string {
	switch {
	case unit == "" || unit == "x":
		return fmt.Sprintf("%.2f%s", v, unit)
	case v >= 100:
		return fmt.Sprintf("%.0f %s", v, unit)
	default:
		return fmt.Sprintf("%.3g %s", v, unit)
	}
}
