package main

import (
	"fmt"
	"runtime"
	"testing/fstest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// memoryResult is what rules take that nothing happens to.
type memoryResult struct {
	Rules   int     `json:"rules"`
	PerRule float64 `json:"bytes_per_idle_rule"`
	// Load is how long the files take to be read and checked.
	Load time.Duration `json:"load_ns"`
}

// heap returns the bytes in use after everything else is gone.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func idleRules() (memoryResult, error) {
	const n = 10_000
	before := heap()
	begun := coreTime()
	set, err := ruleSet(n)
	took := coreTime() - begun
	if err != nil {
		return memoryResult{}, err
	}
	used := heap() - before
	runtime.KeepAlive(set)
	return memoryResult{Rules: n, PerRule: float64(used) / n, Load: took}, nil
}

// windowResult is what open windows take.
type windowResult struct {
	Windows   int     `json:"windows"`
	Bytes     uint64  `json:"bytes"`
	PerWindow float64 `json:"bytes_per_window"`
	// Open is the time for an event that opens one, Meet for one that meets it
	// again, Close for one that completes it.
	Open  float64 `json:"ns_open"`
	Meet  float64 `json:"ns_meet"`
	Close float64 `json:"ns_close"`
	// Snapshot is all of them written down.
	Snapshot int           `json:"snapshot_bytes"`
	Write    time.Duration `json:"snapshot_write_ns"`
	Read     time.Duration `json:"snapshot_read_ns"`
}

func openWindows(n int) (windowResult, error) {
	set, err := rules.Load(fstest.MapFS{"r.yml": {Data: fmt.Appendf(nil, `rules:
  - name: both
    max_windows: %d
    all:
      within: 1h
      key: event.subject
      clauses:
        built: {on: com.acme.built, condition: event.data.n > 0}
        approved: {on: com.acme.approved}
    run: {playbook: p.yml, limit: web, vars: {n: "${{ events.built.data.n }}"}}
`, n)}}, ".")
	if err != nil {
		return windowResult{}, err
	}
	r := windowResult{Windows: n}
	before := heap()
	st := rules.NewState(set, at)
	seq := uint64(0)
	play := func(typ, data string, want rules.Outcome) (float64, error) {
		var took time.Duration
		batch := make([]events.Event, 0, 1000) // made beforehand: that is not what is measured
		for from := 0; from < n; from += len(batch) {
			batch = batch[:0]
			for i := from; i < min(n, from+cap(batch)); i++ {
				e, err := newEvent(typ, fmt.Sprintf("host-%06d.example.com", i), data)
				if err != nil {
					return 0, err
				}
				e.SetID(fmt.Sprint(seq + uint64(len(batch)) + 1))
				batch = append(batch, e)
			}
			begun := coreTime()
			for _, e := range batch {
				seq++
				ds := st.Step(e, seq, at)
				if len(ds) != 1 || ds[0].Outcome != want {
					return 0, fmt.Errorf("event %d: %d decisions", seq, len(ds))
				}
			}
			took += coreTime() - begun
		}
		return float64(took.Nanoseconds()) / float64(n), nil
	}
	if r.Open, err = play("com.acme.built", `{"n": 1}`, rules.Waiting); err != nil {
		return r, err
	}
	r.Bytes = heap() - before
	r.PerWindow = float64(r.Bytes) / float64(n)
	if r.Meet, err = play("com.acme.built", `{"n": 2}`, rules.Waiting); err != nil {
		return r, err
	}
	begun := coreTime()
	data, err := st.MarshalBinary()
	if err != nil {
		return r, err
	}
	r.Snapshot, r.Write = len(data), coreTime()-begun
	begun = coreTime()
	if st, err = rules.RestoreState(set, data); err != nil {
		return r, err
	}
	r.Read = coreTime() - begun
	r.Close, err = play("com.acme.approved", `{}`, rules.Fired)
	return r, err
}
