package busserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"
)

// The server's block files, as of 2.10: records one after the other, each with a
// hash of its own. It checks them lazily, and where it does look, it cuts a block
// off at the first bad byte and says nothing. So they are read here before it
// opens them, and nothing is changed.
const (
	recordHead = 22 // length, sequence, time, length of the subject
	recordHash = 8
	recordMax  = 32 << 20

	headersBit   = 1 << 31 // in the length: the record has headers
	erasedBit    = 1 << 63 // in the sequence: only the number is kept
	tombstoneBit = 1 << 62 // in the sequence: this message was deleted
)

// Range is a run of sequences, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Damage is a place where a stream's files do not hold what was written.
type Damage struct {
	// File is the block file, Offset where in it the first bad record begins.
	File   string
	Offset int64
	// Lost are the sequences that it and what follows in its block may have had.
	// Its To is 0 where that block is the last: nobody knows how far it went.
	Lost Range
}

// Blocks is what the files of one stream hold.
type Blocks struct {
	Stream string
	// MaxAge is how long messages are kept, 0 for ever.
	MaxAge time.Duration
	// Whole is true for a stream that nothing is ever deleted from but by age:
	// between its first and its last sequence there must be no gap.
	Whole bool
	// First is the sequence of the first message, 0 without any. Last is the last
	// sequence that was given out, as far as the files tell.
	First, Last uint64
	// Gaps are the sequences that a whole stream lacks.
	Gaps   []Range
	Damage []Damage
	// Torn is the size of a record that was not written to its end, and which
	// nothing follows: what is left of a write that a crash cut off. Offset and
	// file are those of its beginning.
	Torn *Damage

	// Unknown is true if there are blocks and no configuration that can be read: the
	// server would leave the stream out.
	Unknown bool

	dir    string
	blocks []int    // their numbers, rising
	stored uint64   // sequence of the last message
	cuts   []Damage // where each block that is not sound to its end goes wrong
}

// Remove removes the stream. No server may use the store.
func (b Blocks) Remove() error {
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("remove stream %s: %w", b.Stream, err)
	}
	return nil
}

// Inspect reads the files of all streams in a data directory, which no server may
// use meanwhile. A directory without a store has none. It fails if a file cannot
// be read; what is wrong in them is part of the result.
func Inspect(dir string) ([]Blocks, error) {
	dirs, err := filepath.Glob(filepath.Join(dir, "js", "jetstream", "*", "streams", "*"))
	if err != nil {
		return nil, fmt.Errorf("look for streams in %s: %w", dir, err)
	}
	var out []Blocks
	for _, d := range dirs {
		b := Blocks{Stream: filepath.Base(d), dir: d}
		if err := b.configuration(); err != nil {
			return nil, err
		}
		if err := b.read(); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// configuration reads what the checks need.
func (b *Blocks) configuration() error {
	data, err := os.ReadFile(filepath.Join(b.dir, "meta.inf"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read configuration of stream %s: %w", b.Stream, err)
	}
	var conf struct {
		MaxAge     time.Duration `json:"max_age"`
		PerSubject int64         `json:"max_msgs_per_subject"`
		DenyDelete bool          `json:"deny_delete"`
		DenyPurge  bool          `json:"deny_purge"`
	}
	b.Unknown = json.Unmarshal(data, &conf) != nil
	b.MaxAge = conf.MaxAge
	b.Whole = conf.DenyDelete && conf.DenyPurge && conf.PerSubject <= 0
	return nil
}

func (b *Blocks) read() error {
	files, err := os.ReadDir(filepath.Join(b.dir, "msgs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read stream %s: %w", b.Stream, err)
	}
	for _, f := range files {
		if number, ok := strings.CutSuffix(f.Name(), ".blk"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				b.blocks = append(b.blocks, n)
			}
		}
	}
	slices.Sort(b.blocks)
	open := -1 // the damage whose end is not known yet
	for i, n := range b.blocks {
		data, err := os.ReadFile(b.file(n))
		if err != nil {
			return fmt.Errorf("read stream %s: %w", b.Stream, err)
		}
		r, err := newRecords(b.Stream, n, data)
		if err != nil {
			return err
		}
		for r.next() {
			if open >= 0 && r.stored() {
				b.until(open, r.seq-1)
				open = -1
			}
			b.add(r)
		}
		last := i == len(b.blocks)-1
		if r.offset == len(data) && (last || len(data) > 0) { // an empty block is taken away
			continue
		}
		d := Damage{File: b.file(n), Offset: int64(r.offset), Lost: Range{From: b.Last + 1}}
		b.cuts = append(b.cuts, d)
		if last && !r.resumes() {
			b.Torn = &d
			continue
		}
		if open < 0 { // else nothing sound is between it and the one before
			b.Damage = append(b.Damage, d)
			open = len(b.Damage) - 1
		}
	}
	return nil
}

// until sets the end of what a damage may have cost. It is none if nothing is missing.
func (b *Blocks) until(damage int, last uint64) {
	d := &b.Damage[damage]
	if d.Lost.To = last; last < d.Lost.From {
		b.Damage = slices.Delete(b.Damage, damage, damage+1)
	}
}

func (b *Blocks) file(n int) string { return filepath.Join(b.dir, "msgs", strconv.Itoa(n)+".blk") }

func (b *Blocks) add(r *records) {
	b.Last = max(b.Last, r.seq) // what was deleted had been given out as well
	if !r.stored() {
		return
	}
	switch {
	case b.First == 0:
		b.First = r.seq
	case b.Whole && r.seq > b.stored+1:
		b.Gaps = append(b.Gaps, Range{From: b.stored + 1, To: r.seq - 1})
	}
	b.stored = max(b.stored, r.seq)
}

// records goes through the records of one block.
type records struct {
	data   []byte
	offset int // of the record to come
	hash   hash64

	seq               uint64
	erased, tombstone bool
}

// hash64 is the part of a hash that is used here.
type hash64 interface {
	Reset()
	Write(p []byte) (int, error)
	Sum(b []byte) []byte
}

func newRecords(stream string, block int, data []byte) (*records, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, block))
	h, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return &records{data: data, hash: h}, nil
}

