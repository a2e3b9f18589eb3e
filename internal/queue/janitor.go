package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// sweepFrom is how full a stream is when the janitor begins, sweepTo when it is
	// content, alarmFrom when it complains after all; in percent.
	sweepFrom, sweepTo, alarmFrom = 70, 60, 90
	// purgesPerLook is how many purges it makes before it looks how full the stream is.
	purgesPerLook = 16
	// fruitless is for how many looks it waits when it could not make enough room.
	fruitless = 10
	// bundlesEvery is how often bundles are looked through, bundleAge how old one is
	// that may go. It must be well above what content.Put takes for fresh.
	bundlesEvery, bundleAge = time.Hour, 24 * time.Hour
)

// Janitor makes room before a stream refuses what comes next. RUNS and the store of
// outputs refuse when they are full, so that nothing disappears unseen; but most of
// what they hold is history, and the oldest of it is what the janitor removes, with
// a line in the log. It never touches a job that has not ended, nor the last word
// on a job whose event is still there: that word is what keeps the event from making
// a second job. Content that nothing refers to any more goes as well.
//
// One at a time is enough; several do no harm.
type Janitor struct {
	Queue *Queue
	// Every is the time between two looks; zero means 30 s.
	Every time.Duration

	// runsDue and bundlesDue are when RUNS and the bundles are looked at next.
	runsDue, bundlesDue time.Time
}

