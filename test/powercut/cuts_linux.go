package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// cut is one cut and what was found after it.
type cut struct {
	First  bool // on its disk
	Number int
	System string
	After  time.Duration // under load before it
	// Acked are the events acknowledged under this load, Stored and Jobs what is in the store after all so far.
	Acked, Stored, Jobs int
	Restart             time.Duration // from the start to ready
	// Late counts the events that were acknowledged while the cut was made, and are not there.
	Late   int
	Faults []string
}

func (c cut) String() string {
	return strings.TrimSpace(fmt.Sprintf("cut %d, %s: after %s with %d events acknowledged; ready again in %s, %d events and %d jobs; %d faults, %d late\n%s",
		c.Number, c.System, c.After.Round(time.Millisecond), c.Acked, c.Restart.Round(time.Millisecond), c.Stored, c.Jobs, len(c.Faults), c.Late,
		strings.Join(c.Faults[:min(len(c.Faults), 10)], "\n")))
}

// report is all of them.
type report struct {
	settings
	Cuts []cut
}

func (r report) faults() []string {
	var all []string
	for _, c := range r.Cuts {
		all = append(all, c.Faults...)
	}
	return all
}

func (r report) String() string {
	var b strings.Builder
	for _, system := range r.Systems {
		var n, acked, jobs, last, faults, late int
		var slowest time.Duration
		for _, c := range r.Cuts {
			if c.System != system {
				continue
			}
			n++
			if c.First {
				jobs += last // of the disk before
			}
			acked, faults, last = acked+c.Acked, faults+len(c.Faults), c.Jobs
			late += c.Late
			slowest = max(slowest, c.Restart)
		}
		fmt.Fprintf(&b, "%s: %d cuts, %d events acknowledged, %d jobs, %d faults (and %d lost that were acknowledged during the cut), slowest start %s\n",
			system, n, acked, jobs+last, faults, late, slowest.Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "seed %d\n", r.Seed)
	return b.String()
}

// perDisk is how many cuts a disk gets before there is a new one. Nobody runs the jobs,
// and jet-bus judges no more events when 20,000 of them are open.
const perDisk = 3

// cutAll makes all cuts and tells each of them as it is done. Nothing is left behind.
func cutAll(ctx context.Context, s settings, tell func(cut)) (r report, err error) {
	r.settings = s
	dir, err := os.MkdirTemp("", "jet-bus-powercut-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	secret, err := build(ctx, dir)
	if err != nil {
		return r, err
	}
	for i, system := range s.Systems {
		n := s.Cuts/len(s.Systems) + min(1, max(0, s.Cuts%len(s.Systems)-i)) // the first get the rest
		random := rand.New(rand.NewPCG(s.Seed, uint64(i)))                   //nolint:gosec // to be repeated
		for ; n > 0; n -= perDisk {
			rig := &rig{dir: dir, system: system, load: &load{secret: secret, acked: map[string]int{}}}
			err := rig.cuts(ctx, min(n, perDisk), func() time.Duration { return time.Duration(random.Int64N(int64(s.Most))) }, func(c cut) {
				c.Number = len(r.Cuts) + 1
				r.Cuts = append(r.Cuts, c)
				tell(c)
			})
			if err != nil {
				return r, fmt.Errorf("%s: %w", system, err)
			}
		}
	}
	return r, nil
}

// rig is one disk with a jet-bus on it.
type rig struct {
	dir, system string
	load        *load
	volume      *volume
	process     *process
}

func (g *rig) cuts(ctx context.Context, n int, after func() time.Duration, tell func(cut)) (err error) {
	if g.volume, err = newVolume(ctx, g.dir, g.system); err != nil {
		return err
	}
	defer func() {
		if g.process != nil {
			g.process.kill()
			err = errors.Join(err, forget(g.process.data))
		}
		err = errors.Join(err, g.volume.remove(context.WithoutCancel(ctx)))
	}()
	if g.process, err = start(ctx, g.dir, g.volume); err != nil {
		return err
	}
	for i := range n {
		c, err := g.cut(ctx, after())
		if err != nil {
			return err
		}
		c.First = i == 0
		tell(c)
	}
	return nil
}

// cut cuts once, under load, and brings all up again.
func (g *rig) cut(ctx context.Context, after time.Duration) (c cut, err error) {
	c = cut{System: g.system, After: after}
	before := len(g.load.acknowledged())
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	var failed error
	wg.Go(func() { failed = g.load.run(loading, g.process) })
	select {
	case <-ctx.Done():
		return c, ctx.Err()
	case <-time.After(after):
	}
	// What is acknowledged from here on is not counted on: a sync that is under way while a file system is shut down
	// may be told that it succeeded, which a machine without power cannot be.
	acked := g.load.acknowledged()
	if err := g.volume.cut(); err != nil {
		return c, err
	}
	g.process.kill()
	stop()
	wg.Wait()
	if failed != nil && after > time.Second/4 { // else they may not have been connected yet
		return c, fmt.Errorf("load: %w", failed)
	}
	if err := g.volume.unmount(ctx); err != nil {
		return c, err
	}
	if err := g.volume.mount(ctx); err != nil {
		return c, err
	}
	if err := forget(g.process.data); err != nil {
		return c, err
	}
	c.Acked = len(acked) - before
	began := time.Now()
	if g.process, err = start(ctx, g.dir, g.volume); err != nil {
		return c, err
	}
	c.Restart = time.Since(began)
	var found map[string]int
	found, c.Jobs, c.Faults, err = check(ctx, g.process, acked)
	c.Stored = len(found)
	c.Late = g.load.settle(found, acked)
	return c, err
}

// forget empties what jet-bus keeps in memory for its store, as a cut does.
func forget(data string) error {
	links, err := filepath.Glob(filepath.Join(data, "js", "jetstream", "*", "streams", "*", "batches"))
	for _, link := range links {
		if dir, fault := os.Readlink(link); fault == nil { // else it is on the disk
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	if err != nil {
		return fmt.Errorf("empty the memory: %w", err)
	}
	return nil
}
