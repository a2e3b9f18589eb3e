package rules_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// folder drives a State with lines such as "10s a/1 {"n": 1}": when after at, an
// event's type and id, and its data; without an event, a tick. "explain" before it
// asks only what would be.
type folder struct {
	tb  testing.TB
	st  *rules.State
	seq uint64
}

func newFolder(tb testing.TB, text string) *folder {
	tb.Helper()
	return &folder{tb: tb, st: rules.NewState(load(tb, text), at)}
}

// line carries out one line and returns what was decided, one line each.
func (f *folder) line(line string) []string {
	f.tb.Helper()
	rest, explain := strings.CutPrefix(line, "explain ")
	span, rest, _ := strings.Cut(rest, " ")
	after, err := time.ParseDuration(span)
	if err != nil {
		f.tb.Fatal(err)
	}
	when := at.Add(after)
	if !explain {
		f.seq++
	}
	if rest == "" {
		return f.spell(f.st.Tick(f.seq, when))
	}
	e := f.event(rest)
	if explain {
		return f.spell(f.st.Explain(e, f.seq+1, when))
	}
	return f.spell(f.st.Step(e, f.seq, when))
}

func (f *folder) event(text string) events.Event {
	f.tb.Helper()
	name, data, hasData := strings.Cut(text, " ")
	typ, id, ok := strings.Cut(name, "/")
	if !ok {
		id = fmt.Sprint(f.seq)
	}
	depth := ""
	if d, after, ok := strings.Cut(data, " "); ok && strings.HasPrefix(d, "depth=") {
		depth, data = strings.TrimPrefix(d, "depth="), after
	}
	var payload any
	if hasData {
		payload = data
	}
	e := event(f.tb, typ, payload)
	e.SetID(id)
	e.SetTime(at)
	if depth != "" {
		e.SetExtension("jetdepth", depth)
	}
	return e
}

func (f *folder) spell(all []rules.Decision) []string {
	var out []string
	for _, d := range all {
		out = append(out, spellDecision(d))
	}
	return out
}

// spellDecision writes a decision as tests expect it.
func spellDecision(d rules.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", d.At.Sub(at), d.Rule.Name, d.Outcome)
	if d.Key != "" {
		fmt.Fprintf(&b, " key=%s", d.Key)
	}
	if w := d.Window; w != nil {
		fmt.Fprintf(&b, " %s..%s n=%d", w.Began.Sub(at), w.Ends.Sub(at), w.Count)
		if len(w.Members) > 0 {
			b.WriteString(" of")
			for _, m := range w.Members {
				b.WriteString(" " + strings.TrimPrefix(m.Clause+":"+m.ID, ":"))
			}
		}
		if len(w.Missing) > 0 {
			b.WriteString(" without " + strings.Join(w.Missing, ","))
		}
	}
	if d.By != "" {
		b.WriteString(" by " + d.By)
	}
	if d.ID != "" {
		b.WriteString(" timer")
	}
	if d.Reason != nil {
		fmt.Fprintf(&b, " because %s", strings.Trim(d.Reason.Clause+": "+d.Reason.Text, ": "))
		if d.Reason.Missing != "" {
			fmt.Fprintf(&b, " lacks %s", d.Reason.Missing)
		}
	}
	if d.Err != nil {
		fmt.Fprintf(&b, " err %s", d.Err)
	}
	for _, p := range d.Publish {
		data, _ := json.Marshal(p.Data)
		fmt.Fprintf(&b, " -> %s %s", p.Type, data)
	}
	for _, s := range d.Set {
		fmt.Fprintf(&b, " set %s=%v", s.Key, s.Value)
	}
	return b.String()
}

// foldCase is a rule file, and lines with what is decided at each below it, indented.
type foldCase struct{ name, rules, script string }

func runFolds(t *testing.T, cases []foldCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, restart := range []bool{false, true} {
				f := newFolder(t, c.rules)
				var got []string
				for line := range strings.Lines(c.script) {
					line = strings.TrimRight(line, "\n")
					if line == "" || line[0] == ' ' || line[0] == '\t' {
						continue
					}
					got = append(got, line)
					for _, d := range f.line(line) {
						got = append(got, "  "+d)
					}
					if restart {
						f.restart()
					}
				}
				var want []string
				for line := range strings.Lines(c.script) {
					if line = strings.TrimRight(line, "\n"); strings.TrimSpace(line) != "" {
						want = append(want, strings.Replace(line, "\t", "  ", 1))
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("restarted %t (-want +got):\n%s\ngot:\n%s", restart, diff, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// restart puts what comes back from a snapshot in the place of the state.
func (f *folder) restart() {
	f.tb.Helper()
	data, err := f.st.MarshalBinary()
	if err != nil {
		f.tb.Fatal(err)
	}
	st, err := rules.RestoreState(rules.StateSet(f.st), data)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.st = st
}
