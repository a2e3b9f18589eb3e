package busd

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// storeCheck is how often the store's health is looked at, storePatience how
	// long it may be bad before the process ends.
	storeCheck    = 5 * time.Second
	storePatience = 30 * time.Second
)

// hadStore reports whether the high water beside the store names streams.
func hadStore(dir string, accept bool) (bool, error) {
	h := &highWater{dir: dir, accept: accept}
	err := h.read()
	return len(h.record.Streams) > 0, err
}

// watchStore ends the process when the store has stopped working for good: after
// a write error, a full disk for one, it takes nothing until it is opened again.
// Whoever supervises the process starts it anew.
func (p *Process) watchStore(ctx context.Context) error {
	tick := time.NewTicker(storeCheck)
	defer tick.Stop()
	var since time.Time
	damaged := p.server.Damaged()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-damaged:
			damaged = nil
			p.log.Error("no more jobs are made: stop jet-bus, look after the disk, and restore a backup", slog.Any("err", p.server.Damage()))
			p.tellDamage(ctx)
			continue
		case <-tick.C:
			p.tellDamage(ctx)
		}
		err := p.server.Working()
		switch {
		case err == nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
			p.log.Error("the store takes no writes; is its disk full?", slog.Any("err", err))
		case time.Since(since) > storePatience:
			return fmt.Errorf("it took no writes for %s (is its disk full?): %w", storePatience, err)
		}
	}
}

// tellDamage says on the bus what is wrong with the store, for those who ask there.
func (p *Process) tellDamage(ctx context.Context) {
	damage := p.server.Damage()
	if damage == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeCheck)
	defer cancel()
	if err := p.Bus.TellDamage(ctx, damage.Error()); err != nil && ctx.Err() == nil {
		p.log.Warn("damage not told on the bus", slog.Any("err", err))
	}
}

// whileSound stops f for good once the server has met damaged data: what it would
// make of that, jobs or nothing, could be wrong. The process goes on, so that its
// state can be asked for.
func (p *Process) whileSound(what string, f func(context.Context) error) func(context.Context) error {
	if p.server == nil {
		return f // an external bus looks after its own store
	}
	return func(ctx context.Context) error {
		work, stop := context.WithCancel(ctx)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- f(work) }()
		select {
		case err := <-ended:
			return err
		case <-p.server.Damaged():
			stop()
			if err := <-ended; err != nil {
				return err
			}
			p.log.Warn("the store is damaged", slog.String("stopped", what))
			<-ctx.Done()
			return nil
		}
	}
}

// noteEnd writes down how far the store got, at the end of the work.
func (p *Process) noteEnd(ctx context.Context) {
	if p.water == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := p.water.note(ctx, p.Bus, false); err != nil {
		p.log.Warn("the high water of the store is not written down", slog.Any("err", err))
	}
}
