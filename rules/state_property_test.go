package rules_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

func itoa(n int) string { return strconv.Itoa(n) }

// drawRule returns a rule as one line of YAML, {...}.
func drawRule(t *rapid.T, name string, plain bool) string {
	key := rapid.SampledFrom([]string{"", "key: event.data.k, "}).Draw(t, "key")
	cond := rapid.SampledFrom([]string{"", ", condition: event.data.n > 1", ", condition: kv.f0 != event.data.n", ", condition: has(kv.f1)"})
	on := rapid.SampledFrom([]string{"a", "b", "[a, b]", "c.*"})
	within := rapid.SampledFrom([]string{"1s", "2s", "5s", "20s"}).Draw(t, "within")
	clause := func(n string) string { return n + ": {on: " + on.Draw(t, "on") + cond.Draw(t, "cond") + "}" }
	var b strings.Builder
	fmt.Fprintf(&b, "{name: %s, ", name)
	data := "[\"${{ key }}\", \"${{ window.count }}\"]"
	form := rapid.SampledFrom([]string{"single", "any", "all", "where", "absent", "expect", "after", "incomplete"}).Draw(t, "form")
	switch form {
	case "single":
		fmt.Fprintf(&b, "on: %s%s, ", on.Draw(t, "on"), cond.Draw(t, "cond"))
		data = "[\"${{ key }}\", \"${{ event.id }}\"]"
	case "any":
		fmt.Fprintf(&b, "any: {clauses: {%s, %s}}, ", clause("x"), clause("y"))
		data = "[\"${{ clause }}\", \"${{ event.data }}\"]"
	case "all":
		fmt.Fprintf(&b, "all: {within: %s, %sclauses: {%s, %s}}, ", within, key, clause("x"), clause("y"))
		data = "[\"${{ key }}\", \"${{ events.x.id }}\", \"${{ events.y.data.n ?? 0 }}\", \"${{ event.id }}\"]"
	case "where":
		fmt.Fprintf(&b, "all: {within: %s, %swhere: events.x.data.n < events.y.data.n, clauses: {%s, %s, %s}}, ", within, key, clause("x"), clause("y"), clause("z"))
		data = "[\"${{ events.x.data }}\", \"${{ events.z.id }}\"]"
	case "absent":
		fmt.Fprintf(&b, "absent: {within: %s, %son: %s%s}, ", within, key, on.Draw(t, "on"), cond.Draw(t, "cond"))
		data = "[\"${{ key }}\", \"${{ events.last.id ?? 1 }}\"]"
	case "expect":
		fmt.Fprintf(&b, "absent: {within: %s, key: event.data.k, expect: [k1, k9], on: %s}, ", within, on.Draw(t, "on"))
	case "after":
		fmt.Fprintf(&b, "absent: {within: %s, %son: %s, after: {%son: %s}}, ", within, key, on.Draw(t, "on"), key, on.Draw(t, "on"))
		data = "[\"${{ key }}\", \"${{ events.after.data }}\"]"
	case "incomplete":
		fmt.Fprintf(&b, "absent: {within: %s, %sclauses: {%s, %s, %s}}, ", within, key, clause("x"), clause("y"), clause("z"))
		data = "[\"${{ missing }}\", \"${{ events.y.id ?? 0 }}\"]"
	}
	take := rapid.SampledFrom([]string{"", "first", "last", "{count: 2}", "{count: 3}"}).Draw(t, "take")
	if take != "" {
		fmt.Fprintf(&b, "throttle: {every: %s, take: %s", rapid.SampledFrom([]string{"1s", "3s", "30s"}).Draw(t, "every"), take)
		if form == "single" || form == "any" {
			if rapid.Bool().Draw(t, "throttle key") {
				b.WriteString(", key: event.data.k")
			}
			if take != "first" && rapid.Bool().Draw(t, "unique") {
				b.WriteString(", unique: event.data.n")
			}
		}
		b.WriteString("}, ")
		if take != "first" && slices.Contains([]string{"single", "any", "all", "where"}, form) {
			data = strings.TrimSuffix(data, "]") + ", \"${{ map(matches, .id) }}\"]"
		}
	}
	if (take != "" || form != "single" && form != "any") && rapid.Bool().Draw(t, "small") {
		b.WriteString("max_windows: 2, ")
	}
	if !plain {
		fmt.Fprintf(&b, "priority: %d, ", rapid.IntRange(-1, 1).Draw(t, "priority"))
		if (form == "single" || form == "any") && rapid.IntRange(0, 3).Draw(t, "stop") == 0 {
			b.WriteString("stop: true, ")
		}
		if form == "single" && rapid.IntRange(0, 3).Draw(t, "otherwise") == 0 {
			b.WriteString("otherwise: true, ")
		}
		if (form != "single" && form != "any" || take == "last") && rapid.Bool().Draw(t, "report") {
			b.WriteString("missed: report, ")
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "shadow") == 0 {
		b.WriteString("shadow: true, ")
	}
	if rapid.Bool().Draw(t, "sets") {
		fmt.Fprintf(&b, "set: {f%d: %s}, ", rapid.IntRange(0, 1).Draw(t, "fact"), rapid.SampledFrom([]string{"1", "null", name}).Draw(t, "value"))
	}
	fmt.Fprintf(&b, "publish: {type: out, data: %s}}", data)
	return b.String()
}

func drawRules(t *rapid.T, plain bool) []string {
	n := rapid.IntRange(1, 5).Draw(t, "rules")
	out := make([]string, n)
	for i := range out {
		out[i] = drawRule(t, "r"+itoa(i), plain)
	}
	return out
}

func ruleFile(lines []string) string { return "rules:\n  - " + strings.Join(lines, "\n  - ") + "\n" }

// drawn is an event, or a tick if it has no type.
type drawn struct {
	after    time.Duration // the one before
	typ, id  string
	k, n     int
	restarts bool
}

func drawEvents(t *rapid.T) []drawn {
	steps := rapid.SampledFrom([]time.Duration{
		0, 0, time.Nanosecond, 300 * time.Millisecond, time.Second, time.Second, 2 * time.Second, 5 * time.Second, 25 * time.Second, 2 * time.Minute,
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) drawn {
		return drawn{
			after: steps.Draw(t, "after"), typ: rapid.SampledFrom([]string{"", "a", "a", "b", "b", "c.d"}).Draw(t, "type"),
			id: itoa(rapid.IntRange(1, 12).Draw(t, "id")), k: rapid.IntRange(0, 3).Draw(t, "k"), n: rapid.IntRange(0, 3).Draw(t, "n"),
			restarts: rapid.IntRange(0, 2).Draw(t, "restarts") == 0,
		}
	}), 1, 40).Draw(t, "events")
}

