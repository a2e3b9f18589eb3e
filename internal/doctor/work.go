package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

const (
	// lateJudging is how old an event may become before the rules see it.
	lateJudging = time.Minute
	// quietWarn and quietFault are how many leases a running job may be silent for:
	// after one it is noticed as lost.
	quietWarn, quietFault = 2, 5
)

// events looks at how far the rules are.
func (e *examination) events(ctx context.Context) error {
	cons, err := e.bus.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		e.fault("start jet-bus: it makes the consumer that hands events to the rules", "nobody hands events to the rules")
		return nil
	}
	if err != nil {
		return fmt.Errorf("see how far the events are judged: %w", err)
	}
	info := cons.CachedInfo()
	waiting := info.NumPending + uint64(max(info.NumAckPending, 0))
	if waiting == 0 {
		e.ok("all are judged, up to %d", info.AckFloor.Stream)
		return nil
	}
	// The event behind the last judged one; those that expired since are passed over.
	var oldest time.Duration
	for m, err := range e.bus.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: info.AckFloor.Stream + 1}) {
		if err != nil {
			return fmt.Errorf("read the oldest event that is not judged: %w", err)
		}
		oldest = e.age(m.Time)
		break
	}
	text := fmt.Sprintf("%d are not judged yet, %d of them in hand, the oldest stored %s ago", waiting, info.NumAckPending, oldest)
	if oldest > lateJudging {
		e.fault("see that jet-bus runs, and what its log says of dispatching", "%s", text)
		return nil
	}
	e.ok("%s", text)
	return nil
}

