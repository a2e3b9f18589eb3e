package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/hosts"
	"github.com/jet-bus/jet-bus/internal/proc"
)

type flags struct {
	access  access.Flags
	hosts   hosts.Flags
	name    string
	labels  map[string]string
	slots   int
	cache   string
	drain   time.Duration
	wait    time.Duration
	warm    int
	idle    time.Duration
	verbose bool
}

// Main is the jet-runner command. It returns the exit code.
func Main(ctx context.Context, env proc.Env) int {
	var f flags
	cmd := &cobra.Command{
		Use:   "jet-runner",
		Short: "Claim jobs from a bus and run their playbooks over SSH",
		Long: `jet-runner claims jobs from a bus and runs their playbooks over SSH.

At the first SIGINT or SIGTERM it claims nothing more and finishes the jobs in
hand, for as long as --drain-timeout allows; at the second, or when that time is
up, it stops them and gives them back for another runner.

Exit codes: 0 stopped as asked, 1 an error, 2 wrong usage.`,
		Args:          cobra.NoArgs,
		Version:       proc.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	f.access.Bind(cmd, "runner")
	f.hosts.Bind(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.name, "name", "", "`name` of this runner, unique on the bus (default: the host's name)")
	fs.StringToStringVar(&f.labels, "label", nil, "`label=value` of this runner, for rules that need it; may be repeated")
	fs.IntVar(&f.slots, "slots", 4, "how many jobs run at once")
	fs.StringVar(&f.cache, "cache", "", "`directory` that keeps the content of jobs (default: below the user's cache directory)")
	fs.DurationVar(&f.drain, "drain-timeout", time.Minute, "how long jobs in hand may take to finish when the runner is stopped")
	fs.DurationVar(&f.wait, "wait", time.Minute, "how long to wait for a bus that is not there yet")
	fs.IntVar(&f.warm, "warm", 64, "how many idle connections to hosts are kept for the jobs to come; 0 keeps none")
	fs.DurationVar(&f.idle, "warm-idle", 5*time.Minute, "how long an unused connection to a host is kept")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	return proc.Execute(ctx, env, cmd)
}

// patiently repeats f for as long as the flag says while there is no bus, or one without
// a leader: after a power cut everything starts at once.
func (f *flags) patiently(ctx context.Context, env proc.Env, log *slog.Logger, try func(context.Context) error) error {
	ctx, cancel := env.Context(ctx)
	defer cancel()
	const again = 2 * time.Second
	deadline := time.Now().Add(f.wait)
	for {
		err := try(ctx)
		away := errors.Is(err, bus.ErrUnavailable) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)
		if !away || ctx.Err() != nil || time.Now().Add(again).After(deadline) {
			return err
		}
		log.Warn("waiting for the bus", slog.Any("err", err))
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return err
		}
	}
}

// check finds what is wrong with the flags, before the bus is looked for.
func (f *flags) check(env proc.Env) error {
	if f.slots < 1 {
		return proc.Usagef("--slots must be 1 or more, not %d", f.slots)
	}
	if f.warm < 0 {
		return proc.Usagef("--warm must be 0 or more, not %d", f.warm)
	}
	if f.idle <= 0 {
		return proc.Usagef("--warm-idle must be more than nothing, not %s; --warm 0 keeps no connections", f.idle)
	}
	if f.drain < 0 {
		return proc.Usagef("--drain-timeout must not be negative, as %s is", f.drain)
	}
	if _, ok := f.labels[""]; ok {
		return proc.Usagef("--label =%s has no name before the =", proc.Printable(f.labels[""]))
	}
	if f.name != strings.TrimSpace(f.name) || f.name != proc.Printable(f.name) {
		return proc.Usagef("--name %q: leave out spaces around it, and what cannot be printed", f.name)
	}
	return f.hosts.Check(env)
}

func (f *flags) run(ctx context.Context, env proc.Env) error {
	if err := f.check(env); err != nil {
		return err
	}
	if f.warm == 0 {
		f.warm = -1
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := env.Logger(level)
	host, err := os.Hostname()
	if err != nil && f.name == "" {
		return fmt.Errorf("find a name for this runner: %w; give --name", err)
	}
	cache := f.cache
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find the cache directory: %w; give --cache", err)
		}
		cache = filepath.Join(dir, "jet-bus", "content")
	}
	o, err := f.access.Options(env, "runner")
	if err != nil {
		return err
	}
	o.Logger = log
	var b *bus.Bus
	err = f.patiently(ctx, env, log, func(ctx context.Context) (err error) {
		b, err = bus.Connect(ctx, o)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(context.WithoutCancel(ctx)) }()
	if b.Role != "" && b.Role != "runner" && b.Role != "admin" {
		return fmt.Errorf("the credentials %s are those of a %s; a runner needs the role runner", o.CredsFile, b.Role)
	}
	var r *Runner
	err = f.patiently(ctx, env, log, func(ctx context.Context) (err error) {
		r, err = New(ctx, Options{
			Bus: b, Name: cmp.Or(f.name, host), Labels: f.labels, Slots: f.slots, CacheDir: cache,
			Dialer: f.hosts.Dialer(env), Warm: f.warm, WarmIdle: f.idle, Version: proc.Version(), Logger: log,
		})
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The time to finish begins with the request to stop.
	stopped := make(chan struct{})
	done := make(chan struct{})
	defer func() { close(done); <-stopped }()
	go func() {
		defer close(stopped)
		select {
		case <-env.Stop:
		case <-done:
			return
		}
		select {
		case <-time.After(f.drain):
			cancel()
		case <-done:
		}
	}()
	return r.Run(ctx, env.Stop)
}
