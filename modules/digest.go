package modules

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// digests remembers the checksums of this machine's files: what is copied to many
// hosts is read once.
var digests = digestCache{entries: map[string]*digest{}}

// maxDigests is how many files are remembered.
const maxDigests = 4096

// settled is how old a change of a file must be for its checksum to be kept: a
// second change may leave the same time behind.
const settled = 2 * time.Second

type digestCache struct {
	mu      sync.Mutex
	entries map[string]*digest
}

// digest is a file's checksum, and what the file looked like then.
type digest struct {
	// turn is held by the one who reads the file.
	turn chan struct{}
	info os.FileInfo
	sum  []byte
}

func (c *digestCache) entry(name string) *digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.entries[name]
	if !ok {
		if len(c.entries) >= maxDigests {
			clear(c.entries)
		}
		d = &digest{turn: make(chan struct{}, 1)}
		c.entries[name] = d
	}
	return d
}

// sum returns the SHA-256 of the file of that name.
func (c *digestCache) sum(ctx context.Context, name string) ([]byte, error) {
	d := c.entry(name)
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if d.info != nil && os.SameFile(d.info, info) && d.info.Size() == info.Size() && d.info.ModTime().Equal(info.ModTime()) {
		return d.sum, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, untilDone(ctx, f)); err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	sum := h.Sum(nil)
	d.info, d.sum = nil, nil
	if time.Since(info.ModTime()) > settled {
		d.info, d.sum = info, sum
	}
	return sum, nil
}
