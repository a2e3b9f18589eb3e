// Command powercut cuts the power of jet-bus's disk under load, again and again, and looks at what is left. The
// disk is a real ext4 or XFS on a loop device, and the cut is the kernel's own: the file system is shut down
// without writing its journal, so that all that was not synced is gone when it is mounted again. After every
// cut jet-bus is started again, and
//
//   - every event that was acknowledged, over HTTP or on the bus, must be there, once;
//   - every event in the store must have one job of each rule, made once;
//   - every two events that a rule joins must have one job, made once, however the cut fell between them;
//   - what was written down of the high water must agree with the store.
//
// It needs root, loop devices and mkfs:
//
//	go run ./test/powercut -cuts 100 -seed 7
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings say what is done.
type settings struct {
	Cuts    int
	Seed    uint64
	Systems []string // file systems, each gets its part of the cuts
	// Most is the longest time under load before a cut.
	Most time.Duration
}

// run is the command. It returns the exit code: 0 nothing was lost or doubled, 1 something was, or an error, 2 wrong
// usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	fl := flag.NewFlagSet("powercut", flag.ContinueOnError)
	fl.SetOutput(stderr)
	fl.IntVar(&s.Cuts, "cuts", 20, "how often to cut, shared among the file systems")
	fl.Uint64Var(&s.Seed, "seed", 1, "of the moments of the cuts")
	fl.DurationVar(&s.Most, "most", time.Second, "the longest time under load before a cut")
	systems := fl.String("fs", "ext4,xfs", "file systems")
	if err := fl.Parse(args); err != nil {
		return 2
	}
	s.Systems = strings.Split(*systems, ",")
	r, err := cutAll(ctx, s, func(c cut) { _, _ = fmt.Fprintln(stderr, c) })
	_, _ = fmt.Fprint(stdout, r)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "powercut:", err)
		return 1
	}
	if len(r.faults()) > 0 {
		return 1
	}
	return 0
}
