package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// settings are what a run is asked for.
type settings struct {
	Seed  uint64
	Kills int           // end after so many kills; zero means that For decides
	For   time.Duration // how long faults are made; zero means that Kills decides
	Pace  time.Duration // mean time between two faults

	Faults  []kind // which may happen
	Runners int
	Hosts   int
	Rate    float64       // events a second
	Lease   time.Duration // --lease of jet-bus
	Settle  time.Duration // how long nothing may come to its end, when there are no faults any more

	Dir  string // the run's directory; made if it is empty
	Keep bool
	// Judge is the evidence of an earlier run to judge again, instead of a run.
	Judge string
	JSON  bool
}

// shortestLease is what --lease of jet-bus allows, with room to tell it from nothing.
const shortestLease = time.Second

func parseSettings(args []string, stderr io.Writer) (settings, error) {
	var s settings
	var faults string
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Uint64Var(&s.Seed, "seed", 0, "seed of faults and events; 0 takes one by chance")
	fs.IntVar(&s.Kills, "kills", 0, "end after so many kills")
	fs.DurationVar(&s.For, "for", 0, "end after that time (60s if -kills says nothing)")
	fs.DurationVar(&s.Pace, "pace", 1500*time.Millisecond, "mean time between two faults")
	fs.StringVar(&faults, "faults", "all", "comma-separated kinds of faults; a - before one leaves it out of all: "+strings.Join(kindNames(), ", "))
	fs.IntVar(&s.Runners, "runners", 3, "how many runners")
	fs.IntVar(&s.Hosts, "hosts", 4, "how many hosts")
	fs.Float64Var(&s.Rate, "rate", 2, "events a second")
	fs.DurationVar(&s.Lease, "lease", 2*time.Second, "lease of jobs")
	fs.DurationVar(&s.Settle, "settle", 90*time.Second, "after the last fault, how long no job may end while some are open")
	fs.StringVar(&s.Dir, "dir", "", "directory of the run, on a disk (default: a new one among the temporary files)")
	fs.BoolVar(&s.Keep, "keep", false, "keep the directory of a run that found nothing")
	fs.StringVar(&s.Judge, "judge", "", "judge the evidence in this `file` again, instead of a run")
	fs.BoolVar(&s.JSON, "json", false, "print the report as JSON")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	err := s.check(fs.Args(), faults)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
	}
	return s, err
}

func (s *settings) check(rest []string, faults string) (err error) {
	if s.Faults, err = parseKinds(faults); err != nil {
		return err
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case s.Kills < 0 || s.For < 0:
		return errors.New("-kills and -for cannot be negative")
	case s.Runners < 1 || s.Runners > 50 || s.Hosts < 2 || s.Hosts > 50:
		return errors.New("-runners must be 1 to 50, -hosts 2 to 50")
	case s.Pace <= 0 || s.Rate <= 0:
		return errors.New("-pace and -rate must be more than nothing")
	case s.Lease < shortestLease:
		return fmt.Errorf("-lease must be %s or more", shortestLease)
	case s.Kills > 0 && !slices.ContainsFunc(s.Faults, kind.kills):
		return errors.New("-kills needs faults that kill; use -for")
	}
	if s.Kills == 0 && s.For == 0 {
		s.For = time.Minute
	}
	for s.Seed == 0 {
		s.Seed = rand.Uint64() //nolint:gosec // a seed, no secret
	}
	return nil
}

// parseKinds reads a list of faults: names, or all but those with a - before them.
func parseKinds(list string) ([]kind, error) {
	var with, without []kind
	for name := range strings.SplitSeq(list, ",") {
		bare, out := strings.CutPrefix(strings.TrimSpace(name), "-")
		switch {
		case bare == "all" && out:
			without = kinds()
		case bare == "all":
			with = append(with, kinds()...)
		case !slices.Contains(kinds(), kind(bare)):
			return nil, fmt.Errorf("there is no fault %q; there are all, %s", bare, strings.Join(kindNames(), ", "))
		case out:
			without = append(without, kind(bare))
		default:
			with = append(with, kind(bare))
		}
	}
	if len(with) == 0 {
		with = kinds()
	}
	slices.Sort(with)
	with = slices.DeleteFunc(slices.Compact(with), func(k kind) bool { return slices.Contains(without, k) })
	if len(with) == 0 {
		return nil, errors.New("no fault is left")
	}
	return with, nil
}