// Run looks and sweeps until ctx ends. What fails is logged and tried again.
func (j *Janitor) Run(ctx context.Context) error {
	every := j.Every
	if every == 0 {
		every = 30 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		now := time.Now()
		err := j.sweepOutputs(ctx)
		if !now.Before(j.runsDue) {
			enough, serr := j.sweepRuns(ctx)
			if err = errors.Join(err, serr); !enough {
				j.runsDue = now.Add(fruitless * every) // it reads all jobs
			}
		}
		if !now.Before(j.bundlesDue) {
			j.bundlesDue = now.Add(bundlesEvery)
			err = errors.Join(err, j.sweepBundles(ctx, now.Add(-bundleAge)))
		}
		if err != nil && ctx.Err() == nil {
			j.Queue.log.Warn("sweep not finished", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// fill is how full a stream is, in percent; one without a bound is empty.
func (j *Janitor) fill(ctx context.Context, stream string) (percent uint64, err error) {
	s, err := j.Queue.bus.JS.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("see how full stream %s is: %w", stream, err)
	}
	info := s.CachedInfo()
	if info.Config.MaxBytes <= 0 {
		return 0, nil
	}
	return info.State.Bytes * 100 / uint64(info.Config.MaxBytes), nil
}

// sweepRuns makes room in RUNS if it is too full. enough says that it is no more.
func (j *Janitor) sweepRuns(ctx context.Context) (enough bool, err error) {
	before, err := j.fill(ctx, bus.StreamRuns)
	if err != nil || before < sweepFrom {
		return true, err
	}
	oldest, err := j.oldestEvent(ctx)
	if err != nil {
		return true, err
	}
	jobs, err := j.jobs(ctx)
	if err != nil {
		return true, err
	}
	after, made, err := j.carryOut(ctx, planSweep(jobs, oldest), before)
	log := j.Queue.log.With(slog.Uint64("full_percent_before", before), slog.Uint64("full_percent", after), slog.Int("jobs", len(jobs)))
	for _, what := range []string{removedLocks, removedResults, removedJobs, removedStates} {
		if n := made[what]; n > 0 {
			log = log.With(slog.Int(what, n))
		}
	}
	log.Info("made room among the job records")
	if err == nil && after >= alarmFrom {
		log.Error("the job records fill their store, and what is left cannot be removed: jobs that have not ended, and " +
			"what keeps events that are still stored from running twice; end jobs, or give jet-bus a larger --max-store")
	}
	return err != nil || after < sweepFrom, err
}

// carryOut purges until there is room enough. made counts the purges by what they
// remove.
func (j *Janitor) carryOut(ctx context.Context, list []purge, before uint64) (after uint64, made map[string]int, err error) {
	after, made = before, make(map[string]int)
	for i, p := range list {
		for _, filter := range p.filters {
			if err := j.Queue.bus.Purge(ctx, bus.StreamRuns, filter, p.before); err != nil {
				return after, made, err
			}
		}
		made[p.what]++
		if !p.look && (i+1)%purgesPerLook != 0 && i+1 < len(list) {
			continue
		}
		if after, err = j.fill(ctx, bus.StreamRuns); err != nil || after < sweepTo {
			return after, made, err
		}
	}
	return after, made, nil
}

// oldestEvent is the sequence of the first event that is still stored, or will be.
func (j *Janitor) oldestEvent(ctx context.Context) (uint64, error) {
	s, err := j.Queue.bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("look for the oldest event: %w", err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return state.LastSeq + 1, nil
	}
	return state.FirstSeq, nil
}

// jobs reads what the plan has to know of all jobs.
func (j *Janitor) jobs(ctx context.Context) ([]keptJob, error) {
	at := make(map[string]int)
	var jobs []keptJob
	for r, err := range j.records(ctx) {
		if err != nil {
			return nil, err
		}
		i, ok := at[r.ID]
		if !ok {
			i = len(jobs)
			at[r.ID] = i
			jobs = append(jobs, keptJob{id: r.ID, first: min(r.First, r.Rev)})
		}
		k := &jobs[i]
		k.last, k.state, k.tried = r.Rev, r.State, r.Attempt > 0
		k.revisions++
		if r.Event != nil {
			k.event = r.Event.Seq
		}
	}
	return jobs, nil
}

// records yields every state of every job that is stored now.
func (j *Janitor) records(ctx context.Context) func(yield func(Record, error) bool) {
	return func(yield func(Record, error) bool) {
		for m, err := range j.Queue.bus.Tail(ctx, bus.StreamRuns, bus.AllStates, bus.TailOptions{}) {
			var r Record
			if err != nil {
				err = fmt.Errorf("read the jobs: %w", err)
			} else {
				r, err = record(m)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// sweepOutputs removes the oldest outputs if their store is too full.
func (j *Janitor) sweepOutputs(ctx context.Context) error {
	stream := bus.ObjectStream(bus.ObjectsOutputs)
	before, err := j.fill(ctx, stream)
	if err != nil || before < sweepFrom {
		return err
	}
	objects, err := j.Queue.bus.Objects(ctx, bus.ObjectsOutputs)
	if err != nil {
		return err
	}
	after, removed := before, 0
	for _, o := range objects {
		if err := j.Queue.bus.RemoveObject(ctx, bus.ObjectsOutputs, o); err != nil {
			return err
		}
		removed++
		if after, err = j.fill(ctx, stream); err != nil {
			return err
		}
		if after < sweepTo {
			break
		}
	}
	j.Queue.log.Info("made room among the outputs", slog.Int("outputs", removed),
		slog.Uint64("full_percent_before", before), slog.Uint64("full_percent", after))
	return nil
}

// sweepBundles removes content that was stored before until and that neither a
// rule set that was in force nor a job refers to.
func (j *Janitor) sweepBundles(ctx context.Context, until time.Time) error {
	b := j.Queue.bus
	// What is old is listed before what refers to it: content.Put stores old
	// content anew, so whoever refers to it from now on has a newer one.
	objects, err := b.Objects(ctx, bus.ObjectsBundles)
	if err != nil {
		return err
	}
	old := make(map[string]bus.Object)
	for _, o := range objects {
		if o.Stored.Before(until) {
			old[o.Name] = o
		}
	}
	if len(old) == 0 {
		return nil
	}
	if err := j.dropActive(ctx, old); err != nil || len(old) == 0 {
		return err
	}
	for r, err := range j.records(ctx) {
		if err != nil {
			return err
		}
		delete(old, r.Bundle)
	}
	for name, o := range old {
		if err := b.RemoveObject(ctx, bus.ObjectsBundles, o); err != nil {
			return err
		}
		j.Queue.log.Info("removed content that nothing refers to", slog.String("bundle", name), slog.Uint64("bytes", o.Size))
	}
	return nil
}

// dropActive takes out of old what the rule sets in force, now or before, refer to.
func (j *Janitor) dropActive(ctx context.Context, old map[string]bus.Object) error {
	subject := "$KV." + bus.BucketConfig + "." + bus.KeyRuleSet
	for m, err := range j.Queue.bus.Tail(ctx, "KV_"+bus.BucketConfig, subject, bus.TailOptions{}) {
		if err != nil {
			return fmt.Errorf("look for content in use: %w", err)
		}
		if len(m.Data) == 0 { // a deletion
			continue
		}
		var active struct {
			Bundle string `json:"bundle"`
		}
		if err := decode(m.Data, &active); err != nil {
			return fmt.Errorf("decode the rule set at sequence %d: %w", m.Seq, err)
		}
		delete(old, active.Bundle)
	}
	return nil
}
