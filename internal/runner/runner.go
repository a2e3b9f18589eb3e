package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/pool"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/report"
	"github.com/jet-bus/jet-bus/modules"
)

// Options says what a runner is.
type Options struct {
	// Bus is the connection. The runner does not close it.
	Bus *bus.Bus
	// Name is unique among the runners of a bus.
	Name   string
	Labels map[string]string
	// Slots is how many jobs run at once; zero means four.
	Slots int
	// CacheDir keeps the content of jobs, by digest.
	CacheDir string
	// Dialer connects to hosts.
	Dialer conn.Dialer
	// Warm is how many idle connections to hosts are kept from one job to the
	// next; zero means 64, below zero none.
	Warm int
	// WarmIdle is how long an unused connection is kept; zero means five minutes.
	WarmIdle time.Duration
	// Version is shown in the list of runners.
	Version string
	Logger  *slog.Logger
}

// Runner works off jobs.
type Runner struct {
	o        Options
	info     queue.RunnerInfo
	queue    *queue.Queue
	busy     atomic.Int64
	registry *engine.Registry
	bundles  jetstream.ObjectStore
	worker   *queue.Worker
	cache    cache
	// dialer keeps connections from one job to the next.
	dialer conn.Dialer
}

// New returns a runner that is ready to Run.
func New(ctx context.Context, o Options) (*Runner, error) {
	if o.Slots == 0 {
		o.Slots = 4
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return nil, fmt.Errorf("start runner %s: %w", o.Name, err)
	}
	bundles, err := o.Bus.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return nil, fmt.Errorf("start runner %s: open the bundle store: %w", o.Name, err)
	}
	r := &Runner{
		o: o, registry: reg, bundles: bundles, queue: queue.New(o.Bus, o.Logger),
		info: queue.RunnerInfo{Name: o.Name, Labels: o.Labels, Slots: o.Slots, Version: o.Version, Started: time.Now().UTC()},
	}
	r.worker = &queue.Worker{
		Queue:   r.queue,
		Name:    o.Name,
		Labels:  o.Labels,
		Slots:   o.Slots,
		Prepare: r.prepare,
		Busy:    func(n int) { r.busy.Store(int64(n)) },
	}
	return r, nil
}

// Run works until drain is closed and the jobs in hand are done, or ctx ends and
// the jobs in hand were stopped and given back.
func (r *Runner) Run(ctx context.Context, drain <-chan struct{}) error {
	warm := pool.New(r.o.Dialer, pool.Options{Max: r.o.Warm, Idle: r.o.WarmIdle})
	defer func() { _ = warm.Close() }()
	r.dialer = warm
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		r.queue.Register(live, func() queue.RunnerInfo {
			info := r.info
			info.Busy = int(r.busy.Load())
			return info
		})
	})
	r.o.Logger.Info("runner started", slog.String("runner", r.o.Name), slog.Int("slots", r.o.Slots))
	err := r.worker.Work(ctx, drain)
	stop()
	wg.Wait()
	r.o.Logger.Info("runner stopped", slog.String("runner", r.o.Name))
	return err
}

