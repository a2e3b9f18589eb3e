package busserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// ServerVersion is the version of the embedded server.
const ServerVersion = server.VERSION

// trustFor is how long a check is good for at the most.
const trustFor = 30 * 24 * time.Hour

// Ledger is what was found in block files that were sound, by stream and number.
// It spares the next start to read them again.
type Ledger map[string]map[int]Checked

// Checked is what a block file held, and how it looked then.
type Checked struct {
	Held
	Look Look      `json:"look"`
	At   time.Time `json:"at"`
	// Whole is true if gaps were looked for.
	Whole bool `json:"whole,omitempty"`

	flawed bool // not sound, though nothing is missing
}

// Look tells a file from one that was changed or put in its place. The time of
// change is the one that cannot be set.
type Look struct {
	Size     int64  `json:"size"`
	Inode    uint64 `json:"inode"`
	Modified int64  `json:"modified"` // in ns
	Changed  int64  `json:"changed"`  // in ns
}

func look(name string) (Look, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return Look{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return Look{Size: st.Size, Inode: st.Ino, Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano()}, nil
}

// trusted reports whether a block need not be read.
func (c Checked) trusted(b *block) bool {
	now, err := look(b.name)
	return err == nil && now == c.Look && c.Whole == b.whole && time.Since(c.At) < trustFor
}

// known returns what is known of the stream's blocks. It is nothing where the
// server will make its index anew: it then reads all blocks itself, and cuts off what
// it finds bad, so that nothing may be left to be found later.
func (b *Blocks) known(l Ledger) map[int]Checked {
	known := l[b.Stream]
	for n := range known {
		if _, found := slices.BinarySearchFunc(b.blocks, n, func(k *block, n int) int { return k.number - n }); !found {
			return nil
		}
	}
	if len(known) == 0 || !b.indexed() {
		return nil
	}
	return known
}

// indexed reports whether the server's index of the stream is sound, and made for
// the last block as it is. The index ends with the number of that block, the last
// eight bytes of it, and a hash over everything.
func (b *Blocks) indexed() bool {
	index, err := os.ReadFile(filepath.Join(b.dir, "msgs", "index.db"))
	if err != nil || len(index) < recordHash {
		return false
	}
	last := b.blocks[len(b.blocks)-1]
	end, err := tail(last.name)
	if err != nil {
		return false
	}
	key := sha256.Sum256([]byte(b.Stream))
	index, hash := index[:len(index)-recordHash], index[len(index)-recordHash:]
	number := binary.AppendUvarint(nil, uint64(last.number)) //nolint:gosec // files have no negative numbers
	return highwayhash.Sum64(index, key[:]) == binary.LittleEndian.Uint64(hash) && bytes.HasSuffix(index, append(number, end...))
}

// tail returns the last eight bytes of a file, zeros if it has fewer.
func tail(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := make([]byte, recordHash)
	if info.Size() >= recordHash {
		_, err = f.ReadAt(end, info.Size()-recordHash)
	}
	return end, err
}

// Present returns the part of the ledger whose files look as they did.
func (l Ledger) Present(dir string) (Ledger, error) {
	streams, err := list(dir)
	if err != nil {
		return nil, err
	}
	out := Ledger{}
	for _, s := range streams {
		for _, b := range s.blocks {
			if c, ok := l[s.Stream][b.number]; ok && !c.flawed && c.trusted(b) {
				out.set(b, c)
			}
		}
	}
	return out, nil
}

func (l Ledger) set(b *block, c Checked) {
	if l[b.stream] == nil {
		l[b.stream] = make(map[int]Checked)
	}
	l[b.stream][b.number] = c
}
