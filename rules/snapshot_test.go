package rules_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/rules"
)

const snapshotRules = `
rules:
  - {name: all, all: {within: 1m, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}, throttle: {every: 2s, take: last}, publish: {type: out, data: "${{ events.x.data.k }}"}, set: {f: [1, {x: 1.5}]}}
  - {name: absent, missed: report, absent: {on: a, key: event.data.k, within: 5s, expect: [k1]}, publish: {type: out, data: "${{ events.last.data.n }}"}}
  - {name: half, absent: {within: 10s, clauses: {x: {on: a}, y: {on: c}}}, throttle: {every: 2s, take: {count: 2}}, publish: {type: out, data: "${{ events.x.data.n }}"}}
  - {name: last, on: [a, b], throttle: {every: 10s, take: last, unique: event.id}, publish: {type: out, data: "${{ map(matches, .data.n) }}"}}
  - {name: count, on: [a, b], throttle: {every: 10s, take: {count: 5}}, publish: {type: out, data: "${{ map(matches, .id) }}"}}
  - {name: first, on: [a, b], throttle: {every: 10s, take: first, key: event.data.k}, publish: {type: out}}
`

// filled returns a state with windows of every kind, as a snapshot.
func filled(tb testing.TB, set *rules.Set) []byte {
	tb.Helper()
	st := rules.NewState(set, at)
	for i, typ := range []string{"a", "a", "b", "a", "b"} {
		st.Step(drawn{typ: typ, id: itoa(i), k: 1 + i%2, n: i}.event(tb), uint64(i)+1, at.Add(time.Duration(i)*time.Second))
	}
	data, err := st.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	set := load(t, snapshotRules)
	data := filled(t, set)
	if _, err := rules.RestoreState(set, data); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, data []byte, want string) {
		t.Helper()
		if _, err := rules.RestoreState(set, data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range data {
		refused(fmt.Sprint("cut at ", n), data[:n], "")
		changed := bytes.Clone(data)
		changed[n] ^= 4
		refused(fmt.Sprint("changed at ", n), changed, "")
	}
	refused("longer", append(bytes.Clone(data), 0), "not whole")
	refused("resealed and longer", reseal(append(bytes.Clone(data), 0)), "not whole")
	refused("nothing", nil, "not a snapshot")
	newer := bytes.Clone(data)
	newer[len("jet-bus state")+1] = 2
	refused("newer", newer, "of version 2, this program reads 1")
}

// reseal makes the sum at the end of a snapshot right.
func reseal(data []byte) []byte {
	if len(data) < sha256.Size {
		return data
	}
	body := data[:len(data)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

// FuzzRestore restores anything: it is refused, or a state that works.
func FuzzRestore(f *testing.F) {
	set := load(f, snapshotRules)
	f.Add(filled(f, set))
	empty, _ := rules.NewState(load(f, "rules: []\n"), at).MarshalBinary()
	f.Add(empty)
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := rules.RestoreState(set, reseal(data))
		if err != nil {
			return
		}
		e := drawn{typ: "a", id: "x", k: 1}.event(t)
		st.Explain(e, 9, at)
		st.Step(e, 9, at)
		st.Step(drawn{typ: "b", id: "y", k: 1}.event(t), 10, at)
		for _, r := range set.Rules() {
			st.Windows(r.Name, 100)
		}
		due := st.Due()
		st.Tick(11, due)
		st.Tick(12, at.Add(24*time.Hour))
		again, err := st.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rules.RestoreState(set, again); err != nil {
			t.Fatal(err)
		}
	})
}

const manyRules = `
rules:
  - name: r
    max_windows: 1000000
    all: {within: 1h, key: event.data.host, clauses: {x: {on: a}, y: {on: b}}}
    publish: {type: out, data: "${{ events.x.data.n }}"}
`

// manyWindows returns a state with n open windows, and what the heap grew by.
func manyWindows(tb testing.TB, n int) (st *rules.State, grown uint64) {
	tb.Helper()
	set := load(tb, manyRules)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	st = rules.NewState(set, at)
	for i := range n {
		e := event(tb, "a", fmt.Sprintf(`{"host": "web%06d.example.org", "n": %d}`, i, i))
		e.SetID(fmt.Sprintf("%08x-cafe-4bad-8bad-%012x", i, i))
		st.Step(e, uint64(i), at.Add(time.Duration(i)*time.Millisecond))
	}
	grown = heap() - before
	if got := len(st.Windows("r", n)); got != n {
		tb.Fatalf("%d windows are open", got)
	}
	return st, grown
}

// TestWindowMemory: a hundred thousand open windows stay far below 100 MB.
func TestWindowMemory(t *testing.T) {
	const windows = 20_000
	st, grown := manyWindows(t, windows)
	per := float64(grown) / windows
	t.Logf("%.0f bytes for a window", per)
	if per > 600 {
		t.Errorf("a window takes %.0f bytes", per)
	}
	runtime.KeepAlive(st)
}

func BenchmarkStep(b *testing.B) {
	st, grown := manyWindows(b, 100_000)
	b.ReportMetric(float64(grown)/100_000, "B/window")
	e := event(b, "a", `{"host": "web050000.example.org", "n": 7}`)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		e.SetID(itoa(i))
		st.Step(e, 100_000+uint64(i), at.Add(101*time.Second))
	}
}

func BenchmarkSnapshot(b *testing.B) {
	st, _ := manyWindows(b, 100_000)
	data, err := st.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("marshal", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := st.MarshalBinary(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("restore", func(b *testing.B) {
		set := rules.StateSet(st)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := rules.RestoreState(set, data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("explain", func(b *testing.B) {
		e := event(b, "a", `{"host": "web050000.example.org", "n": 7}`)
		for b.Loop() {
			st.Explain(e, 1_000_000, at.Add(101*time.Second))
		}
	})
}
