package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// warmUp is how many events go before the first that count; their speed says how many a round is,
// but no fewer than leastRound.
const warmUp, leastRound = 200, 100

// patience bounds one round or one open loop.
const patience = 90 * time.Second

// eventSource is the source of all events here.
const eventSource = "/bench/flow"

// filling makes an event about a kilobyte.
var filling = strings.Repeat("-", 800)

// load is a number of events, ready to be sent, and what becomes of them.
type load struct {
	events []events.Event
	marks  []mark
}

// load makes n events that have not been before.
func (f *flow) load(n int) (*load, error) {
	l := &load{events: make([]events.Event, n), marks: make([]mark, n)}
	expected := make(map[string]*mark, n)
	for i := range n {
		number := f.next
		f.next++
		e, err := events.New(eventSource, eventType, map[string]any{
			"host": hostName(number), "number": number, "filling": filling,
		})
		if err != nil {
			return nil, err
		}
		l.events[i] = e
		expected[queue.ID(e.Source(), e.ID(), ruleName, "")] = &l.marks[i]
	}
	f.view.expect(expected)
	return l, nil
}

// flood measures throughput: rounds of events sent as fast as they are accepted.
func (f *flow) flood(ctx context.Context, s settings) ([]round, error) {
	warm := warmUp
	if s.Events > 0 {
		warm = min(warm, s.Events)
	}
	first, err := f.round(ctx, warm, s.Publishers)
	if err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	n := s.Events
	if n == 0 {
		n = max(leastRound, int(first.ToResult*roundTime.Seconds()))
	}
	var rounds []round
	for range s.Rounds {
		// The disk is measured beside every round: what it does changes with its neighbours.
		disk, err := measureSyncs(ctx, f.dir, bareTime)
		if err != nil {
			return nil, err
		}
		r, err := f.round(ctx, n, s.Publishers)
		if err != nil {
			return nil, err
		}
		r.Syncs, r.SyncP99 = disk.Rate, disk.P99
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// round sends n events from publishers at once and waits until all are through.
func (f *flow) round(ctx context.Context, n, publishers int) (round, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l, err := f.load(n)
	if err != nil {
		return round{}, err
	}
	before, err := f.stored(ctx)
	if err != nil {
		return round{}, err
	}
	disk, spent := readDisk(f.dir), cpuTime()
	var next atomic.Int64
	errs := make([]error, publishers)
	var wg sync.WaitGroup
	start := time.Now()
	for p := range publishers {
		wg.Go(func() {
			for errs[p] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				l.marks[i].sent = time.Now()
				errs[p] = f.send.send(ctx, p, l.events[i])
			}
		})
	}
	wg.Wait()
	accepted := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return round{}, err
	}
	if err := f.view.wait(ctx); err != nil {
		return round{}, err
	}
	after, err := f.stored(ctx)
	if err != nil {
		return round{}, err
	}
	result, end := start, start
	for _, m := range l.marks {
		result, end = later(result, m.result), later(end, m.end)
	}
	perSecond := func(d time.Duration) float64 { return float64(n) / d.Seconds() }
	r := round{
		Events: n, Accepted: perSecond(accepted),
		ToResult: perSecond(result.Sub(start)), ToEnd: perSecond(end.Sub(start)),
		Stored: after.minus(before).per(n),
	}
	r.CPU = float64((cpuTime() - spent).Microseconds()) / 1000 / float64(n)
	r.Flushes, r.DiskWrites = readDisk(f.dir).per(disk, n)
	return r, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// pace sends rate events a second for as long as d, each at its time whether or not those before
// are through, and measures how long each takes from the moment it is due.
func (f *flow) pace(ctx context.Context, rate int, d time.Duration) (paced, error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	l, err := f.load(int(float64(rate) * d.Seconds()))
	if err != nil {
		return paced{}, err
	}
	errs := make([]error, len(l.events))
	var wg sync.WaitGroup
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for i := range l.events {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		l.marks[i].sent = due
		wg.Go(func() { errs[i] = f.send.send(ctx, i, l.events[i]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return paced{}, err
	}
	if err := f.view.wait(ctx); err != nil {
		return paced{}, err
	}
	results, ends := make([]time.Duration, len(l.marks)), make([]time.Duration, len(l.marks))
	for i, m := range l.marks {
		results[i], ends[i] = m.result.Sub(m.sent), m.end.Sub(m.sent)
	}
	return paced{Rate: rate, Events: len(l.marks), ToResult: spreadOf(results), ToEnd: spreadOf(ends)}, nil
}

// stored is how many messages the streams took.
type stored struct {
	Events float64 `json:"events"`
	Jobs   float64 `json:"jobs"`
	Runs   float64 `json:"runs"`
}

func (f *flow) stored(ctx context.Context) (s stored, err error) {
	for name, to := range map[string]*float64{
		bus.StreamEvents: &s.Events, bus.StreamJobs: &s.Jobs, bus.StreamRuns: &s.Runs,
	} {
		stream, err := f.bus.Bus.JS.Stream(ctx, name)
		if err != nil {
			return s, fmt.Errorf("count what is stored: %w", err)
		}
		*to = float64(stream.CachedInfo().State.LastSeq)
	}
	return s, nil
}

func (s stored) minus(o stored) stored {
	return stored{s.Events - o.Events, s.Jobs - o.Jobs, s.Runs - o.Runs}
}

func (s stored) per(n int) stored {
	return stored{s.Events / float64(n), s.Jobs / float64(n), s.Runs / float64(n)}
}

func (s stored) sum() float64 { return s.Events + s.Jobs + s.Runs }

// synced are those that are synced one by one with the durability power: wake-ups are not.
func (s stored) synced() float64 { return s.Events + s.Runs }
