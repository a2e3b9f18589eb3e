// Command flood sends webhooks to a jet-bus process of its own, good and bad ones mixed, when they are due and
// not when the ones before are answered; beside them are senders that never come to an end and bodies that are too
// large. It prints the answers, how long they took, what memory jet-bus had, and whether every event that was accepted
// is on the bus, once and unchanged.
//
//	go run ./test/bench/flood                          # 1,000 requests a second for 30 s, both durabilities
//	go run ./test/bench/flood -durability process -rate 2000 -for 1m
//	go run ./test/bench/flood -json
//
// The exit code is 1 if an accepted event is missing, altered or doubled, if anything that was to be refused is stored,
// or if an answer was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/jet-bus/jet-bus/test/flood"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command. It returns the exit code: 0 all was well, 1 something was not, or an error, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s := flood.Defaults()
	fl := flag.NewFlagSet("flood", flag.ContinueOnError)
	fl.SetOutput(stderr)
	fl.IntVar(&s.Rate, "rate", s.Rate, "requests a second")
	fl.DurationVar(&s.For, "for", s.For, "how long")
	fl.Float64Var(&s.Bad, "bad", s.Bad, "the part of them that is to be refused")
	fl.IntVar(&s.Body, "body", s.Body, "bytes of a body")
	fl.IntVar(&s.Slow, "slow", s.Slow, "connections that send a byte now and then")
	fl.IntVar(&s.Giant, "giant", s.Giant, "senders of giant bodies")
	fl.DurationVar(&s.Rest, "rest", s.Rest, "how long to wait before memory is read for the last time")
	fl.StringVar(&s.Dir, "dir", "", "directory to work in, on the disk to measure (default: that of temporary files)")
	fl.StringVar(&s.Binary, "binary", "", "jet-bus to measure (default: it is built)")
	durabilities := fl.String("durability", "process,power", "durabilities, each with a flood of its own")
	asJSON := fl.Bool("json", false, "print JSON, an object for each durability")
	if err := fl.Parse(args); err != nil {
		return 2
	}
	if fl.NArg() > 0 || s.Rate < 1 || s.For <= 0 || s.Bad < 0 || s.Bad > 1 || s.Body < 1 {
		_, _ = fmt.Fprintln(stderr, "flood: -rate and -body are 1 or more, -for is above 0, -bad is between 0 and 1, and there are no arguments")
		return 2
	}
	ok, err := measure(ctx, s, strings.Split(*durabilities, ","), func(r flood.Report) error {
		if *asJSON {
			return r.WriteJSON(stdout)
		}
		return r.WriteTable(stdout)
	})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "flood:", err)
	}
	if err != nil || !ok {
		return 1
	}
	return 0
}

// measure runs a flood for each durability, and reports whether all was well.
func measure(ctx context.Context, s flood.Settings, durabilities []string, tell func(flood.Report) error) (ok bool, err error) {
	if s.Binary == "" {
		dir, failed := os.MkdirTemp("", "jet-bus-flood-")
		if failed != nil {
			return false, fmt.Errorf("make a directory to build in: %w", failed)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		s.Binary = filepath.Join(dir, "jet-bus")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", s.Binary, "github.com/jet-bus/jet-bus/cmd/jet-bus") //nolint:gosec // a file of ours
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return false, fmt.Errorf("build jet-bus: %w: %s", err, out)
		}
	}
	ok = true
	for _, s.Durability = range durabilities {
		r, err := flood.Run(ctx, s)
		if err != nil {
			return false, fmt.Errorf("durability %s: %w", s.Durability, err)
		}
		if err := tell(r); err != nil {
			return false, err
		}
		ok = ok && len(r.Faults()) == 0
	}
	return ok, nil
}
