package main

import (
	"math"
	"slices"
	"time"
)

// spread is how latencies are distributed, in milliseconds.
type spread struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// spreadOf sorts d.
func spreadOf(d []time.Duration) spread {
	slices.Sort(d)
	ms := func(p float64) float64 { return float64(percentile(d, p)) / float64(time.Millisecond) }
	return spread{P50: ms(50), P90: ms(90), P99: ms(99), Max: ms(100)}
}

// percentile returns the smallest of sorted that p percent of them do not exceed; zero of none.
func percentile[T any](sorted []T, p float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// extent is the least, the median and the most of several measurements.
type extent struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func extentOf(v []float64) extent {
	v = slices.Sorted(slices.Values(v))
	return extent{Min: percentile(v, 0), Median: percentile(v, 50), Max: percentile(v, 100)}
}
