package busserver

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// block is one block file.
type block struct {
	stream string
	number int
	name   string
	whole  bool // of a whole stream
	last   bool // the stream's last, which the server writes to

	held    Held
	size    int  // in bytes
	sound   int  // in bytes, from the beginning
	resumes bool // behind what is not sound something is
}

// Held is what the sound records of a block hold.
type Held struct {
	// First and Stored are the sequences of the first and of the last message, 0
	// without any. Last is the last sequence that was given out: what was deleted
	// had been given out as well.
	First  uint64 `json:"first,omitempty"`
	Stored uint64 `json:"stored,omitempty"`
	Last   uint64 `json:"last,omitempty"`
	// Gaps are the sequences between the first and the last message that a block
	// of a whole stream lacks.
	Gaps []Range `json:"gaps,omitempty"`
}

func (h *Held) add(r *records, whole bool) {
	h.Last = max(h.Last, r.seq)
	if !r.stored() {
		return
	}
	switch {
	case h.First == 0:
		h.First = r.seq
	case whole && r.seq > h.Stored+1:
		h.Gaps = append(h.Gaps, Range{From: h.Stored + 1, To: r.seq - 1})
	}
	h.Stored = max(h.Stored, r.seq)
}

// maxReaders bounds how many blocks are in memory at a time.
const maxReaders = 4

// readAll reads blocks side by side.
func readAll(blocks []*block) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, min(runtime.GOMAXPROCS(0), maxReaders, len(blocks)))
	for i := range errs {
		wg.Go(func() {
			var buf []byte
			for errs[i] == nil {
				n := int(next.Add(1)) - 1
				if n >= len(blocks) {
					return
				}
				buf, errs[i] = blocks[n].read(buf)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads and checks all of a block. It uses buf if that is large enough, and
// returns what it used.
func (b *block) read(buf []byte) ([]byte, error) {
	f, err := os.Open(b.name)
	if err != nil {
		return buf, fmt.Errorf("read stream %s: %w", b.stream, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	return b.readFrom(f, buf)
}

func (b *block) readFrom(f *os.File, buf []byte) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return buf, fmt.Errorf("read stream %s: %w", b.stream, err)
	}
	buf = slices.Grow(buf[:0], int(info.Size()))[:info.Size()]
	if _, err := io.ReadFull(f, buf); err != nil {
		return buf, fmt.Errorf("read stream %s: %s: %w", b.stream, b.name, err)
	}
	r, err := newRecords(b.stream, b.number, buf)
	if err != nil {
		return buf, err
	}
	b.held = Held{}
	for r.next() {
		b.held.add(r, b.whole)
	}
	b.size, b.sound = len(buf), r.offset
	b.resumes = b.last && b.sound < b.size && r.resumes()
	return buf, nil
}
