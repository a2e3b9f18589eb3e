package ordered

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/rules"
)

// said is an explanation as text.
func said(x Explanation) (out []string) {
	for _, d := range x.Decisions {
		if d.Outcome != rules.NotCandidate {
			out = append(out, fmt.Sprint(d.Rule.Name, " ", d.Outcome, " ", d.Key))
		}
	}
	for _, d := range x.Later {
		out = append(out, fmt.Sprint("later ", d.Rule.Name, " ", d.Outcome, " ", d.Key, " at ", d.Seq))
	}
	return append(out, fmt.Sprint("open ", x.Open))
}

// A viewer is told what each ordered rule said of an event, and what became of it.
func TestExplain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	viewer := bustest.Connect(t, l.server, busserver.RoleViewer, "viewer")
	before := l.publish("com.example.a", "a0", map[string]any{"k": "x", "n": 0})
	ev := l.start(l.content(formsRules))
	a := l.publish("com.example.a", "a1", map[string]any{"k": "x", "n": 1})
	beat1 := l.publish("com.example.beat", "beat1", map[string]any{"k": "web1"})
	beat2 := l.publish("com.example.beat", "beat2", map[string]any{"k": "web1"})
	t1 := l.publish("com.example.t", "t1", nil)
	l.until("the jobs", func() bool { return l.jobs()["last t1"] == 1 && l.jobs()["absent beat2"] == 1 })
	ev.stop()
	ev = l.start(l.content(formsRules))
	b := l.publish("com.example.b", "b1", map[string]any{"k": "x"})
	l.until("the job", func() bool { return l.jobs()["all b1"] == 1 })
	open := l.publish("com.example.a", "a2", map[string]any{"k": "z", "n": 1})
	ev.stop()
	_, _, end := l.truth()
	tick := func(rule string) uint64 {
		for _, r := range l.records() {
			if r.Rule == rule {
				return r.Seq
			}
		}
		return 0
	}
	for _, tt := range []struct {
		seq  uint64
		want []string
	}{
		{before, []string{"open 0"}},
		{a, []string{"all waiting x", fmt.Sprint("later all fired x at ", b), "open 0"}},
		{beat1, []string{"absent waiting web1", fmt.Sprint("later absent waiting web1 at ", beat2), "open 0"}},
		{beat2, []string{"absent waiting web1", fmt.Sprint("later absent fired web1 at ", tick("absent")), "open 0"}},
		{t1, []string{"first fired ", "last waiting ", "count waiting ", fmt.Sprint("later last fired  at ", tick("last")), "open 1"}},
		{b, []string{"all fired x", "open 0"}},
		{open, []string{"all waiting z", "open 1"}},
	} {
		x, err := Explain(t.Context(), viewer, l.fetch, tt.seq)
		if err != nil {
			t.Fatal(err)
		}
		l.same(fmt.Sprint("event ", tt.seq, " of ", end), tt.want, said(x))
	}
	if _, err := Explain(t.Context(), viewer, l.fetch, 10_000); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("an event that is not stored: %v", err)
	}
}
