package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// RestoreState returns the state that was marshalled, for the set it was of. Of
// another set it keeps what [State.Use] would, and tells nothing of the rest. What is
// cut, changed or of another version is an error.
func RestoreState(s *Set, data []byte) (*State, error) {
	st, err := restore(s, data)
	if err != nil {
		return nil, fmt.Errorf("restoring the state of rules: %w", err)
	}
	return st, nil
}

var errGarbled = errors.New("the snapshot is not whole")

func restore(s *Set, data []byte) (*State, error) {
	version := len(snapshotHeader) - 1
	switch {
	case len(data) < len(snapshotHeader)+snapshotSum || string(data[:version]) != snapshotHeader[:version]:
		return nil, errors.New("this is not a snapshot of rules, or not all of it")
	case data[version] != snapshotHeader[version]:
		return nil, fmt.Errorf("the snapshot is of version %d, this program reads %d", data[version], snapshotHeader[version])
	}
	body := data[:len(data)-snapshotSum]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], data[len(body):]) {
		return nil, errGarbled
	}
	return (&snapshotReader{b: body[len(snapshotHeader):]}).state(s)
}

// snapshotReader reads until something is wrong; after that it reads zeros.
type snapshotReader struct {
	b   []byte
	err error
}

func (r *snapshotReader) fail() {
	r.b = nil
	if r.err == nil {
		r.err = errGarbled
	}
}

func (r *snapshotReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *snapshotReader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *snapshotReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *snapshotReader) text() string { return string(r.bytes(r.uint())) }

func (r *snapshotReader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *snapshotReader) hash() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads how many of something follow, each of which takes a byte or more.
func (r *snapshotReader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n) //nolint:gosec // no more than the bytes there are
}

func (r *snapshotReader) state(s *Set) (*State, error) {
	st := &State{now: r.int(), rules: map[*Rule]*memory{}, facts: map[string]any{}}
	if st.now > latest || st.now < -latest {
		r.fail()
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		key := r.text()
		value, err := decodeJSON(r.bytes(r.uint()))
		if err != nil {
			return nil, fmt.Errorf("fact %s: %w", key, err)
		}
		st.facts[key] = value
	}
	byName := make(map[string]*Rule, len(s.rules))
	for _, rule := range s.rules {
		byName[rule.Name] = rule
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		m, keeps := r.memory(byName)
		if m.rule == nil || m.definition != m.rule.definition() || !covers(keeps, m.rule.keeps) {
			continue
		}
		if !m.sound() || st.rules[m.rule] != nil {
			r.fail()
			break
		}
		st.rules[m.rule] = m
	}
	if len(r.b) > 0 {
		r.fail()
	}
	if r.err != nil {
		return nil, r.err
	}
	st.adopt(s)
	return st, nil
}

// memory reads what was remembered of a rule; its rule is nil if the set has none of
// that name.
func (r *snapshotReader) memory(byName map[string]*Rule) (m *memory, keeps map[string][]string) {
	m = &memory{rule: byName[r.text()]}
	copy(m.definition[:], r.bytes(uint64(len(m.definition))))
	keeps = map[string][]string{}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		clause := r.text()
		for k := r.count(); k > 0 && r.err == nil; k-- {
			keeps[clause] = append(keeps[clause], r.text())
		}
	}
	windows := r.count()
	for range windows {
		w := r.window(m, true)
		if r.err != nil {
			break
		}
		if w.throttle {
			m.throttles = put(m.throttles, w)
		} else {
			m.windows = put(m.windows, w)
		}
	}
	if len(m.windows)+len(m.throttles) != windows {
		r.fail()
	}
	return m, keeps
}

func put(in map[string]*window, w *window) map[string]*window {
	if in == nil {
		in = map[string]*window{}
	}
	in[w.key] = w
	return in
}

func (r *snapshotReader) window(m *memory, outer bool) *window {
	flags := r.byte()
	if flags >= flagsEnd || !outer && flags != 0 {
		r.fail()
	}
	w := &window{owner: m, throttle: flags&flagThrottle != 0, key: r.text(), began: r.int()}
	w.ends = w.began + r.int()
	if w.began > latest || w.began < -latest || w.ends > latest || w.ends < -latest {
		r.fail()
	}
	w.first = r.uint()
	w.count = uint32(r.uint()) //nolint:gosec // it was one
	at := w.began
	n := r.count()
	if n > 0 {
		w.members = make([]member, 0, min(n, maxMembers))
	}
	for ; n > 0 && r.err == nil; n-- {
		x := member{clause: r.byte(), hash: r.hash(), unique: r.hash(), seq: r.uint()}
		x.at = at + r.int()
		at = x.at
		x.data = r.text()
		w.members = append(w.members, x)
	}
	if flags&flagLast != 0 && r.err == nil {
		w.last = r.window(m, false)
	}
	return w
}

// sound tells whether what was read can be what its rule remembers.
func (m *memory) sound() bool {
	r := m.rule
	several := r.Form == All || r.Form == Incomplete || r.Form == Absent
	clauses := func(w *window) bool {
		return !slices.ContainsFunc(w.members, func(x member) bool { return int(x.clause) >= len(r.Clauses) })
	}
	for _, w := range m.windows {
		if !several || w.last != nil || !clauses(w) {
			return false
		}
	}
	for _, w := range m.throttles {
		th := r.Throttle
		if th == nil || len(w.members) == 0 || !clauses(w) {
			return false
		}
		if (w.last != nil) != (several && th.Take == TakeLast) || w.last != nil && !clauses(w.last) {
			return false
		}
	}
	return true
}