// prepare fetches a job's content and reads its playbook and inventory. What is
// wrong with them is wrong for every runner, so the job fails.
func (r *Runner) prepare(ctx context.Context, j queue.Job) (queue.Prepared, error) {
	dir, err := content.Fetch(ctx, r.bundles, j.Bundle, r.o.CacheDir)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return queue.Prepared{}, fmt.Errorf("%w: its content %s is not on the bus", queue.ErrTerminal, j.Bundle)
	}
	if errors.Is(err, content.ErrDigest) {
		return queue.Prepared{}, fmt.Errorf("%w: its content on the bus is damaged: %w", queue.ErrTerminal, err)
	}
	if err != nil {
		return queue.Prepared{}, err
	}
	fail := func(err error) (queue.Prepared, error) {
		return queue.Prepared{}, fmt.Errorf("%w: %s", queue.ErrTerminal, relative(dir, err.Error()))
	}
	playbook, err := inside(dir, j.Playbook)
	if err != nil {
		return fail(err)
	}
	pb, err := r.cache.playbook(playbook, func() (*engine.Playbook, error) {
		return engine.Parse(playbook, r.registry, engine.ParseOptions{RolesPath: []string{filepath.Join(dir, "roles")}})
	})
	if err != nil {
		return fail(err)
	}
	path, err := inside(dir, j.Inventory)
	if err != nil {
		return fail(err)
	}
	inv, err := r.cache.inventory(ctx, path)
	if err != nil {
		return fail(err)
	}
	for _, w := range inv.Warnings() {
		r.o.Logger.Warn("inventory", slog.String("job", j.ID), slog.String("warning", relative(dir, w)))
	}
	hosts, err := pb.Hosts(inv, j.Limit)
	if err != nil {
		return fail(err)
	}
	if len(hosts) == 0 {
		return fail(errors.New("no host is selected"))
	}
	return queue.Prepared{Hosts: hosts, Run: func(ctx context.Context, l *queue.Lease) queue.Outcome {
		return r.run(ctx, l, dir, pb, inv)
	}}, nil
}

// relative tells the places in a message relative to the content, as its author
// knows it.
func relative(dir, msg string) string {
	return strings.ReplaceAll(msg, dir+string(filepath.Separator), "")
}

// inside returns the path of a file of the content, which must lie in it.
func inside(dir, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q is not a path in the content", name)
	}
	return filepath.Join(dir, filepath.FromSlash(name)), nil
}

// run runs a claimed job's playbook.
func (r *Runner) run(ctx context.Context, l *queue.Lease, dir string, pb *engine.Playbook, inv *inventory.Inventory) queue.Outcome {
	shown := func(text string) string { return relative(dir, text) }
	sum, err := Play(ctx, r.o.Bus, l, pb, inv, engine.Options{
		Dialer: r.dialer, Check: l.Job.Check, Limit: l.Job.Limit, ExtraVars: l.Job.Vars,
	}, shown)
	return Outcome(sum, err, shown)
}

// Play runs the playbook of a claimed job and puts the results of its tasks, and
// the events that it publishes, onto the bus. It changes no host once the job's lease
// is over, not even for a moment. The options' Publish is not used,
// Report is told every step after the bus. shown says how the job's results show
// text that may name files.
func Play(ctx context.Context, b *bus.Bus, l *queue.Lease, pb *engine.Playbook, inv *inventory.Inventory,
	o engine.Options, shown func(string) string,
) (engine.Summary, error) {
	// A result that cannot be handed over ends the run: nobody would know of it.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	o.Publish = func(ctx context.Context, p engine.Publication) (engine.Published, error) {
		return publish(ctx, b, l.Job, p)
	}
	o.Dialer = fence{o.Dialer, l}
	also := o.Report
	o.Report = func(e engine.Event) {
		if e.Kind == engine.TaskFinished {
			e.Message = shown(e.Message)
			t := report.Task(e)
			t.Place = shown(t.Place)
			// Also what the end of the run has cut short: a result that is numbered
			// and not stored would leave a gap. The lease bounds the wait.
			if err := l.Report(context.WithoutCancel(ctx), t, report.Whole(e)); err != nil {
				cancel(err)
			}
		}
		if also != nil {
			also(e)
		}
	}
	return engine.Run(ctx, pb, inv, o)
}

// Outcome is how a job ends by what came of its run.
func Outcome(sum engine.Summary, err error, shown func(string) string) queue.Outcome {
	switch {
	case err != nil:
		return queue.Outcome{State: queue.Failed, Reason: shown(err.Error())}
	case sum.Failed():
		return queue.Outcome{State: queue.Failed, Reason: sum.Why()}
	default:
		return queue.Outcome{State: queue.Succeeded}
	}
}
