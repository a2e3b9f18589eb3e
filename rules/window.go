package rules

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// memory is what one ordered rule remembers.
type memory struct {
	rule       *Rule
	rank       int // where it is in the order of judging
	definition digest
	windows    map[string]*window // of its clauses, by key
	throttles  map[string]*window // of its throttle, by key
	weight     int                // of both
}

const (
	// leastWeight and windowWeight bound the bytes that the windows of a rule keep of
	// events: so many, or so many for each window it may have if that is more.
	leastWeight  = 64 << 20
	windowWeight = 1 << 10
)

// heavy tells whether the rule may keep no more bytes.
func (m *memory) heavy(more int) bool {
	return more > 0 && m.weight+more > max(leastWeight, windowWeight*m.rule.MaxWindows)
}

// full tells whether the rule may open no more windows.
func (m *memory) full() bool { return len(m.windows)+len(m.throttles) >= m.rule.MaxWindows }

// of returns where the windows of a kind are.
func (m *memory) of(throttle bool) map[string]*window {
	if throttle {
		return m.throttles
	}
	return m.windows
}

// all returns the open windows by their end.
func (m *memory) all() []*window {
	out := make([]*window, 0, len(m.windows)+len(m.throttles))
	for _, w := range m.windows {
		out = append(out, w)
	}
	for _, w := range m.throttles {
		out = append(out, w)
	}
	slices.SortFunc(out, byEnd)
	return out
}

// window is a window of a rule's clauses, or of its throttle. There may be a
// hundred thousand of them, so times are nanoseconds since 1970, and what can be
// worked out is not kept.
type window struct {
	owner *memory
	key   string
	// began and ends bound it. Those of a throttle that counts move: it ends when its
	// first member is too old.
	began, ends int64
	// first is the sequence of the event that began it, 0 if none did.
	first   uint64
	members []member
	// last, of a throttle that takes the last of what a window came to, is that window.
	last *window
	// count is how many events were taken in.
	count    uint32
	place    int32 // in its deadlines
	weight   int   // the bytes of its events, as its owner has counted them
	throttle bool
}

// silent tells whether nothing is decided at the end of the window.
func (w *window) silent() bool { return w.throttle && w.owner.rule.Throttle.Take != TakeLast }

// member is an event in a window.
type member struct {
	// data is the event as [view.keep] gives it; empty if a count has so many that
	// this one is not kept, or there was no event.
	data string
	// hash is of its source and id, unique of the throttle's text; 0 if there is none.
	hash, unique uint64
	seq          uint64
	at           int64
	clause       uint8 // its place in the rule
}

// maxMembers bounds the events that a window keeps.
const maxMembers = 100

// holds tells whether the event with this hash is in the window.
func (w *window) holds(hash uint64) bool {
	return hash != 0 && slices.ContainsFunc(w.members, func(m member) bool { return m.hash == hash })
}

// has tells whether a clause was met.
func (w *window) has(clause uint8) bool {
	return slices.ContainsFunc(w.members, func(m member) bool { return m.clause == clause })
}

// dataOf returns how many bytes are kept of the event that met a clause; w may be nil.
func (w *window) dataOf(clause uint8) int {
	if w == nil {
		return 0
	}
	for i := range w.members {
		if w.members[i].clause == clause {
			return len(w.members[i].data)
		}
	}
	return 0
}

// put takes an event in for its clause, in the place of the one before.
func (w *window) put(m member) {
	w.members = slices.DeleteFunc(w.members, func(old member) bool { return old.clause == m.clause })
	w.members = append(w.members, m)
	w.count++
}

// missing returns the names of the clauses that were not met.
func (w *window) missing() []string {
	r := w.owner.rule
	if w.throttle || r.Form != All && r.Form != Incomplete {
		return nil
	}
	var out []string
	for i, c := range r.Clauses {
		if !w.has(uint8(i)) {
			out = append(out, c.Name)
		}
	}
	return out
}

