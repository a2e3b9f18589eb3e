package files

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// mostCursor is how many bytes of JSON a cursor may take for another file to be taken
// in: a little less than can be saved, since to forget a file may lengthen it.
const mostCursor = 496 << 10

// mark tells the states of a file apart, in few bytes that every file takes alike.
type mark struct {
	state uint64 // of size and modification time
	inode uint32
}

const markSize = 12

func (s stat) mark() mark {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(s.size))      //nolint:gosec // only to be told apart
	binary.BigEndian.PutUint64(b[8:], uint64(s.modified)) //nolint:gosec // likewise
	sum := sha256.Sum256(b[:])
	return mark{state: binary.BigEndian.Uint64(sum[:]), inode: uint32(s.inode ^ s.inode>>32)} //nolint:gosec // likewise
}

// cursor is what a source remembers.
type cursor struct {
	// For is what the cursor is of.
	For string `json:"for"`
	// Count grows with each look that told something. It is part of the ids of events, so
	// that a file that comes again as it was before is another event.
	Count int64 `json:"count"`
	At    place `json:"at"`
	// Paths are the paths, sorted, each ended by a zero byte, compressed; Marks are their
	// marks in the same order.
	Paths []byte `json:"paths"`
	Marks []byte `json:"marks"`
}

// pack writes the known files into the cursor.
func (c *cursor) pack(known map[string]mark) error {
	var paths bytes.Buffer
	w, err := flate.NewWriter(&paths, flate.DefaultCompression)
	if err != nil {
		return err
	}
	c.Marks = make([]byte, 0, markSize*len(known))
	for _, p := range slices.Sorted(maps.Keys(known)) {
		if _, err := io.WriteString(w, p+"\x00"); err != nil {
			return err
		}
		c.Marks = binary.BigEndian.AppendUint64(c.Marks, known[p].state)
		c.Marks = binary.BigEndian.AppendUint32(c.Marks, known[p].inode)
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Paths = paths.Bytes()
	return nil
}

// unpack returns the known files.
func (c *cursor) unpack() (map[string]mark, error) {
	const longest = 4096 // bytes of a path
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(c.Paths)), most*(longest+1)))
	if err != nil {
		return nil, fmt.Errorf("reading the paths: %w", err)
	}
	paths := strings.SplitAfter(string(text), "\x00")
	paths = paths[:len(paths)-1] // nothing follows the last
	if len(paths)*markSize != len(c.Marks) {
		return nil, errors.New("the paths and the marks do not belong together")
	}
	known := make(map[string]mark, len(paths))
	for i, p := range paths {
		m := c.Marks[i*markSize:]
		known[strings.TrimSuffix(p, "\x00")] = mark{binary.BigEndian.Uint64(m), binary.BigEndian.Uint32(m[8:])}
	}
	return known, nil
}

// size is how many bytes the cursor takes as JSON, at the most.
func (c *cursor) size() int {
	return (len(c.Paths)+2)/3*4 + (len(c.Marks)+2)/3*4 + 6*len(c.For) + 256
}

// room returns how many of the new files, the first of the list, may become known
// beside those that are; these are in the cursor too.
func room(c cursor, known map[string]mark, fresh []string) int {
	const slack = 2 << 10 // a cursor that is full is not tried at each look
	fresh = fresh[:min(len(fresh), max(0, most-len(known)))]
	if len(fresh) == 0 || c.size() > mostCursor-slack {
		return 0
	}
	fits := func(n int) bool {
		all := maps.Clone(known)
		for _, p := range fresh[:n] {
			all[p] = mark{}
		}
		return c.pack(all) == nil && c.size() <= mostCursor
	}
	if fits(len(fresh)) {
		return len(fresh)
	}
	low, high := 0, len(fresh) // low fits or is 0, high does not
	for high-low > 1 {
		if mid := (low + high) / 2; fits(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