func (d drawn) event(tb testing.TB) events.Event {
	tb.Helper()
	data := fmt.Sprintf(`{"k": "k%d", "n": %d.5}`, d.k, d.n)
	if d.k == 0 {
		data = `{"n": ` + itoa(d.n) + `}`
	}
	e := event(tb, d.typ, data)
	e.SetID(d.id)
	e.SetTime(at)
	return e
}

// fold runs all through a state; with restart it goes on from a snapshot where the
// events say so, and asks Explain before each.
func fold(tb testing.TB, set *rules.Set, all []drawn, restart bool, spell func(rules.Decision) string) (steps [][]string, last []byte) {
	tb.Helper()
	st := rules.NewState(set, at)
	when := at
	for i, d := range all {
		when = when.Add(d.after)
		var out []rules.Decision
		var told map[string]string
		if d.typ == "" {
			out = st.Tick(uint64(i)+1, when)
		} else {
			e := d.event(tb)
			if restart {
				told = map[string]string{}
				for _, x := range st.Explain(e, uint64(i)+1, when) {
					told[x.Rule.Name] = x.Outcome.String() + x.Key
				}
			}
			out = st.Step(e, uint64(i)+1, when)
		}
		var lines []string
		for _, x := range out {
			lines = append(lines, spell(x))
			if told != nil && x.ID == "" && told[x.Rule.Name] != x.Outcome.String()+x.Key {
				tb.Fatalf("Explain said %q of %s", told[x.Rule.Name], spell(x))
			}
		}
		steps = append(steps, lines)
		data, err := st.MarshalBinary()
		if err != nil {
			tb.Fatal(err)
		}
		last = data
		if !restart || !d.restarts {
			continue
		}
		if st, err = rules.RestoreState(set, data); err != nil {
			tb.Fatal(err)
		}
		if again, _ := st.MarshalBinary(); string(again) != string(data) {
			tb.Fatal("a state that was restored gives other bytes")
		}
	}
	return steps, last
}

