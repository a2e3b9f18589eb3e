package busserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Advance makes the stream's next message the one after seq, and cuts its files
// down to what is sound in them. It returns the sequences that no message will have. No server may use the directory
// meanwhile.
//
// Sequences are promises: runners hold them as fences, consumers as the place
// where they are. A store that lost its end must not give them out again, and a
// server has no other way to skip them.
func (b Blocks) Advance(seq uint64) (Range, error) {
	skipped := Range{From: b.stored + 1, To: seq}
	index := filepath.Join(b.dir, "msgs", "index.db")
	if err := os.Remove(index); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return skipped, fmt.Errorf("drop the index of stream %s: %w", b.Stream, err)
	}
	for _, d := range b.cuts {
		if err := cut(d.File, d.Offset); err != nil {
			return skipped, fmt.Errorf("drop the damaged part of stream %s: %w", b.Stream, err)
		}
	}
	// What the server itself leaves when it knows a later sequence than its blocks:
	// a block with nothing in it but that one was deleted.
	n := 1
	if len(b.blocks) > 0 {
		n = b.blocks[len(b.blocks)-1].number + 1
	}
	r, err := newRecords(b.Stream, n, nil)
	if err != nil {
		return skipped, err
	}
	record := binary.LittleEndian.AppendUint32(nil, recordHead+recordHash)
	record = binary.LittleEndian.AppendUint64(record, seq|tombstoneBit)
	record = binary.LittleEndian.AppendUint64(record, uint64(time.Now().UnixNano()))
	record = binary.LittleEndian.AppendUint16(record, 0)
	_, _ = r.hash.Write(record[4:20])
	if err := writeSecret(b.file(n), r.hash.Sum(record)); err != nil {
		return skipped, fmt.Errorf("advance stream %s to %d: %w", b.Stream, seq, err)
	}
	return skipped, nil
}

// cut shortens a file, durably.
func cut(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}
