package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// result is all that one run measures.
type result struct {
	Go      string       `json:"go"`
	Cores   int          `json:"cores"`
	Flow    []flowResult `json:"flow"`
	Memory  memoryResult `json:"memory"`
	Windows windowResult `json:"windows"`
	Peer    *peerResult  `json:"peer,omitempty"`
	Targets []target     `json:"targets"`
}

// settings are the flags.
type settings struct {
	each    time.Duration
	windows int
	peer    bool
	venv    string
	json    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	met, err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(1)
	case !met:
		os.Exit(3)
	}
}

// run measures, prints, and reports whether all targets were met.
func run(ctx context.Context, args []string, out io.Writer) (met bool, err error) {
	s, err := parse(args)
	if err != nil {
		return false, err
	}
	runtime.GOMAXPROCS(1) // the targets are for one core
	r := result{Go: runtime.Version(), Cores: runtime.NumCPU()}
	if r.Flow, err = flows(ctx, s.each); err != nil {
		return false, err
	}
	if r.Memory, err = idleRules(); err != nil {
		return false, err
	}
	if r.Windows, err = openWindows(s.windows); err != nil {
		return false, err
	}
	if s.peer {
		runtime.GOMAXPROCS(runtime.NumCPU())
		p := besidePeer(ctx, s.venv, r.Flow)
		r.Peer = &p
	}
	r.Targets = targets(r)
	if s.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = report(out, r)
	}
	met = true
	for _, t := range r.Targets {
		met = met && t.Met
	}
	return met, err
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("rules", flag.ContinueOnError)
	f.DurationVar(&s.each, "each", time.Second, "how long each flow is measured")
	f.IntVar(&s.windows, "windows", 100_000, "how many windows are opened")
	f.BoolVar(&s.peer, "peer", true, "measure ansible-rulebook too; it is installed from PyPI, and needs Python and Java")
	f.StringVar(&s.venv, "venv", "", "where ansible-rulebook is, or will be; a temporary directory if not given")
	f.BoolVar(&s.json, "json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 || s.windows < 1 || s.each <= 0 {
		return s, errors.New("see -help for what it takes")
	}
	return s, nil
}
