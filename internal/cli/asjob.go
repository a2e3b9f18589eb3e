package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/runner"
)

const (
	// jobLook is how often a run that waits looks how things are.
	jobLook = time.Second
	// stopPatience is how long a run that was stopped insists that the bus hears
	// of it.
	stopPatience = 10 * time.Second
)

// handJob is a run by hand that takes part in the job protocol: this process
// submits the job and is the only runner that can run it.
type handJob struct {
	*app
	session session
	to      []io.Writer
	bus     *bus.Bus
	queue   *queue.Queue
	id, by  string

	// began is closed when the run begins, over when it has ended as err.
	began, over chan struct{}
	err         error
}

// playAsJob runs the playbooks as a job of the bus.
func (a *app) playAsJob(ctx context.Context, s session, to []io.Writer) error {
	if len(s.hosts) > queue.MaxHosts {
		return fmt.Errorf("a job can hold at most %d hosts, and these are %d; split it by --limit", queue.MaxHosts, len(s.hosts))
	}
	b, done, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	if b.Role != "" && b.Role != "admin" {
		return fmt.Errorf("the credentials are those of a %s; --as-job needs the role admin", b.Role)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this machine: %w", err)
	}
	h := &handJob{
		app: a, session: s, to: to, bus: b, queue: queue.New(b, nil), id: queue.NewID(), by: a.user() + "@" + host,
		began: make(chan struct{}), over: make(chan struct{}),
	}
	over, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		h.tellStop(ctx, over)
	}()
	err = h.play(ctx)
	err = errors.Join(err, h.close(ctx))
	close(over)
	<-told
	return err
}

// tellStop says what becomes of the job when somebody stops the run, until it is
// over.
func (h *handJob) tellStop(ctx context.Context, over <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-over:
		return
	}
	h.say("job %s is being cancelled, not given back: its commands are ended, and then its hosts are free", h.id[:shortID])
	select {
	case <-h.insist:
		h.say("job %s is still being cancelled; stopped a third time, this process leaves it: its commands end, "+
			"and the bus has it as failed when its lease is over", h.id[:shortID])
	case <-over:
	}
}

// user names who runs this command.
func (a *app) user() string {
	return cmp.Or(a.env.Getenv("SUDO_USER"), a.env.Getenv("USER"), a.env.Getenv("LOGNAME"), "uid "+strconv.Itoa(a.env.UID))
}

// play submits the job, works on it, and returns how it ended. What keeps the job
// goes on when ctx ends, so that it can be ended in order.
func (h *handJob) play(ctx context.Context) error {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	needs := queue.HandNeeds(h.id)
	var busy atomic.Int64
	w := queue.Worker{
		Queue: h.queue, Name: h.by + "-" + h.id[:8], Labels: needs, Only: queue.NameFor(needs),
		Busy: func(n int) { busy.Store(int64(n)) },
		Prepare: func(context.Context, queue.Job) (queue.Prepared, error) {
			return queue.Prepared{Hosts: h.session.hosts, Run: func(held context.Context, l *queue.Lease) queue.Outcome {
				return h.perform(held, ctx, l)
			}}, nil
		},
	}
	info := queue.RunnerInfo{Name: w.Name, Labels: needs, Slots: 1, Version: proc.Version(), Started: time.Now().UTC()}
	wg.Go(func() {
		h.queue.Register(life, func() queue.RunnerInfo {
			now := info
			now.Busy = int(busy.Load())
			return now
		})
	})
	if err := h.submit(ctx); err != nil {
		return err
	}
	h.say("this run is job %s of the bus", h.id[:shortID])
	worked := make(chan error, 1)
	wg.Go(func() { worked <- w.Work(life, h.over) })
	return h.follow(ctx, worked)
}

func (h *handJob) submit(ctx context.Context) error {
	if err := h.queue.OpenHand(ctx, h.id); err != nil {
		return err
	}
	f := h.session.flags
	_, _, err := h.queue.Submit(ctx, queue.Job{
		ID: h.id, StartedBy: h.by, Playbook: strings.Join(h.session.files, " "), Inventory: strings.Join(f.inventories, " "),
		Limit: f.limit, Check: f.check, Needs: queue.HandNeeds(h.id), OnRunnerLoss: queue.LossFail, Hosts: h.session.hosts,
	})
	return err
}

