package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// start is when the first events of a case may come.
var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) // a Monday

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			golden(t, file)
		})
	}
}

// golden plays one case. It is played whole, and once more from a copy of the state
// after every event: both must decide the same.
func golden(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]*txtar.File{}
	for i := range a.Files {
		part[a.Files[i].Name] = &a.Files[i]
	}
	if part["rules.yml"] == nil || part["decisions"] == nil {
		t.Fatal("a case needs rules.yml and decisions")
	}
	var got string
	if part["events"] == nil { // a file that is refused
		_, err := rules.Load(fstest.MapFS{"rules.yml": {Data: part["rules.yml"].Data}}, ".")
		if err == nil {
			t.Fatal("the rules were taken")
		}
		got = err.Error() + "\n"
	} else {
		set := load(t, part["rules.yml"].Data)
		var steps []step
		for i, line := range strings.Split(strings.TrimSpace(string(part["events"].Data)), "\n") {
			steps = append(steps, parseStep(t, i+1, line))
		}
		got = play(t, set, steps, false)
		if again := play(t, set, steps, true); again != got {
			t.Errorf("a state that was stored and read back decides otherwise:\n%s", cmp.Diff(got, again))
		}
	}
	want := string(part["decisions"].Data)
	if got == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Errorf("decisions (-want +got):\n%s", cmp.Diff(want, got))
		return
	}
	part["decisions"].Data = []byte(got)
	if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, text []byte) *rules.Set {
	t.Helper()
	set, err := rules.Load(fstest.MapFS{"rules.yml": {Data: text}}, ".")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// step is a line of a case: an event, or only the time. Its form is
//
//	+90s build type=com.acme.build subject=x ref=main {"n": 1}
//	+5m
//
// where build is the event's id, and ref, as every other name, an extension.
type step struct {
	line  int
	at    time.Time
	event *events.Event
}

func parseStep(t *testing.T, n int, line string) step {
	t.Helper()
	head, data, hasData := strings.Cut(line, "{")
	words := strings.Fields(head)
	after, err := time.ParseDuration(strings.TrimPrefix(words[0], "+"))
	if err != nil {
		t.Fatalf("events, line %d: %v", n, err)
	}
	s := step{line: n, at: start.Add(after)}
	if len(words) == 1 {
		return s
	}
	e, err := events.New("/test", "none", nil)
	if err != nil {
		t.Fatal(err)
	}
	e.SetID(words[1])
	e.SetTime(s.at)
	for _, w := range words[2:] {
		name, value, ok := strings.Cut(w, "=")
		switch {
		case !ok:
			t.Fatalf("events, line %d: %q is not name=value", n, w)
		case name == "type":
			e.SetType(value)
		case name == "subject":
			e.SetSubject(value)
		case name == "source":
			e.SetSource(value)
		default:
			e.SetExtension(name, value)
		}
	}
	if hasData {
		e.SetDataContentType("application/json")
		e.DataEncoded = []byte("{" + data)
	}
	s.event = &e
	return s
}

// play returns what the rules say to each step, one line each.
func play(t *testing.T, set *rules.Set, steps []step, stored bool) string {
	t.Helper()
	var b strings.Builder
	st := rules.NewState(set, start)
	for i, s := range steps {
		if stored {
			data, err := st.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			if st, err = rules.RestoreState(set, data); err != nil {
				t.Fatal(err)
			}
		}
		seq := uint64(i + 1)
		if s.event == nil {
			fmt.Fprintf(&b, "%s\n", clock(s.at))
			for _, d := range st.Tick(seq, s.at) {
				fmt.Fprintf(&b, "  %s\n", spell(d))
			}
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", clock(s.at), s.event.ID())
		// What ended by now is told by Step alone.
		said := set.Explain(*s.event, s.at)
		var told []string
		for _, v := range said {
			if !v.Rule.Ordered() && v.Outcome != rules.NotCandidate {
				told = append(told, spell(rules.Decision{Verdict: v}))
			}
		}
		explained := st.Explain(*s.event, seq, s.at)
		for _, d := range st.Step(*s.event, seq, s.at) {
			if !slices.ContainsFunc(explained, func(x rules.Decision) bool { return same(x, d) }) {
				fmt.Fprintf(&b, "  %s\n", spell(d))
			}
		}
		for _, d := range explained {
			if d.Outcome != rules.NotCandidate {
				told = append(told, spell(d))
			}
		}
		for _, line := range told {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}

// same reports whether two decisions are one, told by Explain and by Step; Explain
// tells more of what waits.
func same(a, b rules.Decision) bool {
	return a.Rule == b.Rule && a.Outcome == b.Outcome && a.Key == b.Key && a.ID == b.ID
}

func clock(at time.Time) string {
	days := int(at.Sub(start.Truncate(24*time.Hour)) / (24 * time.Hour))
	if days == 0 {
		return at.Format("15:04:05")
	}
	return fmt.Sprintf("day %d %s", days+1, at.Format("15:04:05"))
}

// spell writes a decision in one line.
func spell(d rules.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", d.Rule.Name, d.Outcome)
	if d.Key != "" {
		fmt.Fprintf(&b, " key=%s", d.Key)
	}
	if d.By != "" {
		fmt.Fprintf(&b, " by=%s", d.By)
	}
	if w := d.Window; w != nil {
		fmt.Fprintf(&b, " window=%s..%s", clock(w.Began), clock(w.Ends))
		if w.Count > 0 {
			fmt.Fprintf(&b, " count=%d", w.Count)
		}
		if len(w.Missing) > 0 {
			fmt.Fprintf(&b, " missing=%s", strings.Join(w.Missing, ","))
		}
	}
	if r := d.Reason; r != nil {
		fmt.Fprintf(&b, " because %s", strings.TrimSpace(r.Text))
		for _, v := range r.Values {
			if v.Missing {
				fmt.Fprintf(&b, "; %s is missing", v.Path)
			} else {
				fmt.Fprintf(&b, "; %s=%s", v.Path, text(v.Value))
			}
		}
	}
	if a := d.Action; a != nil {
		fmt.Fprintf(&b, " run=%s", a.Playbook)
		if a.Limit != nil {
			fmt.Fprintf(&b, " limit=%s", strings.Join(a.Limit, ","))
		}
		if a.Vars != nil {
			fmt.Fprintf(&b, " vars=%s", text(a.Vars))
		}
	}
	for _, p := range d.Publish {
		fmt.Fprintf(&b, " publish=%s", p.Type)
		if p.Subject != "" {
			fmt.Fprintf(&b, "(%s)", p.Subject)
		}
		if p.Data != nil {
			fmt.Fprintf(&b, " %s", text(p.Data))
		}
	}
	for _, f := range d.Set {
		fmt.Fprintf(&b, " set %s=%s", f.Key, text(f.Value))
	}
	for _, n := range d.Notify {
		fmt.Fprintf(&b, " notify %s %q %q", n.To, n.Subject, n.Text)
	}
	if d.Err != nil {
		fmt.Fprintf(&b, " error: %v", d.Err)
	}
	return b.String()
}

func text(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
