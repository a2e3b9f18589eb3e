package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// settings say what is measured.
type settings struct {
	// Events is how many events a round of throughput takes; 0 takes what the warm-up did in
	// roundTime.
	Events int `json:"events"`
	// Rounds is how often throughput is measured.
	Rounds int `json:"rounds"`
	// Runners and Slots are how many runners there are, and how many jobs each runs at once.
	Runners int `json:"runners"`
	Slots   int `json:"slots"`
	// Publishers is how many publish at once when throughput is measured.
	Publishers int `json:"publishers"`
	// Rates are the open loops, in events per second; Paced is how long each of them lasts.
	Rates []int         `json:"rates"`
	Paced time.Duration `json:"paced_ns"`
	// Ingest measures taking events in alone, and leaves out the rest.
	Ingest bool `json:"ingest"`
	// Senders are how many post at once when taking in is measured, Clients how many publish on the
	// bus for comparison; Each is how long one such measurement lasts.
	Senders []int         `json:"senders"`
	Clients int           `json:"clients"`
	Each    time.Duration `json:"each_ns"`
	// Durabilities are those measured, in order.
	Durabilities []string `json:"durabilities"`
	// Dir is where a directory is made for the duration; empty is the system's for such things.
	Dir string `json:"dir,omitempty"`
	// HTTP sends the events to webhooks instead of publishing them on the bus.
	HTTP bool `json:"http"`

	JSON       bool   `json:"-"`
	CPUProfile string `json:"-"`
}

// roundTime is how long a round of throughput is meant to take, bareTime how long the disk and the
// bare stream are measured each time.
const (
	roundTime = 4 * time.Second
	bareTime  = 1500 * time.Millisecond
)

// parseSettings reads the command line. On an error it has written what is wrong to stderr.
func parseSettings(args []string, stderr io.Writer) (settings, error) {
	s := settings{Rates: []int{50, 200}, Senders: []int{64, 1000}, Durabilities: []string{"power", "process"}}
	fs := flag.NewFlagSet("flow", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&s.Events, "n", 0, "`events` in a round of throughput (default: what takes about 4s)")
	fs.IntVar(&s.Rounds, "rounds", 3, "how `often` throughput is measured")
	fs.IntVar(&s.Runners, "runners", 2, "how many `runners`")
	fs.IntVar(&s.Slots, "slots", 8, "how many `jobs` each runner runs at once")
	fs.IntVar(&s.Publishers, "publishers", 16, "how `many` publish at once")
	fs.DurationVar(&s.Paced, "paced", 8*time.Second, "how `long` events come at each rate")
	fs.Func("rates", "events per second of the open loops, with commas (default 50,200)", func(v string) (err error) {
		s.Rates, err = numbers(v)
		return err
	})
	fs.BoolVar(&s.Ingest, "ingest", false, "measure only how events are taken in over HTTP")
	fs.Func("senders", "how many post at once when taking in is measured, with commas (default 64,1000)", func(v string) (err error) {
		s.Senders, err = numbers(v)
		return err
	})
	fs.IntVar(&s.Clients, "clients", 64, "how `many` publish on the bus, one message after the other, to compare that with")
	fs.DurationVar(&s.Each, "each", 3*time.Second, "how `long` each measurement of taking in lasts")
	fs.Func("durability", "power, process or both (default both)", func(v string) error {
		switch v {
		case "power", "process":
			s.Durabilities = []string{v}
		case "both":
		default:
			return fmt.Errorf("%q is none of power, process, both", v)
		}
		return nil
	})
	fs.StringVar(&s.Dir, "dir", "", "existing `directory` on the disk to measure (default: the temporary one)")
	fs.BoolVar(&s.HTTP, "http", false, "send the events to webhooks, signed, instead of publishing them on the bus")
	fs.BoolVar(&s.JSON, "json", false, "print JSON")
	fs.StringVar(&s.CPUProfile, "cpuprofile", "", "write a CPU profile of the flow to this `file`, the durability put into its name")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	err := s.check()
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("takes no arguments, got %q", fs.Arg(0))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "flow:", err)
	}
	return s, err
}

func (s settings) check() error {
	for _, f := range []struct {
		name     string
		got, min int
	}{
		{"n", s.Events, 0},
		{"rounds", s.Rounds, 1},
		{"runners", s.Runners, 1},
		{"slots", s.Slots, 1},
		{"publishers", s.Publishers, 1},
		{"clients", s.Clients, 1},
	} {
		if f.got < f.min {
			return fmt.Errorf("--%s must be %d or more, not %d", f.name, f.min, f.got)
		}
	}
	if s.Paced < time.Second {
		return fmt.Errorf("--paced must be 1s or more, not %s", s.Paced)
	}
	if s.Each < 100*time.Millisecond {
		return fmt.Errorf("--each must be 100ms or more, not %s", s.Each)
	}
	return nil
}

// numbers reads a list such as "50,200"; an empty one means none.
func numbers(v string) ([]int, error) {
	list := []int{}
	for part := range strings.SplitSeq(v, ",") {
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number above zero", part)
		}
		list = append(list, n)
	}
	return list, nil
}
