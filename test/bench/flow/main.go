// Command flow measures the whole way of an event through jet-bus: accepted, judged, made a job,
// claimed by a runner, its one task's result stored and seen by a viewer. It starts the parts of
// the real processes in this one, on a directory of its own, and prints events per second and
// latencies for both durabilities, beside what the same disk and the bare stream do in the same
// run:
//
//	go run ./test/bench/flow
//	go run ./test/bench/flow --durability power --runners 4 --json
//	go run ./test/bench/flow --ingest
//
// Before that it measures how fast events are taken in over HTTP, by one sender and by many, beside clients
// that publish on the bus of the same server message by message.
//
// On a machine that does other work as well the figures are a lower bound: the rounds' range says
// how wide it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"

	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command. It returns the exit code: 0 measured, 1 an error, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parseSettings(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // the flag package has said why
	}
	r, err := measure(ctx, s, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err == nil && s.JSON {
		err = r.writeJSON(stdout)
	} else if err == nil {
		err = r.writeTable(stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "flow:", err)
		return 1
	}
	return 0
}

// measure measures each durability in a directory of its own, and removes it.
func measure(ctx context.Context, s settings, log *slog.Logger) (r report, err error) {
	dir, err := os.MkdirTemp(s.Dir, "jet-bus-flow-")
	if err != nil {
		return r, fmt.Errorf("make a directory to work in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r = report{Settings: s, Machine: describe(dir)}
	for _, name := range s.Durabilities {
		d, err := measureOne(ctx, s, filepath.Join(dir, name), name, log)
		if err != nil {
			return r, fmt.Errorf("measure durability %s: %w", name, err)
		}
		r.Durabilities = append(r.Durabilities, d)
	}
	return r, nil
}

// measureOne measures one durability: first the floor it stands on, then the flow.
func measureOne(ctx context.Context, s settings, dir, name string, log *slog.Logger) (d durability, err error) {
	mode := busserver.Power
	if name == "process" {
		mode = busserver.Process
	}
	d.Durability = name
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return d, err
	}
	stop, err := profile(s.CPUProfile, name)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if d.Ingest, err = measureIngest(ctx, s, filepath.Join(dir, "ingest"), mode, log); err != nil || s.Ingest {
		return d, err
	}
	if d.Bare, err = measureBare(ctx, s, filepath.Join(dir, "bare"), mode); err != nil {
		return d, err
	}
	f, err := startFlow(ctx, s, filepath.Join(dir, "flow"), mode, log)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.stop(context.WithoutCancel(ctx))) }()
	if d.Rounds, err = f.flood(ctx, s); err != nil {
		return d, err
	}
	d.summarize()
	for _, rate := range s.Rates {
		if float64(rate) > d.ToResult.Median {
			d.Latencies = append(d.Latencies, paced{Rate: rate, Beyond: true})
			continue
		}
		p, err := f.pace(ctx, rate, s.Paced)
		if err != nil {
			return d, err
		}
		d.Latencies = append(d.Latencies, p)
	}
	return d, nil
}

// profile writes a CPU profile of one durability, to file with its name put before the extension.
// Without a file it does nothing.
func profile(file, durability string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	ext := filepath.Ext(file)
	out, err := os.Create(file[:len(file)-len(ext)] + "." + durability + ext)
	if err != nil {
		return nil, fmt.Errorf("write the CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return nil, errors.Join(fmt.Errorf("write the CPU profile: %w", err), out.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return out.Close()
	}, nil
}
