package rules

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestWeightIsBounded sends large events with many keys: a rule must not keep more of
// them than it may, however few its windows are, and has to say so.
func TestWeightIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("keeps 64 MiB")
	}
	for name, rule := range map[string]string{
		"last":  "on: a, throttle: {key: event.subject, every: 1h, take: last}, notify: {to: ops, text: '${{ matches[0].data.text }}'}",
		"count": "on: a, throttle: {key: event.subject, every: 1h, count: 900}, notify: {to: ops, text: '${{ matches[0].data.text }}'}",
		"all": "all: {within: 1h, key: event.subject, clauses: {x: {on: a}, y: {on: b}}}, " +
			"notify: {to: ops, text: '${{ events.x.data.text }}'}",
		"absent": "absent: {within: 1h, key: event.subject, on: a}, notify: {to: ops, text: '${{ events.last.data.text }}'}",
	} {
		set, err := Load(fstest.MapFS{"r.yml": {Data: fmt.Appendf(nil, "rules:\n- {name: r, %s}\n", rule)}}, ".")
		if err != nil {
			t.Fatal(err)
		}
		st := NewState(set, stored)
		data := `{"text": "` + strings.Repeat("x", 60<<10) + `"}`
		const most = leastWeight/(60<<10) + 1
		full, seq := 0, uint64(0)
		send := func(subject string, at time.Time) []Decision {
			seq++
			e := happened(t, fmt.Sprint(seq), "a", data)
			e.SetSubject(subject)
			return st.Step(e, seq, at)
		}
		for i := range most + 20 {
			subject := fmt.Sprint(i)
			if name == "count" || name == "last" {
				subject = fmt.Sprint(i / 50)
			}
			for _, d := range send(subject, stored) {
				if d.Outcome == Full {
					full++
				}
			}
		}
		snapshot, err := st.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if full < 15 || len(snapshot) > leastWeight+1<<20 {
			t.Errorf("%s: %d were full, and the snapshot has %d bytes", name, full, len(snapshot))
		}
		before := st.rules[set.rules[0]].weight
		if st, err = RestoreState(set, snapshot); err != nil {
			t.Fatal(err)
		}
		if after := st.rules[set.rules[0]].weight; after != before || st.clone().rules[set.rules[0]].weight != before {
			t.Errorf("%s: a weight of %d, after a restart %d", name, before, after)
		}
		// What is there may be renewed, but for throttles that add to it.
		if name == "all" || name == "absent" {
			if ds := send("0", stored); len(ds) != 1 || ds[0].Outcome != Waiting {
				t.Errorf("%s: renewed: %v", name, ds)
			}
		}
		later := stored.Add(2 * time.Hour)
		st.Tick(seq, later)
		if got := st.rules[set.rules[0]].weight; got != 0 {
			t.Errorf("%s: %d bytes are counted when all is over", name, got)
		}
		if ds := send("new", later); len(ds) != 1 || ds[0].Outcome != Waiting {
			t.Errorf("%s: afterwards: %v", name, ds)
		}
	}
}
