package busserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

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

// records goes through the records of one block.
type records struct {
	data   []byte
	offset int // of the record to come
	hash   *highwayhash.Digest64

	seq               uint64
	erased, tombstone bool
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
	_, _ = r.hash.Write(head[4:20]) // a hash takes everything
	_, _ = r.hash.Write(body[:subject])
	_, _ = r.hash.Write(rest)
	if r.hash.Sum64() != binary.LittleEndian.Uint64(sum) {
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
