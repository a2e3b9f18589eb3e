package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// judgeIn is how long jet-bus may take to judge what it has after a start.
const judgeIn = 60 * time.Second

// check looks at what a cut has left. It returns the events that are there, how many jobs, and what is wrong.
func check(ctx context.Context, p *process, acked map[string]int) (stored map[string]int, jobs int, faults []string, err error) {
	fault := func(format string, v ...any) { faults = append(faults, fmt.Sprintf(format, v...)) }
	b, err := bus.Connect(ctx, bus.Options{URL: p.addr.Bus, CredsFile: access.CredsFile(p.data, "admin")})
	if err != nil {
		return nil, 0, nil, err
	}
	defer func() { _ = b.Close(ctx) }() // nothing is written on it
	if err := judged(ctx, b); err != nil {
		return nil, 0, nil, err
	}
	times := map[string]int{}   // how often an event is stored
	numbers := map[string]int{} // the n of its data
	pairs := map[int]string{}   // the later event, once both are there
	first := map[int]bool{}
	for m, err := range b.Tail(ctx, bus.StreamEvents, bus.EventSubject(bus.ClassExternal, eventType), bus.TailOptions{}) {
		if err != nil {
			return nil, 0, nil, err
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			fault("event at %d cannot be read: %v", m.Seq, err)
			continue
		}
		var data struct{ N int }
		if err := e.DataAs(&data); err != nil {
			fault("event %s cannot be read: %v", e.ID(), err)
		}
		if times[e.ID()] == 0 {
			if first[data.N/2] {
				pairs[data.N/2] = e.ID()
			}
			first[data.N/2] = true
		}
		times[e.ID()]++
		numbers[e.ID()] = data.N
	}
	for id := range acked {
		if times[id] == 0 {
			fault("event %s was acknowledged and is lost", id)
		}
	}
	made, err := joined(ctx, b, pairs)
	if err != nil {
		return nil, 0, nil, err
	}
	for _, id := range pairs {
		if n := made["pair "+id]; n != 1 {
			fault("the pair that event %s completes made %d jobs, want 1", id, n)
		}
		jobs += made["pair "+id]
		delete(made, "pair "+id)
	}
	for id, n := range numbers {
		if times[id] > 1 {
			fault("event %s is stored %d times", id, times[id])
		}
		want := map[string]int{"all": 1}
		if n%2 == 0 {
			want["even"] = 1
		}
		for _, rule := range []string{"all", "even"} {
			if got := made[rule+" "+id]; got != want[rule] {
				fault("event %s made %d jobs of rule %s, want %d", id, got, rule, want[rule])
			}
			jobs += made[rule+" "+id]
			delete(made, rule+" "+id)
		}
	}
	for of := range made {
		// An event is handed out before the batch that it is in is on disk. Nobody was told then that it was stored.
		if _, id, _ := strings.Cut(of, " "); acked[id] > 0 {
			fault("a job of %s, which is no event in the store", of)
		}
	}
	if err := water(ctx, b, p.data, fault); err != nil {
		return nil, 0, nil, err
	}
	return times, jobs, faults, nil
}

// judged waits until every event has been judged.
func judged(ctx context.Context, b *bus.Bus) error {
	s, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return err
	}
	last := s.CachedInfo().State.LastSeq
	// What was in hand when the power went would come again after a minute.
	cons, err := s.Consumer(ctx, bus.ConsumerDispatch)
	if err != nil {
		return err
	}
	conf := cons.CachedInfo().Config
	conf.AckWait = time.Second
	if _, err := s.UpdateConsumer(ctx, conf); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, judgeIn, fmt.Errorf("the events were not judged in %s", judgeIn))
	defer cancel()
	for {
		to, err := dispatch.Judged(ctx, b)
		if err != nil || to >= last {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// joined is revisions once every pair has a job, or has been waited for.
func joined(ctx context.Context, b *bus.Bus, pairs map[int]string) (map[string]int, error) {
	for until := time.Now().Add(judgeIn); ; {
		made, err := revisions(ctx, b)
		if err != nil {
			return nil, err
		}
		all := true
		for _, id := range pairs {
			all = all && made["pair "+id] > 0
		}
		if all || time.Now().After(until) {
			return made, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// revisions counts the revisions of jobs for each rule and event. There is no runner, so each job has the one that
// it was made with.
func revisions(ctx context.Context, b *bus.Bus) (map[string]int, error) {
	made := map[string]int{}
	for m, err := range b.Tail(ctx, bus.StreamRuns, bus.AllStates, bus.TailOptions{}) {
		if err != nil {
			return nil, err
		}
		var j queue.Job
		if err := json.Unmarshal(m.Data, &j); err != nil {
			return nil, fmt.Errorf("job at %d: %w", m.Seq, err)
		}
		made[j.Rule+" "+j.Event.ID]++
	}
	return made, nil
}

// water compares what is written down of the streams with what they are.
func water(ctx context.Context, b *bus.Bus, data string, fault func(string, ...any)) error {
	text, err := os.ReadFile(filepath.Join(data, "highwater.json"))
	if err != nil {
		return err
	}
	var record struct {
		Streams map[string]struct{ Last uint64 }
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return err
	}
	for _, name := range []string{bus.StreamEvents, bus.StreamRuns} {
		s, err := b.JS.Stream(ctx, name)
		if err != nil {
			return err
		}
		level, ok := record.Streams[name]
		if last := s.CachedInfo().State.LastSeq; !ok || level.Last > last {
			fault("stream %s ends at %d, and %d is written down", name, last, level.Last)
		}
	}
	return nil
}
