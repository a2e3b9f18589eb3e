package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
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
	// Parts are what is measured, in order: ingest, flow, process.
	Parts []string `json:"parts"`
	// Runners are how many runners there are, one flow for each. Slots is how many jobs each of
	// them runs at once: with eight, eight runners have a slot for every host.
	Runners []int `json:"runners"`
	Slots   int   `json:"slots"`
	// Stored are how many events are stored before, one flow and one process for each.
	Stored []int `json:"stored"`
	// Publishers is how many publish at once when throughput is measured.
	Publishers int `json:"publishers"`
	// Rates are the open loops, in events per second; Paced is how long each of them lasts.
	Rates []int         `json:"rates"`
	Paced time.Duration `json:"paced_ns"`
	// Senders are how many post at once when taking in is measured, Clients how many publish on the
	// bus for comparison; Each is how long one such measurement lasts.
	Senders []int         `json:"senders"`
	Clients int           `json:"clients"`
	Each    time.Duration `json:"each_ns"`
	// Idle is how long a process is left alone before its memory is read, Restarts how often it is
	// stopped in order, and as often killed. Binary is what is started; empty builds it.
	Idle     time.Duration `json:"idle_ns"`
	Restarts int           `json:"restarts"`
	Binary   string        `json:"binary,omitempty"`
	// Durabilities are those measured, in order.
	Durabilities []string `json:"durabilities"`
	// Dir is where a directory is made for the duration; empty is the system's for such things.
	Dir string `json:"dir,omitempty"`
	// HTTP sends the events to webhooks instead of publishing them on the bus.
	HTTP bool `json:"http"`

	JSON       bool   `json:"-"`
	CPUProfile string `json:"-"`
}

// The parts of the measuring.
const (
	partIngest  = "ingest"
	partFlow    = "flow"
	partProcess = "process"
)

// roundTime is how long a round of throughput is meant to take, bareTime how long the disk and the
// bare stream are measured each time.
const (
	roundTime = 3 * time.Second
	bareTime  = time.Second
)

// defaults are the short form, which takes about three minutes.
func defaults() settings {
	return settings{
		Parts: []string{partIngest, partFlow, partProcess}, Runners: []int{1, 8}, Stored: []int{0},
		Rates: []int{50, 200}, Senders: []int{64, 1000}, Durabilities: []string{"power", "process"},
	}
}

// parseSettings reads the command line. On an error it has written what is wrong to stderr.
func parseSettings(args []string, stderr io.Writer) (settings, error) {
	s := defaults()
	fs := flag.NewFlagSet("flow", flag.ContinueOnError)
	fs.SetOutput(stderr)
	list := func(name string, to *[]int, least int, what string) {
		fs.Func(name, what+", with commas (default "+joined(*to)+")", func(v string) (err error) {
			*to, err = numbers(v, least)
			return err
		})
	}
	choice := func(name string, to *[]string, what string) {
		all := *to
		fs.Func(name, what+": "+strings.Join(all, ", ")+", with commas (default all)", func(v string) (err error) {
			*to, err = chosen(v, all)
			return err
		})
	}
	choice("parts", &s.Parts, "what to measure")
	choice("durability", &s.Durabilities, "durabilities")
	list("runners", &s.Runners, 1, "how many runners, a flow for each")
	list("stored", &s.Stored, 0, "how many events are stored before; 0,1000000 is the long form")
	list("rates", &s.Rates, 1, "events per second of the open loops")
	list("senders", &s.Senders, 1, "how many post at once when taking in is measured")
	fs.IntVar(&s.Events, "n", 0, "`events` in a round of throughput (default: what takes about 3s)")
	fs.IntVar(&s.Rounds, "rounds", 3, "how `often` throughput is measured")
	fs.IntVar(&s.Slots, "slots", 8, "how many `jobs` each runner runs at once")
	fs.IntVar(&s.Publishers, "publishers", 16, "how `many` publish at once")
	fs.DurationVar(&s.Paced, "paced", 5*time.Second, "how `long` events come at each rate")
	fs.IntVar(&s.Clients, "clients", 64, "how `many` publish on the bus, one message after the other, to compare taking in with")
	fs.DurationVar(&s.Each, "each", 1500*time.Millisecond, "how `long` each measurement of taking in lasts")
	fs.DurationVar(&s.Idle, "idle", 18*time.Second, "how `long` a process is left alone before its memory is read")
	fs.IntVar(&s.Restarts, "restarts", 5, "how `often` a process is stopped, and as often killed")
	fs.StringVar(&s.Binary, "binary", "", "jet-bus `file` to measure as a process (default: built from this tree)")
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
		{"runners", len(s.Runners), 1},
		{"stored", len(s.Stored), 1},
		{"slots", s.Slots, 1},
		{"publishers", s.Publishers, 1},
		{"clients", s.Clients, 1},
		{"restarts", s.Restarts, 1},
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

// has reports whether a part is measured.
func (s settings) has(part string) bool { return slices.Contains(s.Parts, part) }

// numbers reads a list such as "50,200"; an empty one means none.
func numbers(v string, least int) ([]int, error) {
	list := []int{}
	for part := range strings.SplitSeq(v, ",") {
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < least {
			return nil, fmt.Errorf("%q is no number of %d or more", part, least)
		}
		list = append(list, n)
	}
	return list, nil
}

// joined is a list as numbers reads it.
func joined(list []int) string {
	var parts []string
	for _, n := range list {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

// chosen reads a list of some of all.
func chosen(v string, all []string) ([]string, error) {
	list := strings.Split(v, ",")
	for _, part := range list {
		if !slices.Contains(all, part) {
			return nil, fmt.Errorf("%q is none of %s", part, strings.Join(all, ", "))
		}
	}
	return list, nil
}
