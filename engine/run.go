package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/ahead"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// defaultForks is how many hosts are worked on at once unless told otherwise.
const defaultForks = 20

// Options say how a playbook is run. Dialer is needed; zero values elsewhere
// are the defaults.
type Options struct {
	// Dialer opens the connections, one a host.
	Dialer conn.Dialer
	// Check only looks for what would be changed.
	Check bool
	// Limit holds names of hosts and groups to keep to; empty means all.
	Limit []string
	// ExtraVars win over all other variables. They must not be changed while
	// the run lasts.
	ExtraVars map[string]any
	// Sudo, SSHUser and SSHPort hold where a play, a task or the inventory says
	// nothing else.
	Sudo    string
	SSHUser string
	SSHPort int
	// Local takes this machine for every host.
	Local bool
	// LoginPassword is the password of hosts for which the inventory has none,
	// SudoPassword what sudo is given when it asks. Neither is ever shown.
	LoginPassword string
	SudoPassword  string
	// Jump is the hosts to connect through, outermost first, as in ssh -J, where
	// neither the play nor the inventory says otherwise.
	Jump string
	// Tags keeps the run to tasks that have one of these tags, SkipTags leaves out
	// those that have one; SkipTags win. Empty means all and none.
	Tags, SkipTags []string
	// StartAt leaves out the tasks before the first one with that name.
	StartAt string
	// Diff asks for the differences in the contents of files, for [Event.Diff].
	Diff bool
	// BatchSize is how many hosts of a play are worked on before the others,
	// where the play says nothing; zero is all of them.
	BatchSize int
	// LocalDelegation allows tasks to be delegated to this machine.
	LocalDelegation bool
	// ModulesPath are directories with modules that users wrote. They are
	// searched in order, before modules/ beside the playbook.
	ModulesPath []string
	// ProcessEnv is the environment that templates may see as ENV_NAME.
	ProcessEnv map[string]string
	// Forks is how many hosts are worked on at once, 20 if zero or less.
	Forks int
	// Publish stores an event that a playbook publishes. It is nil where there is
	// no bus.
	Publish func(context.Context, Publication) (Published, error)
	// Report is told every step, in order and one at a time. The run waits
	// while it blocks. It may be nil.
	Report func(Event)
}

// Run runs a playbook over the hosts of an inventory. Hosts that fail or cannot
// be reached leave the run, the others go on; the summary says how each fared.
// The error is for what stops the run as a whole: unknown groups, an unknown or
// empty selection, an unknown task to start at, more failed hosts than a play's
// max_fail, or the end of ctx, which is returned as [context.Cause]. The summary is
// valid in any case.
func Run(ctx context.Context, pb *Playbook, inv *inventory.Inventory, o Options) (Summary, error) {
	r := &run{Options: o, began: time.Now(), inv: inv, hosts: make(map[string]*hostState), links: newLinks(o.Dialer)}
	if r.Forks <= 0 {
		r.Forks = defaultForks
	}
	selected, err := pb.selectHosts(inv, o.Limit)
	if err != nil {
		return r.summary(), err
	}
	plans, err := pb.plan(&o)
	if err != nil {
		return r.summary(), err
	}
	for _, h := range slices.Concat(selected...) {
		if r.hosts[h.Name] == nil {
			r.hosts[h.Name] = newHostState(h)
		}
	}
	defer r.close(ctx)
	for i, p := range plans {
		if ctx.Err() != nil {
			break
		}
		if p == nil {
			continue
		}
		p.number = i
		if err := r.play(ctx, p, selected[i]); err != nil {
			return r.summary(), err
		}
	}
	return r.summary(), context.Cause(ctx)
}

// run is the state of one Run.
type run struct {
	Options
	began time.Time
	inv   *inventory.Inventory
	hosts map[string]*hostState
	links *links
	turns turns
	// sources are the files of this machine.
	sources sources
	// previews counts what is read ahead.
	previews sync.WaitGroup

	reporting sync.Mutex
}

// play runs a play over the hosts that are left of those selected. The error is
// for a play that lost more of them than it may.
func (r *run) play(ctx context.Context, p *plan, selected []*inventory.Host) error {
	started := time.Now()
	hosts := make([]*hostState, len(selected))
	// Hosts that wait for each other may rely on each other's changes.
	epoch := new(ahead.Epoch)
	for i, h := range selected {
		hosts[i] = r.hosts[h.Name]
		if p.play.free {
			epoch = new(ahead.Epoch)
		}
		hosts[i].beginAnew(epoch)
		clear(hosts[i].notified)
		clear(hosts[i].due)
	}
	hosts = inPlay(hosts)
	e := Event{Kind: PlayStarted, Play: p.play.name, Pos: p.play.pos, Hosts: names(hosts)}
	r.report(e)

	c := &crew{run: r, plan: p, mayFail: len(hosts)}
	if p.play.maxFail.given {
		c.mayFail = p.play.maxFail.of(len(hosts))
	}
	sizes := p.play.batches
	if len(sizes) == 0 && r.BatchSize > 0 {
		sizes = quotas{{n: r.BatchSize}}
	}
	for _, batch := range sizes.batches(hosts) {
		c.batch(ctx, batch)
	}
	e.Kind, e.Hosts = PlayFinished, nil
	e.Started, e.Duration = started, time.Since(started)
	r.report(e)
	if c.stopped() {
		return p.play.tooMany(int(c.failed.Load()), len(hosts))
	}
	return nil
}

// close ends what is under way, and the connections.
func (r *run) close(ctx context.Context) {
	for _, h := range r.hosts {
		h.foresight.halt()
	}
	r.previews.Wait()
	r.links.closeAll(ctx, r.Forks)
}

func (r *run) report(e Event) {
	if r.Report == nil {
		return
	}
	e.Check = r.Check
	r.reporting.Lock()
	defer r.reporting.Unlock()
	r.Report(e)
}

func (r *run) summary() Summary {
	s := Summary{Hosts: make(map[string]Stats, len(r.hosts))}
	for name, h := range r.hosts {
		s.Hosts[name] = h.stats
	}
	return s
}

// inPlay returns the hosts that did not fail.
func inPlay(hosts []*hostState) []*hostState {
	var in []*hostState
	for _, h := range hosts {
		if !h.out {
			in = append(in, h)
		}
	}
	return in
}

func names(hosts []*hostState) []string {
	ns := make([]string, len(hosts))
	for i, h := range hosts {
		ns[i] = h.host.Name
	}
	return ns
}

// each calls f for the members of list, at most n at once, and returns when all
// calls have. Members whose turn has not come when ctx ends are left out.
func each[T any](ctx context.Context, n int, list []T, f func(T)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	turn := make(chan struct{}, n)
	for _, v := range list {
		select {
		case <-ctx.Done():
			return
		case turn <- struct{}{}:
		}
		if ctx.Err() != nil {
			return
		}
		wg.Go(func() {
			defer func() { <-turn }()
			f(v)
		})
	}
}
