package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// havoc makes the faults of a plan.
type havoc struct {
	in   *installation
	note io.Writer

	mu   sync.Mutex
	done []done
	errs []error
}

// make makes the faults, each at its time, and none when limit has passed; zero is no limit. While a part
// is busy with a fault, the next one for it waits, and those after it do.
func (h *havoc) make(ctx context.Context, faults []fault, limit time.Duration) ([]done, error) {
	start := now()
	var shift time.Duration
	var wg sync.WaitGroup
	for i, f := range faults {
		if limit > 0 && shift+f.At > limit || !pause(ctx, start+shift+f.At-now()) {
			break
		}
		before := now()
		parts := h.targets(f)
		for _, p := range parts {
			p.held.Lock()
			p.running(ctx)
		}
		shift += now() - before
		if i%50 == 49 {
			_, _ = fmt.Fprintf(h.note, "chaos: %d of %d faults, %s\n", i+1, len(faults), (now() - start).Round(time.Second))
		}
		wg.Go(func() {
			d := done{Fault: f, From: now()}
			err := h.do(ctx, f, parts)
			d.To = now()
			for _, p := range parts {
				p.held.Unlock()
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.done = append(h.done, d)
			if err != nil {
				h.errs = append(h.errs, fmt.Errorf("%s: %w", f, err))
			}
		})
	}
	wg.Wait()
	slices.SortFunc(h.done, func(a, b done) int { return int(a.From - b.From) })
	return h.done, errors.Join(h.errs...)
}

// targets returns the parts a fault is for, always in the same order.
func (h *havoc) targets(f fault) []*process {
	return slices.DeleteFunc(h.in.parts(), func(p *process) bool { return f.Target != p.name && f.Target != allName })
}

// do makes one fault, and returns when it is over.
func (h *havoc) do(ctx context.Context, f fault, parts []*process) error {
	p := parts[0]
	// What has been begun is healed even when the run is given up.
	heal := context.WithoutCancel(ctx)
	switch f.Kind {
	case killBus, killRunner, killSSHD, killAll:
		for _, p := range parts {
			if slices.Contains(h.in.hosts, p) {
				killSessions(p.pid())
			}
			p.signal(unix.SIGKILL, f.For)
		}
		pause(ctx, f.For)
	case termBus, drainRunner:
		p.signal(unix.SIGTERM, f.For)
		pause(ctx, f.For)
	case stopBus, stopRunner:
		p.signal(unix.SIGSTOP, 0)
		pause(ctx, f.For)
		p.signal(unix.SIGCONT, 0)
	case cutRunner:
		if err := plug(ctx, p.name, false); err != nil {
			return err
		}
		pause(ctx, f.For)
		return plug(heal, p.name, true)
	case jumpBus, jumpRunner:
		return setClock(h.in.clock(p.name), f.Jump)
	case fillDisk:
		return h.fill(ctx, f.For)
	}
	return nil
}

// fill fills the disk of the store, and frees it. jet-bus then ends itself, or has to be ended.
func (h *havoc) fill(ctx context.Context, d time.Duration) error {
	name := filepath.Join(h.in.dir, "disk", "filler")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	free := int64(st.Bavail) * st.Bsize //nolint:gosec // no disk has more blocks than an int64
	err = unix.Fallocate(int(f.Fd()), 0, 0, free-64<<10)
	block := make([]byte, 4<<10)
	for err == nil {
		_, err = f.Write(block) // until nothing fits
	}
	if !errors.Is(err, unix.ENOSPC) {
		return errors.Join(err, os.Remove(name))
	}
	before := h.in.bus.pid()
	pause(ctx, d)
	if err := os.Remove(name); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// A store that has met the full disk takes nothing until it is opened again, and jet-bus ends after
	// half a minute of that. One that has not met it goes on.
	limit := now() + fullFor
	for now() < limit && h.in.bus.pid() == before && pause(ctx, 200*time.Millisecond) {
		if h.in.healthy(ctx) {
			return nil
		}
	}
	return nil
}

// fullFor is how long jet-bus has to end itself after its disk was full.
const fullFor = 45 * time.Second

// calm sets right what a fault may have left: clocks.
func (h *havoc) calm() error {
	var errs []error
	for _, p := range h.in.parts() {
		errs = append(errs, setClock(h.in.clock(p.name), 0))
	}
	return errors.Join(errs...)
}
