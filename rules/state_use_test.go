package rules_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/rules"
)

func TestUse(t *testing.T) {
	t.Parallel()
	const before = `
vars: {x: 1}
rules:
  - {name: same, absent: {on: a, within: 1m, expect: [p], key: event.id}, publish: {type: out}}
  - {name: gone, absent: {on: a, within: 1m, key: event.id}, publish: {type: out}}
  - {name: longer, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out}}
  - {name: more, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out, data: "${{ events.x.data.n }}"}}
  - {name: less, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out, data: "${{ events.x.data.n }}"}}
  - {name: off, on: a, throttle: {every: 1m, take: last}, publish: {type: out}}
  - {name: count, on: a, throttle: {every: 1m, take: {count: 3}}, publish: {type: out}}
  - {name: first, on: a, throttle: {every: 1m, take: first}, publish: {type: out}, set: {fact: 1.5}}
  - {name: reads, absent: {on: a, within: 1m, condition: vars.x == 1}, publish: {type: out}}
`
	const after = `
vars: {x: 2}
rules:
  - {name: new, absent: {on: a, within: 30s}, publish: {type: out}}
  - {name: reads, absent: {on: a, within: 1m, condition: vars.x == 1}, publish: {type: out}}
  - {name: first, on: a, throttle: {every: 2m, take: first}, publish: {type: out}, set: {fact: 1.5}}
  - {name: count, on: a, throttle: {every: 1m, take: {count: 4}}, publish: {type: out}}
  - {name: off, enabled: false, on: a, throttle: {every: 1m, take: last}, publish: {type: out}}
  - {name: less, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out, data: 7}}
  - {name: more, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out, data: "${{ events.x.data.m }}"}}
  - {name: longer, all: {within: 2m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out}}
  - {name: same, priority: 5, shadow: true, missed: report, absent: {on: a, within: 1m, expect: [p], key: event.id}, notify: {to: ops, text: hello}}
`
	f := newFolder(t, before)
	f.line(`10s a/1 {"n": 1, "m": 2}`)
	data, err := f.st.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	got := f.spell(f.st.Use(load(t, after), at.Add(20*time.Second)))
	want := strings.Split(strings.TrimSpace(`
20s gone expired key=1 10s..1m10s n=1 of 1 timer
20s longer expired 10s..1m10s n=1 of x:1 without y timer
20s more expired 10s..1m10s n=1 of x:1 without y timer
20s off expired 10s..1m10s n=1 of 1 timer
20s count expired 10s..1m10s n=1 of 1 timer
20s reads expired 10s..1m10s n=1 of 1 timer
`), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Use (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"fact": 1.5}, f.st.Facts()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if got := f.st.Due(); !got.Equal(at.Add(50 * time.Second)) {
		t.Errorf("Due = %v", got.Sub(at))
	}
	// p is expected since the beginning, not since the new set; a new absence since then.
	want = []string{
		"1m15s new fired 20s..50s n=0 timer -> out null",
		"1m15s same shadowed key=p 0s..1m0s n=0 timer",
		"1m15s same shadowed key=1 10s..1m10s n=1 of 1 timer",
		"1m15s less expired 10s..1m10s n=1 of x:1 without y timer",
	}
	if diff := cmp.Diff(want, f.line("1m15s")); diff != "" {
		t.Errorf("after Use (-want +got):\n%s", diff)
	}

	// A snapshot of one set restored for another is as if it had been put in force.
	st, err := rules.RestoreState(load(t, after), data)
	if err != nil {
		t.Fatal(err)
	}
	f = &folder{tb: t, st: st}
	want[0] = "1m15s new fired 10s..40s n=0 timer -> out null"
	want = slices.Insert(want, 3, "1m15s reads fired 10s..1m10s n=0 timer -> out null")
	got = f.line("1m15s")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("restored for another set (-want +got):\n%s", diff)
	}
}

