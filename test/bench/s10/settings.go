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

// The tools that are measured.
const (
	peerJet     = "jet"
	peerOther   = "other"
	peerFloor   = "floor"
	peerTuned   = "tuned"
	peerDefault = "default"
	peerMitogen = "mitogen"
)

// maxHosts is how many hosts of their own the lab has addresses for.
const maxHosts = 250

// settings say what is measured.
type settings struct {
	// Hosts and RTTs span the cells that are measured.
	Hosts []int           `json:"hosts"`
	RTTs  []time.Duration `json:"rtts_ns"`
	// Peers are the tools, in the order they take turns.
	Peers []string `json:"peers"`
	// Runs is how often each tool does the work in each cell.
	Runs int `json:"runs"`
	// Forks is how many hosts jet and tuned tools work on at once; 0 is all.
	Forks int `json:"forks"`
	// Jet is a built binary that is measured as "other".
	Jet string `json:"jet,omitempty"`
	// Warm measures jobs over open connections, Many that number of hosts, instead.
	Warm bool `json:"warm,omitempty"`
	Many int  `json:"many,omitempty"`

	// Dir holds the lab while it is up.
	Dir     string `json:"-"`
	JSON    bool   `json:"-"`
	Keep    bool   `json:"-"`
	Down    bool   `json:"-"`
	Install bool   `json:"-"`
}

// parseSettings reads the command line. On an error it has written what is wrong to stderr.
func parseSettings(args []string, stderr io.Writer) (settings, error) {
	s := settings{Hosts: []int{1, 10, 50}}
	fs := flag.NewFlagSet("s10", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Func("hosts", "`numbers` of hosts, with commas (default 1,10,50)", func(v string) (err error) {
		s.Hosts, err = numbers(v, 1, maxHosts)
		return err
	})
	fs.Func("rtt", "round trips in `milliseconds`, with commas (default 0,20,100; 0 with -many)", func(v string) error {
		ms, err := numbers(v, 0, 10_000)
		s.RTTs = nil
		for _, n := range ms {
			s.RTTs = append(s.RTTs, time.Duration(n)*time.Millisecond)
		}
		return err
	})
	fs.Func("peers", "`tools`, with commas, of jet, other, floor, tuned, default, mitogen (default all)", func(v string) (err error) {
		s.Peers, err = peers(v)
		return err
	})
	fs.IntVar(&s.Runs, "runs", 3, "how `often` each tool does the work in each cell")
	fs.IntVar(&s.Forks, "forks", 0, "how many `hosts` jet, tuned and mitogen work on at once (default: all)")
	fs.StringVar(&s.Jet, "jet", "", "measure this `binary` as well, as the tool other")
	fs.BoolVar(&s.Warm, "warm", false, "measure jobs over connections that are open already, instead")
	fs.IntVar(&s.Many, "many", 0, "measure jet alone on that `number` of hosts behind one server, instead")
	fs.StringVar(&s.Dir, "dir", "/var/tmp/jet-bus-s10", "`directory` of the lab, removed at the end")
	fs.BoolVar(&s.JSON, "json", false, "print JSON")
	fs.BoolVar(&s.Keep, "keep", false, "leave the lab up at the end, and say how to enter it")
	fs.BoolVar(&s.Down, "down", false, "take a lab away that was kept, and do nothing else")
	fs.BoolVar(&s.Install, "install", false, "install the Debian packages that are missing")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if len(s.RTTs) == 0 {
		s.RTTs = []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond}
		if s.Many > 0 {
			s.RTTs = s.RTTs[:1]
		}
	}
	err := s.check()
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("takes no arguments, got %q", fs.Arg(0))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "s10:", err)
	}
	return s, err
}

// check completes the settings and refuses those that mean nothing.
func (s *settings) check() error {
	if len(s.Peers) == 0 {
		s.Peers = []string{peerJet, peerFloor, peerTuned, peerDefault, peerMitogen}
		if s.Jet != "" {
			s.Peers = slices.Insert(s.Peers, 1, peerOther)
		}
	}
	switch {
	case s.Warm || s.Many > 0:
		s.Peers = []string{peerJet}
	case slices.Contains(s.Peers, peerOther) != (s.Jet != ""):
		return fmt.Errorf("the tool other and -jet go together")
	}
	switch {
	case s.Runs < 1:
		return fmt.Errorf("-runs must be 1 or more, not %d", s.Runs)
	case s.Forks < 0:
		return fmt.Errorf("-forks must be 0 or more, not %d", s.Forks)
	case s.Many < 0 || s.Many > manyMax:
		return fmt.Errorf("-many must be 0 to %d, not %d", manyMax, s.Many)
	case s.Many > 0 && s.Warm:
		return fmt.Errorf("-many and -warm exclude each other")
	case !strings.HasPrefix(s.Dir, "/"):
		return fmt.Errorf("-dir must be an absolute path, not %q", s.Dir)
	}
	slices.Sort(s.Hosts)
	slices.Sort(s.RTTs)
	return nil
}

// forks is how many of that number of hosts a tool works on at once.
func (s *settings) forks(hosts int) int {
	if s.Forks > 0 {
		return s.Forks
	}
	return hosts
}

// numbers reads a list such as "1,10,50".
func numbers(v string, least, most int) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("%q is no number from %d to %d", part, least, most)
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list, nil
}

// peers reads a list of tools.
func peers(v string) ([]string, error) {
	known := []string{peerJet, peerOther, peerFloor, peerTuned, peerDefault, peerMitogen}
	var list []string
	for part := range strings.SplitSeq(v, ",") {
		p := strings.TrimSpace(part)
		if !slices.Contains(known, p) {
			return nil, fmt.Errorf("%q is none of %s", p, strings.Join(known, ", "))
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list, nil
}