// perform is the run itself, once the job is claimed. It ends with held or with
// the wish of the operator.
func (h *handJob) perform(held, operator context.Context, l *queue.Lease) queue.Outcome {
	defer close(h.over)
	close(h.began)
	ctx, cancel := context.WithCancelCause(held)
	defer cancel(nil)
	defer context.AfterFunc(operator, func() { cancel(context.Cause(operator)) })()
	var out queue.Outcome
	s := h.session
	s.run = func(ctx context.Context, pb *engine.Playbook, inv *inventory.Inventory, o engine.Options) (engine.Summary, error) {
		same := func(text string) string { return text }
		sum, err := runner.Play(ctx, h.bus, l, pb, inv, o, same)
		out = runner.Outcome(sum, err, same)
		if stopped, ok := errors.AsType[proc.StoppedError](err); ok {
			out.State, out.Reason = queue.Cancelled, stopped.Error()
		}
		return sum, err
	}
	h.err = h.show(ctx, s, "/jobs/"+h.id, h.to)
	return out
}

// follow shows what the run waits for until it begins, and returns how it ended.
func (h *handJob) follow(ctx context.Context, worked <-chan error) error {
	tick := time.NewTicker(jobLook)
	defer tick.Stop()
	stopped := ctx.Done()
	var giveUp <-chan time.Time
	said := ""
	for {
		select {
		case <-h.began:
			return errors.Join(<-worked, h.ended(context.WithoutCancel(ctx)))
		case <-stopped:
			stopped, giveUp = nil, time.After(stopPatience)
		case <-giveUp:
			return context.Cause(ctx)
		case <-tick.C:
		}
		if ctx.Err() != nil {
			_, _ = h.queue.Cancel(context.WithoutCancel(ctx), h.id, context.Cause(ctx).Error())
		}
		// The bus may be away: it is asked again.
		rec, err := h.queue.Get(context.WithoutCancel(ctx), h.id)
		switch {
		case err != nil, h.hasBegun():
		case rec.State.Terminal() && ctx.Err() != nil:
			return context.Cause(ctx)
		case rec.State.Terminal():
			return fmt.Errorf("job %s is %s: %s", h.id[:shortID], rec.State, rec.Reason)
		case ctx.Err() == nil:
			if why, err := h.queue.Waiting(ctx, rec); err == nil && why != "" && why != said {
				said = why
				h.say("waiting for %s", why)
			}
		}
	}
}

func (h *handJob) hasBegun() bool {
	select {
	case <-h.began:
		return true
	default:
		return false
	}
}

// ended returns how a run ended that has begun, and what the bus made of it.
func (h *handJob) ended(ctx context.Context) error {
	if h.err != nil {
		return h.err
	}
	rec, err := h.queue.Get(ctx, h.id)
	switch {
	case err != nil:
		return fmt.Errorf("the run has ended well, but not what the bus knows of it: %w", err)
	case rec.State != queue.Succeeded:
		return fmt.Errorf("the run has ended well, but its job %s is %s: %s", h.id[:shortID], rec.State, rec.Reason)
	}
	return nil
}

// close leaves nothing of the run on the bus but its record. Where that is not to
// be had, the bus does it later.
func (h *handJob) close(ctx context.Context) error {
	stopped := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	rec, err := h.queue.Get(ctx, h.id)
	if err == nil && !rec.State.Terminal() {
		rec, err = h.queue.Cancel(ctx, h.id, "its run ended without a word")
	}
	if err == nil && rec.State.Terminal() && stopped {
		h.say("job %s is %s", h.id[:shortID], rec.State)
	}
	if errors.Is(err, queue.ErrNoJob) || err == nil && rec.State.Terminal() {
		return h.queue.CloseHand(ctx, h.id)
	}
	h.say("the bus does not know that job %s has ended; it will notice, and its hosts are held until then", h.id[:shortID])
	return nil
}

// say tells people what is going on, beside the output of the run.
func (h *handJob) say(format string, args ...any) {
	_, _ = fmt.Fprintln(h.env.Stderr, proc.Printable(fmt.Sprintf(format, args...)))
}