// TestUseTellsWhatEnded: what ends before the change is of the old set.
func TestUseTellsWhatEnded(t *testing.T) {
	t.Parallel()
	f := newFolder(t, "rules: [{name: r, absent: {on: a, within: 10s}, publish: {type: out}}]\n")
	got := f.spell(f.st.Use(load(t, "rules: []\n"), at.Add(10*time.Second)))
	if diff := cmp.Diff([]string{"10s r fired 0s..10s n=0 timer -> out null"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !f.st.Due().IsZero() || f.st.Windows("r", 10) != nil {
		t.Error("something is open")
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	f := newFolder(t, `
rules:
  - name: r
    all: {within: 1m, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}
    throttle: {every: 30s, take: first}
    publish: {type: out}
  - {name: stateless, on: a, run: {playbook: p.yml}}
`)
	for _, line := range []string{`1s a/1 {"k": 1}`, `2s b/2 {"k": 2}`, `3s b/3 {"k": 1}`, `4s a/4 {"k": 3}`} {
		f.line(line)
	}
	spell := func(ws []rules.OpenWindow) (out []string) {
		for _, w := range ws {
			out = append(out, w.Key+" "+w.Ends.Sub(at).String()+" "+w.Members[0].ID+" "+strings.Join(w.Missing, ","))
		}
		return out
	}
	want := []string{" 33s 3 ", "2 1m2s 2 x", "3 1m4s 4 y"}
	if diff := cmp.Diff(want, spell(f.st.Windows("r", 9))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:2], spell(f.st.Windows("r", 2))); diff != "" {
		t.Errorf("two of them (-want +got):\n%s", diff)
	}
	for _, name := range []string{"stateless", "unknown"} {
		if w := f.st.Windows(name, 9); w != nil {
			t.Errorf("%s has %v", name, w)
		}
	}
	if got, want := f.st.Due(), at.Add(62*time.Second); !got.Equal(want) {
		t.Errorf("Due = %v: the throttle ends in silence", got.Sub(at))
	}
}

func TestDecisionIDs(t *testing.T) {
	t.Parallel()
	f := newFolder(t, `
rules:
  - {name: r, absent: {on: a, within: 10s, key: event.data.k, expect: ["1", "2"]}, publish: {type: out}}
  - {name: s, absent: {on: a, within: 10s, key: event.data.k, expect: ["1", "2"]}, publish: {type: out}}
`)
	seen := map[string]string{}
	for i, line := range []string{"10s", `11s a {"k": "1"}`, "30s", `31s a {"k": "1"}`, "50s"} {
		f.seq++
		span, rest, _ := strings.Cut(line, " ")
		after, _ := time.ParseDuration(span)
		var got []rules.Decision
		if rest == "" {
			got = f.st.Tick(f.seq, at.Add(after))
		} else {
			got = f.st.Step(f.event(rest), f.seq, at.Add(after))
		}
		for _, d := range got {
			if d.Seq != uint64(i)+1 {
				t.Errorf("decided at %d, not %d: %s", d.Seq, i+1, spellDecision(d))
			}
			if d.Outcome == rules.Waiting {
				if d.ID != "" {
					t.Errorf("an event decided: %s", spellDecision(d))
				}
				continue
			}
			if other, ok := seen[d.ID]; ok || d.ID == "" {
				t.Errorf("%s and %s have one ID %q", other, spellDecision(d), d.ID)
			}
			seen[d.ID] = spellDecision(d)
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d firings: %v", len(seen), seen)
	}
}

func TestFactLimits(t *testing.T) {
	t.Parallel()
	f := newFolder(t, `
rules:
  - {name: r, on: a, set: {"f.${{ event.data.n }}": true}}
  - {name: drop, on: b, set: {"f.${{ event.data.n }}": null}}
  - {name: wins, on: c, set: {who: wins, l: [1, {x: 2.5}], n: 3.0}}
  - {name: a-loses, priority: -1, on: c, set: {who: loses, u: 18446744073709551615}}
`)
	for i := range 10_000 {
		f.st.Step(f.event("a {\"n\": "+itoa(i)+"}"), uint64(i), at)
	}
	expect := func(line, want string) {
		t.Helper()
		if diff := cmp.Diff(want, strings.Join(f.line(line), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	expect(`1s a {"n": 10000}`, "1s r failed err rules/r.yml:3:5: set: there would be more than 10000 facts")
	expect(`2s a {"n": 9999}`, "2s r fired set f.9999=true")
	expect(`3s b {"n": 9999}`, "3s drop fired set f.9999=<nil>")
	expect(`4s a {"n": 10000}`, "4s r fired set f.10000=true")
	if n := len(f.st.Facts()); n != 10_000 {
		t.Errorf("%d facts", n)
	}
	f = newFolder(t, `
rules:
  - {name: wins, on: c, set: {who: wins, l: [1, {x: 2.5}], n: 3.0}}
  - {name: a-loses, priority: -1, on: c, set: {who: loses, u: 18446744073709551615}}
`)
	f.line("1s c")
	want := map[string]any{
		"who": "wins", "l": []any{int64(1), map[string]any{"x": 2.5}}, "n": int64(3), "u": float64(1 << 63 * 2),
	}
	if diff := cmp.Diff(want, f.st.Facts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.restart()
	if diff := cmp.Diff(want, f.st.Facts()); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}
