package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A snapshot is: the header, the time, the facts by key, the ordered rules by name,
// and a SHA-256 over all of that. Numbers are varints, texts have their length before
// them, times of windows count from the one before.
const (
	snapshotHeader = "jet-bus state\x00\x01" // the last byte is the version
	snapshotSum    = sha256.Size
)

// The flags of a window in a snapshot.
const (
	flagThrottle = 1 << iota
	flagLast     // the window has another as its last
	flagsEnd
)

// MarshalBinary returns the state in a form that [RestoreState] reads. Equal states
// give equal bytes.
func (st *State) MarshalBinary() ([]byte, error) {
	w := snapshotWriter{b: make([]byte, 0, 1024+128*(len(st.due)+len(st.silent)))}
	w.b = append(w.b, snapshotHeader...)
	w.int(st.now)
	w.uint(uint64(len(st.facts)))
	for _, key := range slices.Sorted(maps.Keys(st.facts)) {
		value, err := appendExact(nil, st.facts[key])
		if err != nil {
			return nil, fmt.Errorf("writing fact %s: %w", key, err)
		}
		w.text(key)
		w.text(string(value))
	}
	memories := slices.SortedFunc(maps.Values(st.rules), func(a, b *memory) int {
		return strings.Compare(a.rule.Name, b.rule.Name)
	})
	w.uint(uint64(len(memories)))
	for _, m := range memories {
		w.memory(m)
	}
	sum := sha256.Sum256(w.b)
	return append(w.b, sum[:]...), nil
}

type snapshotWriter struct{ b []byte }

func (w *snapshotWriter) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *snapshotWriter) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }

func (w *snapshotWriter) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *snapshotWriter) hash(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

func (w *snapshotWriter) memory(m *memory) {
	w.text(m.rule.Name)
	w.b = append(w.b, m.definition[:]...)
	w.uint(uint64(len(m.rule.keeps)))
	for _, clause := range slices.Sorted(maps.Keys(m.rule.keeps)) {
		w.text(clause)
		paths := m.rule.keeps[clause]
		w.uint(uint64(len(paths)))
		for _, p := range paths {
			w.text(p)
		}
	}
	all := slices.AppendSeq(slices.Collect(maps.Values(m.windows)), maps.Values(m.throttles))
	slices.SortFunc(all, byKey)
	w.uint(uint64(len(all)))
	for _, x := range all {
		w.window(x)
	}
}

// byKey orders the windows of one rule as a snapshot has them.
func byKey(a, b *window) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.flags()&flagThrottle, b.flags()&flagThrottle)
}

func (w *window) flags() byte {
	var f byte
	if w.throttle {
		f |= flagThrottle
	}
	if w.last != nil {
		f |= flagLast
	}
	return f
}

func (w *snapshotWriter) window(x *window) {
	w.b = append(w.b, x.flags())
	w.text(x.key)
	w.int(x.began)
	w.int(x.ends - x.began)
	w.uint(x.first)
	w.uint(uint64(x.count))
	w.uint(uint64(len(x.members)))
	at := x.began
	for _, m := range x.members {
		w.b = append(w.b, m.clause)
		w.hash(m.hash)
		w.hash(m.unique)
		w.uint(m.seq)
		w.int(m.at - at)
		at = m.at
		w.text(m.data)
	}
	if x.last != nil {
		w.window(x.last)
	}
}