// info describes the window; briefly without its members and what is missing.
func (w *window) info(briefly bool) *WindowInfo {
	i := &WindowInfo{Began: moment(w.began), Ends: moment(w.ends), Count: int(w.count)}
	if briefly {
		return i
	}
	i.Missing = w.missing()
	for _, m := range w.members[max(0, len(w.members)-maxMembers):] {
		v, err := m.view()
		if err != nil || v == nil {
			continue // the match of an absence that no event came before
		}
		i.Members = append(i.Members, Member{
			Clause: w.owner.rule.Clauses[m.clause].Name, Seq: m.seq, At: moment(m.at), Source: v.Source, ID: v.ID,
		})
	}
	return i
}

// view returns the event as it was kept; nil if it was not.
func (m member) view() (*view, error) {
	if m.data == "" {
		return nil, nil
	}
	return keptView([]byte(m.data))
}

// id tells what the end of the window decides from all else the rule decides.
func (w *window) id() string {
	h := sha256.New()
	hashPart(h, w.owner.rule.Name)
	hashPart(h, w.key)
	var b [25]byte
	binary.BigEndian.PutUint64(b[0:], uint64(w.began)) //nolint:gosec // the bits alone matter
	binary.BigEndian.PutUint64(b[8:], w.first)
	binary.BigEndian.PutUint64(b[16:], uint64(w.ends)) //nolint:gosec // the bits alone matter
	if w.throttle {
		b[24] = 1
	}
	_, _ = h.Write(b[:])
	return hex.EncodeToString(h.Sum(nil))
}

// hashOf returns a hash of texts, never 0.
func hashOf(texts ...string) uint64 {
	var buf [256]byte
	b := buf[:0]
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	sum := sha256.Sum256(b)
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// moment is the time of nanoseconds since 1970.
func moment(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// byEnd orders windows as they are told of: by their end, then as their rules are
// judged, of one rule those of the throttle first, and these by key.
func byEnd(a, b *window) int {
	if c := cmp.Compare(a.ends, b.ends); c != 0 {
		return c
	}
	if c := cmp.Compare(a.owner.rank, b.owner.rank); c != 0 {
		return c
	}
	if a.throttle != b.throttle {
		if a.throttle {
			return -1
		}
		return 1
	}
	return strings.Compare(a.key, b.key)
}

// deadlines is a heap of windows by their end.
type deadlines []*window

// Len implements [heap.Interface], as the others do.
func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return byEnd(d[i], d[j]) < 0 }

// Swap keeps the windows' places.
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = int32(i), int32(j) //nolint:gosec // windows are bounded far below
}

// Push and Pop are for package heap alone.
func (d *deadlines) Push(x any) {
	w := x.(*window)
	w.place = int32(len(*d)) //nolint:gosec // windows are bounded far below
	*d = append(*d, w)
}

// Pop returns the last window.
func (d *deadlines) Pop() any {
	n := len(*d) - 1
	w := (*d)[n]
	(*d)[n] = nil
	*d = (*d)[:n]
	return w
}

// deadlines returns where a window waits for its end.
func (st *State) deadlines(w *window) *deadlines {
	if w.silent() {
		return &st.silent
	}
	return &st.due
}

// open opens a window, which must not be open.
func (st *State) open(w *window) {
	m := w.owner
	switch {
	case w.throttle && m.throttles == nil:
		m.throttles = map[string]*window{}
	case !w.throttle && m.windows == nil:
		m.windows = map[string]*window{}
	}
	m.of(w.throttle)[w.key] = w
	heap.Push(st.deadlines(w), w)
	w.weigh()
}

func (st *State) close(w *window) {
	w.owner.weight -= w.weight
	w.weight = 0
	delete(w.owner.of(w.throttle), w.key)
	heap.Remove(st.deadlines(w), int(w.place))
}

// moved puts a window in its place whose end is another one now.
func (st *State) moved(w *window) {
	heap.Fix(st.deadlines(w), int(w.place))
	w.weigh()
}

// weigh has the owner of an open window know what it keeps.
func (w *window) weigh() {
	size := w.size()
	w.owner.weight += size - w.weight
	w.weight = size
}

// size returns the bytes that are kept of events.
func (w *window) size() int {
	n := 0
	for i := range w.members {
		n += len(w.members[i].data)
	}
	if w.last != nil {
		n += w.last.size()
	}
	return n
}
