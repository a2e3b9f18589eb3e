package main

import (
	"bytes"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
)

// Each target is compared with the worst of its figures, and what was not measured has none.
func TestTargets(t *testing.T) {
	t.Parallel()
	at := func(v float64) extent { return extent{Median: v} }
	flow := func(runners int, rate, ofDisk, p99 float64) flowReport {
		return flowReport{
			Runners: runners, Rounds: []round{{Stored: stored{Events: 1, Jobs: 1, Runs: 5}}},
			ToResult: at(rate), OfDisk: at(ofDisk), Syncs: at(3000), SyncP99: at(2),
			Latencies: []paced{{Rate: 200, ToResult: spread{P99: 1000}}, {Rate: 50, ToResult: spread{P99: p99}}},
		}
	}
	r := report{
		Settings: settings{Senders: []int{64, 65, 1000}, Clients: 64},
		Durabilities: []durability{
			{
				Durability: "power",
				Ingest:     &ingest{OnePerSync: at(0.79), PerBus: []extent{at(2.5), at(1), at(7.9)}},
				Flows:      []flowReport{flow(1, 400, 0.8, 60), flow(8, 350, 0.7, 30)},
			},
			{
				Durability: "process", Ingest: &ingest{OnePerSync: at(9)},
				Flows: []flowReport{flow(1, 2499, 0.1, 9), flow(8, 4000, 0.1, 10.1)},
			},
		},
		Processes: []process{
			{Idle: memory{RSS: 45_000_000, Known: true}, Clean: at(0.2), PerGiB: 100},
			{Stored: 1_000_000, Store: 1 << 30, Idle: memory{RSS: 120_000_001, Known: true}, Clean: at(1.1), PerGiB: 5},
			{Stored: 2_000_000, Store: 2 << 30, Clean: at(1), PerGiB: 5.1},
		},
	}
	var got []string
	for _, x := range r.targets() {
		verdict := "missed"
		if x.Met {
			verdict = "met"
		}
		got = append(got, x.What+" | "+figure(x.Figure, x.Unit)+" | "+x.Where+" | "+verdict)
	}
	want := []string{
		"power: webhook, 1 sender, per fsync | 0.79 |  | missed",
		"power: webhook, 64 senders, per bus, 64 clients | 2.50x |  | met",
		"power: webhook, 1000 senders, per bus, 64 clients | 7.90x |  | missed",
		"power: events to result, of fsyncs per durable write | 0.70 | runners 8, stored 0: 350/s; 3000 fsyncs/s, 6.0 writes an event | met",
		"power: event to result at 50/s, p99 | 60 ms | runners 1, stored 0; fsync's p99 2.0 ms | met",
		"process: events to result | 2499 /s | runners 1, stored 0 | missed",
		"process: event to result at 50/s, p99 | 10.1 ms | runners 8, stored 0; fsync's p99 2.0 ms | missed",
		"jet-bus idle, resident | 45 MB | stored 0 | met",
		"start after a stop | 0.2 s | stored 0 | met",
		"jet-bus idle, resident | 120 MB | stored 1000000 | missed",
		"start after a stop | 1.1 s | stored 1000000 | missed",
		"start after a kill, per GiB | 5 s | stored 1000000 | met",
		"start after a stop | 1 s | stored 2000000 | met",
		"start after a kill, per GiB | 5.1 s | stored 2000000 | missed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.Targets = r.targets()
	var out bytes.Buffer
	table := &table{w: tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)}
	r.writeTargets(table)
	if err := table.w.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), " met "); n != 7 || !strings.Contains(out.String(), "at most 45 MB") {
		t.Errorf("%d targets are met:\n%s", n, &out)
	}
}

// A loop beyond the throughput meets no target; one that was not asked for has none.
func TestLatencyTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		loops []paced
		want  int
	}{
		{"none", nil, 1},
		{"another rate", []paced{{Rate: 51, ToResult: spread{P99: 1}}}, 1},
		{"beyond", []paced{{Rate: 50, Beyond: true}}, 2},
	} {
		list := durability{Durability: "power", Flows: []flowReport{{Rounds: make([]round, 1), Latencies: tt.loops}}}.targets()
		if len(list) != tt.want || list[len(list)-1].Met {
			t.Errorf("%s: %+v", tt.name, list)
		}
	}
}
