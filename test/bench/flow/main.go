// Command flow measures the whole way of an event through jet-bus: accepted, judged, made a job,
// claimed by a runner, its one task's result stored and seen by a viewer. It starts the parts of
// the real processes in this one, on a directory of its own, and prints events per second and
// latencies for both durabilities, with one runner and with eight, beside what the same disk and the
// bare stream do in the same run. Before that it measures how fast events are taken in over HTTP, by one
// sender and by many, beside clients that publish on the bus of the same server message by
// message. After it comes jet-bus as a process of its own: its memory when idle, and how long it
// takes to start after it was stopped and after it was killed. The last table says which of the project's
// targets that meets.
//
//	go run ./test/bench/flow                        # about three minutes
//	go run ./test/bench/flow --stored 0,1000000     # all of it, also over a million stored events
//	go run ./test/bench/flow --parts ingest
//	go run ./test/bench/flow --parts process --stored 0,1000000 --binary ./jet-bus
//	go run ./test/bench/flow --parts flow --durability power --runners 4 --json
//
// Events that are stored before are those of a jet-bus that has taken them in and judged them, and
// for which no rule had anything to do. The server has forgotten their message ids, which takes two minutes.
//
// On a machine that does other work as well the figures are a lower bound: the rounds' range says
// how wide it is. The targets are ratios to what the machine does in the same run, where that is possible.
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

// measure measures everything in directories of its own, and removes them.
func measure(ctx context.Context, s settings, log *slog.Logger) (r report, err error) {
	dir, err := os.MkdirTemp(s.Dir, "jet-bus-flow-")
	if err != nil {
		return r, fmt.Errorf("make a directory to work in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r = report{Settings: s, Machine: describe(dir)}
	var backlogs []*backlog // made first, so that they settle while the rest is measured
	for i, n := range s.Stored {
		if !s.has(partFlow) && !s.has(partProcess) {
			break
		}
		b, err := fillBacklog(ctx, filepath.Join(dir, fmt.Sprintf("backlog-%d", i)), n, log)
		if err != nil {
			return r, fmt.Errorf("store %d events: %w", n, err)
		}
		backlogs = append(backlogs, b)
	}
	for _, name := range s.Durabilities {
		if !s.has(partIngest) && !s.has(partFlow) {
			break
		}
		d, err := measureDurability(ctx, s, filepath.Join(dir, name), name, backlogs, log)
		if err != nil {
			return r, fmt.Errorf("measure durability %s: %w", name, err)
		}
		r.Durabilities = append(r.Durabilities, d)
	}
	if s.has(partProcess) {
		if r.Processes, err = measureProcesses(ctx, s, dir, backlogs); err != nil {
			return r, fmt.Errorf("measure the process: %w", err)
		}
	}
	r.Targets = r.targets()
	return r, nil
}

// measureDurability measures one durability: how events are taken in, then the floor the flow stands on, then
// the flow for each number of stored events and of runners.
func measureDurability(ctx context.Context, s settings, dir, name string, backlogs []*backlog, log *slog.Logger) (d durability, err error) {
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
	if s.has(partIngest) {
		if d.Ingest, err = measureIngest(ctx, s, filepath.Join(dir, "ingest"), mode, log); err != nil {
			return d, err
		}
	}
	if !s.has(partFlow) {
		return d, nil
	}
	d.Bare = &bare{}
	if *d.Bare, err = measureBare(ctx, s, filepath.Join(dir, "bare"), mode); err != nil {
		return d, err
	}
	for _, b := range backlogs {
		for _, runners := range s.Runners {
			one, err := measureFlow(ctx, s, filepath.Join(dir, "flow"), runners, b, mode, log)
			if err != nil {
				return d, fmt.Errorf("%d runners over %d stored events: %w", runners, b.events, err)
			}
			d.Flows = append(d.Flows, one)
		}
	}
	return d, nil
}

// measureFlow measures one flow in a directory that it removes.
func measureFlow(
	ctx context.Context, s settings, dir string, runners int, b *backlog, mode busserver.SyncMode, log *slog.Logger,
) (r flowReport, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r.Runners = runners
	if err := b.copyTo(ctx, dir); err != nil {
		return r, err
	}
	f, err := startFlow(ctx, s, dir, runners, mode, log)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.stop(context.WithoutCancel(ctx))) }()
	before, err := f.stored(ctx)
	if err != nil {
		return r, err
	}
	r.Stored = int(before.Events)
	if r.Rounds, err = f.flood(ctx, s); err != nil {
		return r, err
	}
	r.summarize()
	for _, rate := range s.Rates {
		if float64(rate) > r.ToResult.Median {
			r.Latencies = append(r.Latencies, paced{Rate: rate, Beyond: true})
			continue
		}
		p, err := f.pace(ctx, rate, s.Paced)
		if err != nil {
			return r, err
		}
		r.Latencies = append(r.Latencies, p)
	}
	return r, nil
}

// measureProcesses measures jet-bus as a process over each backlog.
func measureProcesses(ctx context.Context, s settings, dir string, backlogs []*backlog) (list []process, err error) {
	binary := s.Binary
	if binary == "" {
		if binary, err = buildDaemon(ctx, dir); err != nil {
			return nil, err
		}
	}
	for i, b := range backlogs {
		p, err := measureProcess(ctx, s, filepath.Join(dir, fmt.Sprintf("process-%d", i)), binary, b)
		if err != nil {
			return nil, fmt.Errorf("%d stored events: %w", b.events, err)
		}
		list = append(list, p)
	}
	return list, nil
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
