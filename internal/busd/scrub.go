package busd

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

const (
	// scrubEvery is how often block files to be checked are looked for, scrubAgain
	// how long a check of a file that does not change is good for.
	scrubEvery = 10 * time.Second
	scrubAgain = 7 * 24 * time.Hour
	// scrubQuiet is for how long a file must not have changed: the server may still
	// be at it, and the clock of a file system ticks slowly.
	scrubQuiet = 10 * time.Second
	// scrubRate is how much is read, in bytes a second: little beside the work.
	scrubRate = 32 << 20
	// scrubMuch is from how many bytes on memory is given back after a check.
	scrubMuch = 64 << 20
)

// scrub reads block files beside the work until ctx ends, and tells suspect of
// damage: all of them after the start, which trusts what was seen before, each new
// one when the server has left it, and any again after a week.
func (h *highWater) scrub(ctx context.Context, suspect func(string)) error {
	started := time.Now()
	tick := time.NewTicker(scrubEvery)
	defer tick.Stop()
	for {
		what := busserver.Scrub{
			Dir: h.dir, Since: time.Now().Add(-scrubAgain), Quiet: scrubQuiet, Rate: scrubRate,
			Not: bus.StreamJobs, // what is lost of the wake-ups is sent again
		}
		if what.Since.Before(started) {
			what.Since = started
		}
		read, err := h.ledger.Scrub(ctx, what)
		if read >= scrubMuch {
			debug.FreeOSMemory() // by itself the runtime keeps what that took for minutes
		}
		switch {
		case errors.Is(err, busserver.ErrDamaged), errors.Is(err, syscall.EIO):
			suspect(err.Error())
			<-ctx.Done()
			return nil
		case err != nil && ctx.Err() == nil:
			h.log.Warn("the store is not checked", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
