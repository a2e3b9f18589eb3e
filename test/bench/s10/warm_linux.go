package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn/pool"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/modules"
)

// between is how long the runner rests between two jobs: so long that the pool no longer takes a
// connection for good without asking the host.
const between = 1500 * time.Millisecond

// job is what the process for warm jobs is told, as JSON.
type job struct {
	Playbook, Inventory, KnownHosts, Key string
	Forks                                int
	// Jobs is how often the playbook is run; the first time connects.
	Jobs int
	// Out is the file for a sample of each job.
	Out string
}

// warm measures jobs over open connections: a process in the controller's namespace runs the
// playbook on hosts where everything is done already, first over fresh connections.
func (c *crew) warm(ctx context.Context, r *report, hosts int, rtt time.Duration) error {
	targets := hostTargets(hosts)
	if _, _, err := c.pair(ctx, peerJet, targets, map[string]endState{}); err != nil {
		return err
	}
	before, err := c.states(targets)
	if err != nil {
		return err
	}
	j := job{
		Playbook: c.path(filepath.Join("site", c.books[peerJet])), Inventory: c.path("jet-" + strconv.Itoa(hosts)),
		KnownHosts: c.path("known_hosts"), Key: c.path("key"),
		Forks: c.set.forks(hosts), Jobs: 1 + c.set.Runs, Out: c.path("warm.json"),
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.self, "warm", string(text)) //nolint:gosec,noctx // this program; measure ends it
	cmd.Env = []string{"HOME=" + c.path("home"), "PATH=/usr/bin:/bin", "USER=root"}
	if _, err := c.measure(ctx, []*exec.Cmd{cmd}); err != nil {
		return fmt.Errorf("warm jobs on %d hosts: %w", hosts, err)
	}
	after, err := c.states(targets)
	if err != nil {
		return err
	}
	if err := errors.Join(check(before, after), untouched(before, after)); err != nil {
		return fmt.Errorf("warm jobs: %w", err)
	}
	text, err = os.ReadFile(j.Out)
	if err != nil {
		return err
	}
	var jobs []jobSample
	if err := json.Unmarshal(text, &jobs); err != nil {
		return err
	}
	r.Warm = append(r.Warm, &warmCell{Hosts: hosts, RTT: rtt, Cold: jobs[0], Warm: jobs[1:]})
	return nil
}

// warmJobs is the process that runs the jobs, as a runner does.
func warmJobs(ctx context.Context, text string) (err error) {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	p := pool.New(ssh.NewDialer(ssh.Options{
		User: "root", Home: os.Getenv("HOME"), KnownHosts: []string{j.KnownHosts},
	}), pool.Options{Max: j.Forks})
	defer func() { err = errors.Join(err, p.Close()) }()
	samples := make([]jobSample, j.Jobs)
	for i := range samples {
		if i > 0 {
			rest := time.NewTimer(between)
			select {
			case <-ctx.Done():
				rest.Stop()
				return context.Cause(ctx)
			case <-rest.C:
			}
		}
		if samples[i], err = oneJob(ctx, j, p); err != nil {
			return fmt.Errorf("job %d: %w", i+1, err)
		}
	}
	out, err := json.Marshal(samples)
	if err != nil {
		return err
	}
	return os.WriteFile(j.Out, out, 0o600)
}

// oneJob parses and runs the playbook once.
func oneJob(ctx context.Context, j job, p *pool.Pool) (s jobSample, err error) {
	began, used := time.Now(), ownCPU()
	registry, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return s, err
	}
	book, err := engine.Parse(j.Playbook, registry, engine.ParseOptions{})
	if err != nil {
		return s, err
	}
	inv, err := inventory.Load(ctx, j.Inventory)
	if err != nil {
		return s, err
	}
	var faults []error
	sum, err := engine.Run(ctx, book, inv, engine.Options{
		Dialer: keyed{p, j.Key}, Forks: j.Forks,
		Report: func(e engine.Event) {
			if e.Kind != engine.TaskFinished {
				return
			}
			s.took(e.Task, e.Duration)
			if e.Changed || e.Status == engine.StatusFailed || e.Status == engine.StatusUnreachable {
				faults = append(faults, fmt.Errorf("host %s, task %s: %s: %s", e.Host, e.Task, e.Status, e.Message))
			}
		},
	})
	s.Wall, s.CPU = time.Since(began).Seconds(), (ownCPU() - used).Seconds()
	s.Memory = float64(anonymous(os.Getpid())) / (1 << 20)
	if err == nil && sum.Failed() {
		err = errors.New("hosts failed")
	}
	return s, errors.Join(append(faults, err)...)
}

// ownCPU is the CPU time that this process has taken.
func ownCPU() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // cannot fail for itself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