// running looks for jobs whose runner says nothing any more.
func (e *examination) running(ctx context.Context) error {
	all, err := e.queue.List(ctx, queue.ListOptions{})
	switch {
	case errors.Is(err, queue.ErrUnreadable):
		e.fault("use the newer version if one wrote it; if not, it is damaged: nothing is done for its job, and it goes with the stream's time",
			"%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	case err != nil:
		return err
	}
	count := map[queue.State]int{}
	var quiet []string
	level := OK
	for _, j := range all {
		count[j.State]++
		if !j.State.Terminal() {
			e.jobs = append(e.jobs, j)
		}
		if j.State != queue.Running && j.State != queue.Cancelling {
			continue
		}
		silence, lease, err := e.silence(ctx, j)
		if err != nil {
			return err
		}
		if silence <= quietWarn*lease {
			continue
		}
		quiet = append(quiet, fmt.Sprintf("%.12s on runner %s for %s", j.ID, j.Runner, silence))
		if level == OK {
			level = Warning
		}
		if silence > quietFault*lease {
			level = Fault
		}
	}
	var parts []string
	for _, s := range queue.States() {
		if n := count[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	text := "none yet"
	if len(parts) > 0 {
		text = strings.Join(parts, ", ")
	}
	switch level {
	case Fault:
		e.fault("see that jet-bus runs: it hands lost jobs to another runner, and did not", "%s; without a heartbeat: %s", text, strings.Join(quiet, ", "))
	case Warning:
		e.warn("wait: jet-bus hands lost jobs to another runner", "%s; without a heartbeat: %s", text, strings.Join(quiet, ", "))
	default:
		e.ok("%s", text)
	}
	return nil
}

// silence returns how long ago a job last changed or had a heartbeat, and the lease
// of its queue.
func (e *examination) silence(ctx context.Context, j queue.Record) (silent, lease time.Duration, err error) {
	lease = queue.DefaultTiming.Lease
	cons, err := e.bus.JS.Consumer(ctx, bus.StreamJobs, queue.NameFor(j.Needs))
	switch {
	case err == nil:
		lease = cons.CachedInfo().Config.AckWait
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return 0, 0, fmt.Errorf("look at the queue of job %s: %w", j.ID, err)
	}
	var last time.Time
	for _, subject := range []string{bus.StateSubject(j.ID), bus.HeartbeatSubject(j.ID)} {
		m, err := e.bus.Last(ctx, bus.StreamRuns, subject)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		if m.Time.After(last) {
			last = m.Time
		}
	}
	return e.age(last), lease, nil
}

// runners looks whether everything that waits has a runner. After a restart of the
// bus runners have yet to say that they live: what seems to lack one is looked at
// again a little later.
func (e *examination) runners(ctx context.Context) error {
	list, err := e.queue.Runners(ctx)
	if err != nil {
		return err
	}
	waiting, unserved := e.unserved(list)
	if len(unserved) > 0 {
		select {
		case <-time.After(bus.RunnerTTL / 3):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if list, err = e.queue.Runners(ctx); err != nil {
			return err
		}
		waiting, unserved = e.unserved(list)
	}
	slots, busy := 0, 0
	for _, r := range list {
		slots, busy = slots+r.Slots, busy+r.Busy
	}
	for _, name := range slices.Sorted(maps.Keys(unserved)) {
		labels := "a runner"
		if needs := unserved[name]; len(needs) > 0 {
			var all []string
			for _, k := range slices.Sorted(maps.Keys(needs)) {
				all = append(all, k+"="+needs[k])
			}
			labels = "a runner with the labels " + strings.Join(all, ", ")
		}
		do, kept := "start "+labels, ""
		if ids := e.interrupted(name); len(ids) > 0 {
			do += "; or end them with jet jobs cancel, once nothing of them runs on their hosts any more"
			kept = "; interrupted, and keeping their hosts from other jobs until they run again: " + strings.Join(ids, ", ")
		}
		e.fault(do, "%d waiting in queue %s, and no runner alive may have them%s", waiting[name], name, kept)
	}
	switch {
	case len(list) == 0 && len(unserved) == 0:
		e.warn("start jet-runner where the hosts can be reached", "none is alive; nothing waits for one")
	case len(list) > 0:
		e.ok("%d alive, %d of %d slots busy", len(list), busy, slots)
	}
	return nil
}

// interrupted returns the jobs of a queue that lost their runner and still hold their
// hosts.
func (e *examination) interrupted(name string) (ids []string) {
	for _, j := range e.jobs {
		if j.State == queue.Pending && j.Holds() && len(j.Hosts) > 0 && !j.SharesHosts && queue.NameFor(j.Needs) == name {
			ids = append(ids, j.ID[:min(len(j.ID), 12)])
		}
	}
	return ids
}

// queues reports the wake-ups.
func (e *examination) queues(ctx context.Context) error {
	prefix := "$KV." + bus.BucketQueues + "."
	var parts []string
	for m, err := range e.bus.Tail(ctx, "KV_"+bus.BucketQueues, prefix+">", bus.TailOptions{}) {
		if err != nil {
			return fmt.Errorf("list queues: %w", err)
		}
		name := strings.TrimPrefix(m.Subject, prefix)
		cons, err := e.bus.JS.Consumer(ctx, bus.StreamJobs, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			e.fault("restart jet-bus, which opens the queues of its rules", "queue %s has no consumer: its jobs wake nobody", name)
			continue
		}
		if err != nil {
			return fmt.Errorf("look at queue %s: %w", name, err)
		}
		i := cons.CachedInfo()
		parts = append(parts, fmt.Sprintf("%s: %d wake-ups wait, %d are in hand", name, i.NumPending, i.NumAckPending))
	}
	if len(parts) == 0 {
		e.warn("start jet-bus, which opens the queues of its rules", "there are none yet")
		return nil
	}
	e.ok("%s", strings.Join(parts, "; "))
	return nil
}

// unserved counts the jobs that wait, by queue, and returns what those need that none
// of the runners may have.
func (e *examination) unserved(list []queue.RunnerInfo) (waiting map[string]int, needs map[string]map[string]string) {
	waiting, needs = map[string]int{}, map[string]map[string]string{}
	for _, j := range e.jobs {
		if j.State != queue.Pending {
			continue
		}
		name := queue.NameFor(j.Needs)
		waiting[name]++
		if !queue.Served(j.Needs, list) {
			needs[name] = j.Needs
		}
	}
	return waiting, needs
}
