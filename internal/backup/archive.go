package backup

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
)

// magic begins a copy as servers since 2.15 make it: entries, each a few numbers, a
// name and a body. Those before sent the files of their store as a tar.
const magic = "NATSARC1"

// maxName bounds the name of an entry, which is a subject, in bytes.
const maxName = 64 << 10

// errNotWhole says that a copy breaks off.
var errNotWhole = errors.New("it breaks off")

// Range is sequences, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// contents is what messages a copy holds.
type contents struct {
	// counted is false for the form of servers before 2.15, which check their store
	// themselves before they copy it.
	counted  bool
	messages uint64
	first    uint64
	last     uint64
	gaps     []Range // between first and last
}

// add takes note of a message.
func (c *contents) add(seq uint64) {
	if c.messages == 0 {
		c.first = seq
	} else if seq > c.last+1 {
		c.gaps = append(c.gaps, Range{From: c.last + 1, To: seq - 1})
	}
	c.messages++
	c.last = seq
}

// examine reads the copy of a stream to its end and finds out whether that is the
// end the server wrote. What it cannot see is whether the server had all of the
// stream: it leaves out what it cannot read. See [Stream.complete].
func (s Stream) examine(r io.Reader) error {
	_, err := s.contents(r)
	return err
}

// contents is examine, and says what is in the copy.
func (s Stream) contents(r io.Reader) (c contents, err error) {
	br := bufio.NewReader(s2.NewReader(r))
	begin, err := br.Peek(len(magic))
	if err != nil {
		return c, whole(err)
	}
	if string(begin) != magic {
		return c, examineFiles(br)
	}
	if _, err := br.Discard(len(magic)); err != nil {
		return c, err
	}
	c.counted = true
	return c, s.examineEntries(br, c.add)
}

// examineFiles reads a tar to its end.
func examineFiles(r io.Reader) error {
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		hdr, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case err != nil:
			return whole(err)
		case hdr.Typeflag != tar.TypeReg:
			return fmt.Errorf("it holds %q, which is not a regular file", hdr.Name)
		}
	}
}

// entry is the head of one entry.
type entry struct {
	name   string
	seq    uint64
	length uint64
	// last means that all of it is zero: the mark at the end.
	last bool
}

func (s Stream) examineEntries(br *bufio.Reader, found func(seq uint64)) error {
	first, err := readEntry(br)
	if err != nil {
		return whole(err)
	}
	var state struct {
		LastSeq   uint64 `json:"last_seq"`
		Consumers int    `json:"consumer_count"`
	}
	if first.name != "state.json" || first.length > maxSmall {
		return errors.New("it does not begin with the stream's state")
	}
	text := make([]byte, first.length)
	if _, err := io.ReadFull(br, text); err != nil {
		return whole(err)
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return fmt.Errorf("decode the stream's state: %w", err)
	}
	if state.LastSeq != s.LastSeq {
		return fmt.Errorf("it goes to sequence %d and the manifest says %d", state.LastSeq, s.LastSeq)
	}
	var seq uint64
	for {
		e, err := readEntry(br)
		switch {
		case err != nil:
			return whole(err)
		case e.last:
			return nil
		case e.seq == 0: // a consumer
			state.Consumers--
		case e.seq <= seq || e.seq > s.LastSeq || state.Consumers != 0:
			return fmt.Errorf("message %d is in a wrong place", e.seq)
		default:
			seq = e.seq
			found(seq)
		}
		if _, err := io.CopyN(io.Discard, br, int64(e.length)); err != nil { //nolint:gosec // readEntry bounds it
			return whole(err)
		}
	}
}

func readEntry(br *bufio.Reader) (e entry, err error) {
	var v [5]uint64 // length of the name, time, sequence, lengths of headers and body
	zero := true
	for i := range v {
		if v[i], err = binary.ReadUvarint(br); err != nil {
			return e, err
		}
		zero = zero && v[i] == 0
	}
	const most = 1 << 40
	if v[0] > maxName || v[3] > most || v[4] > most {
		return e, errors.New("an entry has an impossible size")
	}
	name := make([]byte, v[0])
	if _, err := io.ReadFull(br, name); err != nil {
		return e, err
	}
	return entry{name: string(name), seq: v[2], length: v[3] + v[4], last: zero}, nil
}

// whole turns an end that came too early into the error for that.
func whole(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNotWhole
	}
	return err
}
