package main

import (
	"cmp"
	"slices"
	"time"
)

// sample is one run of a tool.
type sample struct {
	// Wall is seconds from the start of the process to its end.
	Wall float64 `json:"wall_s"`
	// CPU is what the tool's processes took, in seconds.
	CPU float64 `json:"cpu_s"`
	// Memory is the most they held at a time, in MiB.
	Memory float64 `json:"memory_mib"`
}

// cell is what one tool did with a number of hosts at a distance.
type cell struct {
	Peer   string        `json:"peer"`
	Hosts  int           `json:"hosts"`
	RTT    time.Duration `json:"rtt_ns"`
	First  []sample      `json:"first"`
	Second []sample      `json:"second,omitempty"`
	// Note says what is to know about the tool.
	Note string `json:"note,omitempty"`
}

// figures are the medians of samples.
func figures(samples []sample) sample {
	of := func(value func(sample) float64) float64 {
		v := make([]float64, len(samples))
		for i, s := range samples {
			v[i] = value(s)
		}
		return median(v)
	}
	return sample{
		Wall:   of(func(s sample) float64 { return s.Wall }),
		CPU:    of(func(s sample) float64 { return s.CPU }),
		Memory: of(func(s sample) float64 { return s.Memory }),
	}
}

// cells are all that was measured.
type cells []*cell

// find returns a cell; nil when it was not measured.
func (cs cells) find(peer string, hosts int, rtt time.Duration) *cell {
	i := slices.IndexFunc(cs, func(c *cell) bool { return c.Peer == peer && c.Hosts == hosts && c.RTT == rtt })
	if i < 0 {
		return nil
	}
	return cs[i]
}

// at returns the cells of a number of hosts at a distance, in the order they were measured.
func (cs cells) at(hosts int, rtt time.Duration) cells {
	return slices.DeleteFunc(slices.Clone(cs), func(c *cell) bool { return c.Hosts != hosts || c.RTT != rtt })
}

// base is the cell that others are compared with: the first tool's, which is jet's unless it was
// left out.
func (cs cells) base() *cell {
	return cmp.Or(cs.peer(peerJet), cs.peer(peerOther), first(cs))
}

func (cs cells) peer(name string) *cell {
	for _, c := range cs {
		if c.Peer == name {
			return c
		}
	}
	return nil
}

func first(cs cells) *cell {
	if len(cs) == 0 {
		return nil
	}
	return cs[0]
}
