package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

// process is what was measured of jet-bus as a process, in its default durability. Times are in seconds,
// from its start until it answers that it is healthy.
type process struct {
	Stored int    `json:"stored"`
	Store  int64  `json:"store_bytes"`
	Idle   memory `json:"idle"`
	// Busy is how much of a core the process takes while it is idle.
	Busy  float64 `json:"idle_cores"`
	Stop  extent  `json:"stop_s"`
	Clean extent  `json:"start_after_stop_s"`
	Kill  extent  `json:"start_after_kill_s"`
	// PerGiB is the median of Kill for each GiB of the store.
	PerGiB float64 `json:"start_after_kill_s_per_gib"`
}

// freshEvents is how many events come before each kill: enough for what the server notes of its
// files now and then to be out of date, so that it has to read them.
const freshEvents = 100

// measureProcess measures one process over a backlog, in dir.
func measureProcess(ctx context.Context, s settings, dir, binary string, b *backlog) (p process, err error) {
	p.Stored = b.events
	d := &daemon{binary: binary, content: filepath.Join(dir, "content"), data: filepath.Join(dir, dataDir)}
	if err := writeContent(d.content); err != nil {
		return p, err
	}
	if err := b.copyTo(ctx, dir); err != nil {
		return p, err
	}
	if _, err := d.start(ctx); err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, d.kill()) }()
	if err := d.stop(); err != nil { // what only the first start makes is there now
		return p, err
	}
	if err := d.idle(ctx, s, &p); err != nil {
		return p, err
	}
	var stops, cleans, kills []float64
	for range s.Restarts {
		begin := time.Now()
		if err := d.stop(); err != nil {
			return p, err
		}
		stops = append(stops, time.Since(begin).Seconds())
		took, err := d.start(ctx)
		if err != nil {
			return p, err
		}
		cleans = append(cleans, took.Seconds())
	}
	for i := range s.Restarts {
		if err := d.feed(ctx, i); err != nil {
			return p, err
		}
		if err := d.kill(); err != nil {
			return p, err
		}
		took, err := d.start(ctx)
		if err != nil {
			return p, err
		}
		kills = append(kills, took.Seconds())
	}
	p.Stop, p.Clean, p.Kill = extentOf(stops), extentOf(cleans), extentOf(kills)
	p.PerGiB = p.Kill.Median / (float64(p.Store) / (1 << 30))
	return p, d.stop()
}

// idle starts the process, leaves it alone and sees what it takes.
func (d *daemon) idle(ctx context.Context, s settings, p *process) (err error) {
	if _, err = d.start(ctx); err != nil {
		return err
	}
	// What the start leaves to do is done in the first half.
	var before time.Duration
	var began time.Time
	for range 2 {
		began = time.Now()
		if before, err = d.cpu(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(s.Idle / 2):
		}
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	p.Busy = (after - before).Seconds() / time.Since(began).Seconds()
	if p.Idle, err = d.memory(); err != nil {
		return err
	}
	p.Store, err = storeBytes(d.data)
	return err
}

// feed has the process take events in and judge them. round makes their ids.
func (d *daemon) feed(ctx context.Context, round int) (err error) {
	a, err := access.ReadAddress(d.data)
	if err != nil {
		return err
	}
	keys, err := busserver.OpenKeys(filepath.Join(d.data, "keys"))
	if err != nil {
		return err
	}
	b, err := connect(ctx, keys, a.Bus, busserver.RoleBus, "feed")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(context.WithoutCancel(ctx), []*bus.Bus{b})) }()
	var last bus.PubAck
	for i := range freshEvents {
		e, err := ingestEvent(fmt.Sprintf("fresh-%d-%d", round, i))
		if err != nil {
			return err
		}
		if last, err = b.PublishEvent(ctx, bus.ClassExternal, e); err != nil {
			return err
		}
	}
	return awaitJudged(ctx, b, last.Seq)
}
