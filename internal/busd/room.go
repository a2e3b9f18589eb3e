package busd

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// defaultStore is what a new store may take, minStore the least that is worth
	// starting with.
	defaultStore = 4 << 30
	minStore     = 32 << 20
)

// limits divides what the store may take among the streams: a quarter for events,
// half for what becomes of them, the rest for wake-ups, content and overhead. It
// is decided when the store is made: a disk that others fill later must not make
// the bus refuse to start with what it has promised to keep.
func (p *Process) limits(ctx context.Context) (bus.Limits, error) {
	size := p.o.MaxStore
	if size == 0 {
		_, err := p.Bus.JS.Stream(ctx, bus.StreamEvents)
		switch {
		case err == nil:
			return bus.Limits{}, nil
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return bus.Limits{}, fmt.Errorf("look up stream %s: %w", bus.StreamEvents, err)
		}
		free, err := room(p.o.Data)
		if err != nil {
			return bus.Limits{}, err
		}
		size = min(defaultStore, free/4*3)
	}
	if size < minStore {
		return bus.Limits{}, fmt.Errorf("too little room for a store: %s may take %d MiB, and %d MiB is the least; free some, or choose another --data or --max-store",
			p.o.Data, size>>20, minStore>>20)
	}
	var l bus.Limits
	l.EventsMaxBytes, l.RunsMaxBytes = share(size)
	return l, nil
}

// share divides the bytes of a store between the two streams that grow.
func share(size int64) (events, runs int64) { return size / 4, size / 2 }

// room returns how many bytes are free for us on the disk of a directory.
func room(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("see how much room %s has: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil //nolint:gosec // no disk has more blocks than an int64
}