// stored reports whether the record is a message.
func (r *records) stored() bool { return !r.erased && !r.tombstone }

// next reads the next record. It returns false at the end, and before a record
// that is not as it was written.
func (r *records) next() bool {
	n := r.sound(r.offset)
	if n == 0 {
		return false
	}
	seq := binary.LittleEndian.Uint64(r.data[r.offset+4:])
	r.erased, r.tombstone = seq&erasedBit != 0, seq&tombstoneBit != 0
	r.seq = seq &^ (erasedBit | tombstoneBit)
	r.erased = r.erased || r.seq == 0
	r.offset += n
	return true
}

// sound returns the length of the record at an offset, 0 if there is none.
func (r *records) sound(at int) int {
	if at+recordHead+recordHash > len(r.data) {
		return 0
	}
	head := r.data[at : at+recordHead]
	length := binary.LittleEndian.Uint32(head)
	n := int(length &^ headersBit)
	subject := int(binary.LittleEndian.Uint16(head[20:]))
	if n > recordMax || n > len(r.data)-at || recordHead+subject+recordHash > n {
		return 0
	}
	body, sum := r.data[at+recordHead:at+n-recordHash], r.data[at+n-recordHash:at+n]
	rest := body[subject:]
	if length&headersBit != 0 {
		if len(rest) < 4 || !headed(rest) {
			return 0
		}
		rest = rest[4:]
	}
	r.hash.Reset()
	for _, part := range [][]byte{head[4:20], body[:subject], rest} {
		_, _ = r.hash.Write(part) // a hash takes everything
	}
	if !bytes.Equal(r.hash.Sum(nil), sum) {
		return 0
	}
	return n
}

// headed checks where the headers end, which the record's hash does not cover.
func headed(rest []byte) bool {
	size := int(binary.LittleEndian.Uint32(rest))
	if size > len(rest)-4 {
		return false
	}
	h := rest[4 : 4+size]
	return bytes.HasPrefix(h, []byte("NATS/1.0")) && bytes.HasSuffix(h, []byte("\r\n\r\n"))
}

// resumes reports whether a sound record begins anywhere after the bad one: then
// that is no write that was cut off.
func (r *records) resumes() bool {
	for at := r.offset + 1; at+recordHead+recordHash <= len(r.data); at++ {
		if r.sound(at) > 0 {
			return true
		}
	}
	return false
}
