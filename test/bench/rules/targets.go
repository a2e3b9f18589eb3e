package main

import "fmt"

// target is something that the project promises, and what was measured of it.
type target struct {
	What   string  `json:"what"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	Bound  float64 `json:"bound"`
	AtMost bool    `json:"at_most"`
	Met    bool    `json:"met"`
}

// The bounds.
const (
	halfOfTen    = 0.5
	throughput   = 200_000 // events a second, 1,000 rules of which one matches
	idleRule     = 8 << 10 // bytes
	windowsBytes = 100     // MB for 100,000 windows
)

// targets compares what was measured with what is promised.
func targets(r result) []target {
	rate := map[[2]int]float64{}
	for _, f := range r.Flow {
		rate[[2]int{f.Rules, f.Matches}] = f.PerSecond
	}
	atLeast := func(what string, figure, bound float64, unit string) target {
		return target{What: what, Figure: figure, Unit: unit, Bound: bound, Met: figure >= bound}
	}
	atMost := func(what string, figure, bound float64, unit string) target {
		return target{What: what, Figure: figure, Unit: unit, Bound: bound, AtMost: true, Met: figure <= bound}
	}
	// So that another number of windows can be compared.
	perHundredThousand := r.Windows.PerWindow * 100_000 / 1e6
	return []target{
		atLeast("10,000 rules, one matches by type: rate of that with 10", rate[[2]int{10_000, 1}]/rate[[2]int{10, 1}], halfOfTen, "x"),
		atLeast("1,000 rules, one matches", rate[[2]int{1_000, 1}], throughput, "events/s"),
		atMost("an idle rule", r.Memory.PerRule, idleRule, "bytes"),
		atMost(fmt.Sprintf("100,000 open windows (%d measured)", r.Windows.Windows), perHundredThousand, windowsBytes, "MB"),
	}
}
