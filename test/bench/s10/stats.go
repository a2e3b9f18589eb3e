package main

import (
	"math"
	"slices"
	"time"
)

// median returns the middle of v, between the two middle ones of an even number; NaN of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// roundTrips is the slope between two wall times in seconds at two round trips: how many of them the
// longer one waited for. It is NaN where that cannot be told.
func roundTrips(near, far float64, nearRTT, farRTT time.Duration) float64 {
	if farRTT <= nearRTT {
		return math.NaN()
	}
	return (far - near) / (farRTT - nearRTT).Seconds()
}