func spellAll(d rules.Decision) string { return fmt.Sprint(d.Seq, " ", d.ID, " ", spellDecision(d)) }

// TestFoldSurvivesRestart: wherever a fold is cut and goes on from a snapshot, it
// decides the same.
func TestFoldSurvivesRestart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		set := load(t, ruleFile(drawRules(r, false)))
		all := drawEvents(r)
		want, wantEnd := fold(t, set, all, false, spellAll)
		got, gotEnd := fold(t, set, all, true, spellAll)
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("(-in one go +with restarts):\n%s", diff)
		}
		if string(wantEnd) != string(gotEnd) {
			r.Fatal("the states differ in the end")
		}
	})
}

// TestFoldWithoutOrder: but for stop and priority, it does not matter where rules
// stand.
func TestFoldWithoutOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		lines := drawRules(r, true)
		all := drawEvents(r)
		want, wantEnd := fold(t, load(t, ruleFile(lines)), all, false, spellAll)
		got, gotEnd := fold(t, load(t, ruleFile(rapid.Permutation(lines).Draw(r, "order"))), all, false, spellAll)
		for _, steps := range [][][]string{want, got} {
			for i := range steps {
				slices.Sort(steps[i])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("(-in one order +in another):\n%s", diff)
		}
		if string(wantEnd) != string(gotEnd) {
			r.Fatal("the states differ in the end")
		}
	})
}

// TestTicksOnlyReveal: whether ticks come between the events changes when it is
// decided, not what.
func TestTicksOnlyReveal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		set := load(t, ruleFile(drawRules(r, true)))
		all := drawEvents(r)
		decided := func(every int) []string {
			st := rules.NewState(set, at)
			var out []string
			note := func(ds []rules.Decision) {
				for _, d := range ds {
					d.At = at
					out = append(out, d.ID+" "+spellDecision(d))
				}
			}
			when := at
			for i, d := range all {
				for k := range every {
					note(st.Tick(1000, when.Add(d.after*time.Duration(k+1)/time.Duration(every+1))))
				}
				when = when.Add(d.after)
				if d.typ == "" {
					note(st.Tick(1000, when))
				} else {
					note(st.Step(d.event(t), uint64(i)+1, when))
				}
			}
			return out
		}
		if diff := cmp.Diff(decided(0), decided(rapid.IntRange(1, 4).Draw(r, "ticks"))); diff != "" {
			r.Fatalf("(-without +with more ticks):\n%s", diff)
		}
	})
}

// TestFoldIsBounded: no rule has more windows than it may, and no window more events.
func TestFoldIsBounded(t *testing.T) {
	t.Parallel()
	set := load(t, ruleFile([]string{
		"{name: last, on: a, throttle: {every: 1h, take: last}, publish: {type: out, data: \"${{ len(matches) }}\"}}",
		"{name: count, on: a, throttle: {every: 1h, take: {count: 250}}, publish: {type: out, data: \"${{ map(matches, .id) }}\"}}",
		"{name: keys, max_windows: 7, on: a, throttle: {key: event.id, every: 1h, take: last}, publish: {type: out}}",
	}))
	st := rules.NewState(set, at)
	var fired rules.Decision
	for i := range 250 {
		for _, d := range st.Step(drawn{typ: "a", id: itoa(i), k: 1}.event(t), uint64(i), at) {
			if d.Outcome == rules.Fired {
				fired = d
			}
		}
	}
	if n := len(st.Windows("keys", 100)); n != 7 {
		t.Errorf("%d windows are open", n)
	}
	if w := st.Windows("last", 1)[0]; w.Count != 250 || len(w.Members) != 100 || w.Members[0].ID != "150" {
		t.Errorf("last has %d of %d events, the first is %s", len(w.Members), w.Count, w.Members[0].ID)
	}
	ids := fired.Publish[0].Data.([]any)
	if fired.Window.Count != 250 || len(fired.Window.Members) != 100 || len(ids) != 100 || ids[0] != "150" || ids[99] != "249" {
		t.Errorf("count fired for %d, with %d members and matches %v", fired.Window.Count, len(fired.Window.Members), ids)
	}
	if ds := st.Tick(300, at.Add(time.Hour)); len(ds) != 8 || ds[0].Publish[0].Data != int64(100) {
		t.Errorf("at the end: %d decisions, the first %s", len(ds), spellDecision(ds[0]))
	}
}
