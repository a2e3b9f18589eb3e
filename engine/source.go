package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// maxSources is how many files are remembered.
const maxSources = 4096

// settled is how old a change of a file must be for its checksum to be kept: a
// second change may leave the same time behind.
const settled = 2 * time.Second

// sources remembers the checksums of this machine's files, as long as they do not
// change: what is copied to many hosts is read once. The zero value is ready to use.
type sources struct {
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

func (s *sources) entry(name string) *digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = map[string]*digest{}
	}
	d, ok := s.entries[name]
	if !ok {
		if len(s.entries) >= maxSources {
			clear(s.entries)
		}
		d = &digest{turn: make(chan struct{}, 1)}
		s.entries[name] = d
	}
	return d
}

// sum returns the SHA-256 of the file of that name.
func (s *sources) sum(ctx context.Context, name string) ([]byte, error) {
	d := s.entry(name)
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
	untilDone := readFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return f.Read(p)
	})
	if _, err := io.Copy(h, untilDone); err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	sum := h.Sum(nil)
	d.info, d.sum = nil, nil
	if time.Since(info.ModTime()) > settled {
		d.info, d.sum = info, sum
	}
	return sum, nil
}

// readFunc is a reader that is a function.
type readFunc func([]byte) (int, error)

// Read implements [io.Reader].
func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// SourceSum returns the SHA-256 of a local file. A file is read once for all hosts
// of a run unless it changes.
func (h *Host) SourceSum(ctx context.Context, name string) ([]byte, error) {
	if h.run == nil { // a host outside of a run
		return new(sources).sum(ctx, name)
	}
	return h.run.sources.sum(ctx, name)
}
