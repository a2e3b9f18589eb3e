package busserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrDamaged says that a block file does not hold what was written to it.
var ErrDamaged = errors.New("damaged")

// Scrub says what is checked, and how fast.
type Scrub struct {
	Dir   string        // the data directory
	Since time.Time     // not what was checked since and looks as it did
	Quiet time.Duration // not what has changed within this time
	Rate  int           // bytes a second
	Not   string        // not this stream
}

// Scrub checks the block files that the server does not write to any more, and notes
// in the ledger what they hold. It syncs each first. The server may run: what it
// changes or removes meanwhile is left for another time. It fails with [ErrDamaged]
// at the first block that has lost something. read is how many bytes it has read.
func (l Ledger) Scrub(ctx context.Context, s Scrub) (read int64, err error) {
	streams, err := list(s.Dir)
	if err != nil {
		return 0, err
	}
	var buf []byte
	for _, stream := range streams {
		for i, b := range stream.blocks {
			if stream.Stream == s.Not || b.last || !l.due(b, s) {
				continue
			}
			if buf, err = l.check(b, stream.blocks[i+1:], buf); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return read, err
			}
			read += int64(len(buf))
			select {
			case <-ctx.Done():
				return read, ctx.Err()
			case <-time.After(time.Duration(len(buf)) * time.Second / time.Duration(s.Rate)):
			}
		}
	}
	return read, nil
}

// due reports whether a block is to be read.
func (l Ledger) due(b *block, s Scrub) bool {
	now, err := look(b.name)
	changed := time.Unix(0, max(now.Modified, now.Changed))
	if err != nil || now.Size == 0 || time.Since(changed) < s.Quiet {
		return false // what is gone was deleted
	}
	c, ok := l[b.stream][b.number]
	return !ok || now != c.Look || c.At.Before(s.Since) || c.At.After(time.Now())
}

// check reads a block that others follow.
func (l Ledger) check(b *block, later []*block, buf []byte) ([]byte, error) {
	before, err := look(b.name)
	if err != nil {
		return buf, err
	}
	f, err := os.Open(b.name)
	if err != nil {
		return buf, fmt.Errorf("read stream %s: %w", b.stream, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	if err := f.Sync(); err != nil {
		return buf, fmt.Errorf("sync stream %s: %w", b.stream, err)
	}
	at := time.Now().UTC()
	if buf, err = b.readFrom(f, buf); err != nil {
		return buf, err
	}
	after, err := look(b.name)
	if err != nil || after != before {
		return buf, err
	}
	c := Checked{Held: b.held, Look: after, At: at, Whole: b.whole, flawed: b.sound < b.size}
	if c.flawed {
		switch lost, err := b.lost(later); {
		case err != nil:
			return buf, err
		case lost:
			return buf, fmt.Errorf("stream %s: %s is %w at byte %d", b.stream, filepath.Base(b.name), ErrDamaged, b.sound)
		}
	}
	l.set(b, c)
	return buf, nil
}

// lost reports whether a block may have had messages behind its last sound record,
// which is no matter of course: where the next message is the one after that, the
// record was of none.
func (b *block) lost(later []*block) (bool, error) {
	for _, next := range later {
		if _, err := next.read(nil); err != nil {
			return false, err
		}
		if next.held.First > 0 {
			return next.held.First > b.held.Last+1, nil
		}
	}
	return true, nil
}
