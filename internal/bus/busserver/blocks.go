package busserver

import (
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
	blocks []*block // the oldest first
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

// Inspect says what the files of all streams in a data directory hold, which no
// server may use meanwhile. It reads those that do not look as they did when they
// were checked for the ledger; with none, that is all of them. The keys must be there;
// without a store there are no streams. It fails if a file cannot be read; what is wrong in them
// is part of the result.
func Inspect(dir string, checked Ledger) ([]Blocks, error) {
	out, err := list(dir)
	if err != nil {
		return nil, err
	}
	var unknown []*block
	for i := range out {
		known := out[i].known(checked)
		for _, b := range out[i].blocks {
			c, ok := known[b.number]
			if !ok || !c.trusted(b) {
				unknown = append(unknown, b)
				continue
			}
			b.held, b.size, b.sound = c.Held, int(c.Look.Size), int(c.Look.Size)
		}
	}
	if err := readAll(unknown); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].combine()
	}
	return out, nil
}

// list names the streams of a data directory, those of the account of its keys, and
// their block files.
func list(dir string) ([]Blocks, error) {
	account, err := accountOf(dir)
	if err != nil {
		return nil, fmt.Errorf("look for streams in %s: %w", dir, err)
	}
	streams, err := entries(storeDir(dir, account))
	if err != nil {
		return nil, err
	}
	out := make([]Blocks, len(streams))
	for i, name := range streams {
		b := &out[i]
		b.Stream, b.dir = name, filepath.Join(storeDir(dir, account), name)
		if err := b.configuration(); err != nil {
			return nil, err
		}
		files, err := os.ReadDir(filepath.Join(b.dir, "msgs"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read stream %s: %w", b.Stream, err)
		}
		for _, f := range files {
			if number, ok := strings.CutSuffix(f.Name(), ".blk"); ok {
				if n, err := strconv.Atoi(number); err == nil {
					b.blocks = append(b.blocks, &block{stream: b.Stream, number: n, name: b.file(n), whole: b.Whole})
				}
			}
		}
		slices.SortFunc(b.blocks, func(a, b *block) int { return a.number - b.number })
		if n := len(b.blocks); n > 0 {
			b.blocks[n-1].last = true
		}
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

// combine puts together what the stream's blocks hold.
func (b *Blocks) combine() {
	open := -1 // the damage whose end is not known yet
	for _, k := range b.blocks {
		if open >= 0 && k.held.First > 0 {
			b.until(open, k.held.First-1)
			open = -1
		}
		b.add(k.held)
		if k.sound == k.size && (k.last || k.size > 0) { // an empty block is taken away
			continue
		}
		d := Damage{File: k.name, Offset: int64(k.sound), Lost: Range{From: b.Last + 1}}
		b.cuts = append(b.cuts, d)
		if k.last && !k.resumes {
			b.Torn = &d
			continue
		}
		if open < 0 { // else nothing sound is between it and the one before
			b.Damage = append(b.Damage, d)
			open = len(b.Damage) - 1
		}
	}
}

// until sets the end of what a damage may have cost. It is none if nothing is missing.
func (b *Blocks) until(damage int, last uint64) {
	d := &b.Damage[damage]
	if d.Lost.To = last; last < d.Lost.From {
		b.Damage = slices.Delete(b.Damage, damage, damage+1)
	}
}

func (b *Blocks) file(n int) string { return filepath.Join(b.dir, "msgs", strconv.Itoa(n)+".blk") }

// add takes in what the next block holds.
func (b *Blocks) add(h Held) {
	b.Last = max(b.Last, h.Last)
	if h.First == 0 {
		return
	}
	gaps := h.Gaps
	if b.First == 0 {
		b.First = h.First
	} else if b.Whole {
		gaps = append([]Range{{From: b.stored + 1, To: h.First - 1}}, gaps...)
	}
	for _, g := range gaps {
		if g.From = max(g.From, b.stored+1); g.From <= g.To {
			b.Gaps = append(b.Gaps, g)
		}
	}
	b.stored = max(b.stored, h.Stored)
}
